"""Folds that ended are taken as they are, but only those of the same job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from painter import write_manifest
from score_tables import draw_scores
from tiny_training import make_recipe
from tumorlens.data.manifest import read_data
from tumorlens.data.splits import split_manifest
from tumorlens.errors import DataError
from tumorlens.evaluation.score_files import write_scores
from tumorlens.training.folds import train_folds
from tumorlens.training.job import Job
from tumorlens.training.run import open_run


@pytest.fixture
def job(tmp_path):
    manifest = read_data(write_manifest(tmp_path / "data", 24))
    return Job(make_recipe(), manifest, tmp_path / "run", notice=lambda words: None)


def end_folds(job):
    """Both folds as a finished run leaves them, with scores of other slices in place of its own."""
    parted, _ = split_manifest(job.manifest, folds=2, seed=job.recipe.seed)
    for name in "01":
        kept = parted.where(lambda row, name=name: row.split != name)
        bare = kept.with_rows(replace(row, split="") for row in kept.rows)
        folder = job.folder / f"fold-{name}"
        open_run(replace(job, manifest=bare, folder=folder))
        write_scores(folder / "scores.csv", draw_scores(groups=4, slices=3, seed=int(name)))


def test_folds_that_ended_are_joined(job):
    end_folds(job)
    scores = train_folds(job, 2)
    assert len(scores) == 24
    assert sorted(set(scores.fold)) == ["0", "1"]
    assert (job.folder / "scores.csv").exists()


def test_folds_of_another_recipe_are_refused(job):
    end_folds(job)
    with pytest.raises(DataError, match="another recipe"):
        train_folds(replace(job, recipe=make_recipe(batch=4)), 2)
    assert not (job.folder / "scores.csv").exists()


def test_folds_of_another_number_are_refused(job):
    end_folds(job)
    with pytest.raises(DataError, match="other data"):
        train_folds(job, 3)


def test_the_folds_of_a_manifest_are_kept(job):
    dealt, _ = split_manifest(job.manifest, folds=2, seed=job.recipe.seed + 5)
    end_folds(job)
    with pytest.raises(DataError, match="other data"):  # not those that the seed would deal
        train_folds(replace(job, manifest=dealt), 2)
