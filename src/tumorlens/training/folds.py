"""K trainings, each without one fold, and one table of the test scores of all folds."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from tumorlens.data.rows import Manifest
from tumorlens.data.splits import By, fold_manifest
from tumorlens.evaluation.score_files import read_scores, write_scores
from tumorlens.evaluation.scores import Scores, join_scores
from tumorlens.training.familiarity import check_familiarity
from tumorlens.training.finishing.scored_rows import measure_test
from tumorlens.training.request import Request
from tumorlens.training.result import TrainingResult
from tumorlens.training.rows.fingerprints import FileDigests
from tumorlens.training.run import SCORES, open_run, train_model, write_figures
from tumorlens.training.tracking.tracker import Tracker

__all__ = ["train_folds"]


def train_folds(request: Request, folds: int, by: By = "group") -> TrainingResult:
    """Train on all folds but one, K times; test each model on the fold that it never saw.

    Each fold has a run's folder of its own. ``scores.csv`` holds the scores of all folds that have
    ended, and is written anew as soon as another ends; a broken run resumes there.

    Args:
        request: options of the trainings. Its folder gets one folder per fold.
        folds: number of folds, K.
        by: ``group``, or ``source`` for folds by source: each is scored by a model that saw no
            slice of its sources.

    Returns:
        Test scores of every row, with the fold that held it out, and their figures.
    """
    started = time.perf_counter()
    parted, notes = fold_manifest(request.manifest, folds=folds, seed=request.recipe.seed, by=by)
    for note in notes:
        request.notice(note)
    digests = FileDigests()
    ended: list[Scores] = []
    names = sorted({row.split for row in parted.rows})
    for name in names:
        ended.append(_run_fold(_narrow(request, parted, name), name, digests))
        joined = join_scores(ended)
        write_scores(request.folder / SCORES, joined, overwrite=True)
    result = TrainingResult(
        recipe=request.recipe,
        folder=request.folder,
        slices=len(request.manifest),
        folds={name: _fold_folder(request, name) for name in names},
        test=joined,
        evaluation=measure_test(joined),
        # A fold of whole sources is new to its model, and may be unfamiliar.
        familiarity=check_familiarity([joined], () if by == "source" else request.manifest.sources),
        seconds=time.perf_counter() - started,
    )
    write_figures(result, request.notice)
    return result


def _fold_folder(request: Request, name: str) -> Path:
    return request.folder / f"fold-{name}"


def _narrow(request: Request, parted: Manifest, name: str) -> Request:
    """The options of the training that leaves one fold out."""
    kept, held = parted.hold_out(name)
    return replace(
        request,
        recipe=request.recipe.without_test(),
        manifest=kept,
        left_out=held,
        folder=_fold_folder(request, name),
        tracking=request.tracking and replace(request.tracking, name=f"fold-{name}"),
    )


def _run_fold(request: Request, name: str, digests: FileDigests) -> Scores:
    done = _read_ended(request.folder)
    if done is not None:
        open_run(request, digests)  # refuses the scores of another recipe or of other data
        request.notice(f"fold {name}: done before")
        if request.tracking is not None:
            Tracker(request.tracking, request.recipe, request.folder, request.notice).finish()
        return done.of_fold(name)
    request.notice(f"fold {name}")
    result = train_model(request, digests)
    if result.test is None:
        raise RuntimeError(f"fold {name} holds no rows")
    return result.test.of_fold(name)


def _read_ended(folder: Path) -> Scores | None:
    file = folder / SCORES
    return read_scores(file) if file.exists() else None
