"""K trainings, each on all folds but one, and one table of held-out scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from tumorlens.data.rows import Manifest
from tumorlens.data.splits import By, fold_manifest
from tumorlens.evaluation.score_files import read_scores, write_scores
from tumorlens.evaluation.scores import Scores, as_text, join_scores
from tumorlens.training.job import Job
from tumorlens.training.recipe import Recipe
from tumorlens.training.run import open_run, train_model

__all__ = ["train_folds"]


def train_folds(job: Job, folds: int, by: By = "group") -> Scores:
    """Train on all folds but one, K times; score each fold with the model that never saw it.

    Each fold has a run's folder of its own. ``scores.csv`` holds the scores of all folds that have
    ended, and is written anew as soon as another ends; a broken run resumes there.

    Args:
        job: its folder holds the folds' folders.
        folds: K.
        by: ``group``, or ``source`` for hospital folds: each is scored by a model that saw no
            slice of its sources.

    Returns:
        Held-out scores of every row, with the fold that held it out.
    """
    parted, notes = fold_manifest(job.manifest, folds=folds, seed=job.recipe.seed, by=by)
    for note in notes:
        job.notice(note)
    ended: list[Scores] = []
    for name in sorted({row.split for row in parted.rows}):
        ended.append(_run_fold(job, parted, name))
        joined = join_scores(ended)
        write_scores(job.folder / "scores.csv", joined, overwrite=True)
    return joined


def _run_fold(job: Job, parted: Manifest, name: str) -> Scores:
    folder = job.folder / f"fold-{name}"
    kept = parted.where(lambda row: row.split != name)
    held = parted.where(lambda row: row.split == name)
    bare = kept.with_rows(replace(row, split="") for row in kept.rows)
    recipe = _without_test(job.recipe)
    part = replace(job, recipe=recipe, manifest=bare, held_out=held, folder=folder)
    done = _read_ended(folder)
    if done is not None:
        open_run(part)  # refuses the scores of another recipe or of other data
        job.notice(f"fold {name}: done before")
        return _name_fold(done, name)
    job.notice(f"fold {name}")
    outcome = train_model(part)
    if outcome.scores is None:
        raise RuntimeError(f"fold {name} holds no rows")
    return _name_fold(outcome.scores, name)


def _without_test(recipe: Recipe) -> Recipe:
    """The fold that is held out is the test; the recipe's own would be scored twice."""
    return msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, test=0.0))


def _read_ended(folder: Path) -> Scores | None:
    file = folder / "scores.csv"
    return read_scores(file) if file.exists() else None


def _name_fold(scores: Scores, name: str) -> Scores:
    return replace(scores, fold=as_text(list(np.repeat(name, len(scores)))))
