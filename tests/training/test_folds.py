"""Folds that ended are taken as they are, but only those of the same request."""

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
from tumorlens.training.journal import CURVES
from tumorlens.training.request import Request
from tumorlens.training.rows import fingerprints
from tumorlens.training.run import open_run
from tumorlens.training.tracking.experiment_logs import Tracking


@pytest.fixture
def asked(tmp_path):
    manifest = read_data(write_manifest(tmp_path / "data", 24))
    return Request(make_recipe(), manifest, tmp_path / "run", notice=lambda words: None)


def end_folds(asked):
    """Both folds as a finished run leaves them, with scores of other slices in place of its own."""
    parted, _ = split_manifest(asked.manifest, folds=2, seed=asked.recipe.seed)
    for name in "01":
        kept = parted.where(lambda row, name=name: row.split != name)
        bare = kept.with_rows(replace(row, split="") for row in kept.rows)
        folder = asked.folder / f"fold-{name}"
        open_run(replace(asked, manifest=bare, folder=folder))
        write_scores(folder / "scores.csv", draw_scores(groups=4, slices=3, seed=int(name)))


def test_folds_that_ended_are_joined(asked):
    end_folds(asked)
    result = train_folds(asked, 2)
    scores = result.test
    assert len(scores) == 24
    assert sorted(set(scores.fold)) == ["0", "1"]
    assert (asked.folder / "scores.csv").exists()
    assert result.model is None
    assert sorted(result.folds) == ["0", "1"]
    assert (asked.folder / "figures.json").exists()


def test_each_fold_has_a_log_also_where_it_ended_before_anyone_asked_for_one(asked):
    end_folds(asked)
    for name in "01":
        curve = "phase,epoch,train_total\nhead,1,0.5\n"
        (asked.folder / f"fold-{name}" / CURVES).write_text(curve)
    tracking = Tracking(("csv",), asked.folder / "logs")
    train_folds(replace(asked, tracking=tracking), 2)
    for name in "01":
        text = (asked.folder / f"logs/csv/fold-{name}/metrics.csv").read_text()
        assert text.splitlines() == ["epoch,phase,step,train_total", "1.0,1.0,1,0.5"]


def test_folds_of_another_recipe_are_refused(asked):
    end_folds(asked)
    with pytest.raises(DataError, match="another recipe"):
        train_folds(replace(asked, recipe=make_recipe(batch=4)), 2)
    assert not (asked.folder / "scores.csv").exists()


def test_folds_of_another_number_are_refused(asked):
    end_folds(asked)
    with pytest.raises(DataError, match="other data"):
        train_folds(asked, 3)


def test_the_folds_of_a_manifest_are_kept(asked):
    dealt, _ = split_manifest(asked.manifest, folds=2, seed=asked.recipe.seed + 5)
    end_folds(asked)
    with pytest.raises(DataError, match="other data"):  # not those that the seed would deal
        train_folds(replace(asked, manifest=dealt), 2)


def test_files_are_read_once_however_many_folds_there_are(asked, monkeypatch):
    """All folds ask for the fingerprint of nearly the same files."""
    read = []
    monkeypatch.setattr(
        fingerprints, "open_regular", lambda file: read.append(file) or file.open("rb")
    )
    end_folds(asked)
    read.clear()
    train_folds(asked, 2)
    assert sorted(read) == sorted(
        {file for row in asked.manifest.rows for file in (row.path, row.mask) if file}
    )
