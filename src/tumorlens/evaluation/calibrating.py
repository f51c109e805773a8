"""`calibrate`: fits a model to the labelled slices of a site, and writes a new model file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tumorlens.arguments import DEVICE, TEXT, check_arguments, optional
from tumorlens.data.choosing import Choice, DataSource, choose_rows
from tumorlens.data.rows import Manifest
from tumorlens.detector import Detector, open_detector
from tumorlens.errors import UsageError
from tumorlens.evaluation.calibration import COVERAGE
from tumorlens.evaluation.score_files import pool_scores
from tumorlens.evaluation.scores import Scores
from tumorlens.evaluation.scoring import Scored, score_rows, take_split
from tumorlens.evaluation.series_and_studies.study_calibration import (
    StudyCalibration,
    calibrate_held_out,
    calibrate_misses,
)
from tumorlens.evaluation.site_calibration import (
    SiteCalibration,
    Wishes,
    calibrate_model,
    set_seen_aside,
)
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.progress import Notice, Progress, stay_silent
from tumorlens.studies.study_model import find_study_model
from tumorlens.writing import check_results

__all__ = ["calibrate", "calibrate_scores", "score_site"]


@check_arguments(device=optional(DEVICE), operating_point=TEXT)
def calibrate(
    model: str | os.PathLike[str] | Detector,
    *data: DataSource,
    output: str | os.PathLike[str],
    scores: Sequence[str | os.PathLike[str]] = (),
    sensitivity: float | None = None,
    specificity: float | None = None,
    coverage: float = COVERAGE,
    misses: float | None = None,
    operating_point: str = "balanced",
    with_seen: bool = False,
    split: str | None = None,
    classes: Mapping[str, str] | None = None,
    shared_groups: bool | None = None,
    twins: bool | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> SiteCalibration | StudyCalibration:
    """Fit a model's thresholds to labelled slices of a site, and write the new model file.

    The network stays as it is. With ``misses`` only the threshold of studies is set; with
    ``scores`` only the numbers for series and studies are fitted.

    Args:
        model: name of the registry, an ``.onnx`` file, or a `Detector`.
        data: folders of class folders, manifests as CSV, or `Manifest` objects.
        output: the new ``.onnx`` file.
        scores: files of held-out scores, each a fold, in place of ``data``.
        sensitivity, specificity: wanted at the middle threshold, one of them at most.
        coverage: smallest share of familiar slices that get an answer (tumor or no tumor).
        misses: share of tumor studies that may be missed, with 95 % confidence.
        operating_point: the point to set; the others keep their decisions.
        with_seen: also fit on slices that the model has seen in training. They are left out
            otherwise.
        split, classes, shared_groups, twins: as in `evaluate`; with ``scores``, only ``split``.
        overwrite: replace ``output``.
        threads: threads to use; by default one for each core.
        device: ``cpu`` (the default), ``cuda`` or ``mps``; only for a model that is not open yet.
        progress: called with (name of the step, units done, units in all).
        notice: called with a sentence about groups, and about files that could not be read.

    Returns:
        The new card and numbers, the figures before and after, and warnings. A `StudyCalibration`
        where only numbers for series and studies were set.

    Raises:
        DataError: too few patients; says how many are needed.
        UsageError: arguments that contradict each other, or ``output`` exists.
        ModelFileError: the model is unknown, or cannot be calibrated.
    """
    wishes = Wishes(sensitivity, specificity, coverage, misses, operating_point, with_seen)
    told, target = notice or stay_silent, Path(output)
    check_inputs_survive([str(one) for one in data if not isinstance(one, Manifest)], target)
    check_results((target,), overwrite=overwrite)
    detector = open_detector(model, threads=threads, device=device)
    scored = score_site(
        detector,
        data,
        scores,
        choice=Choice(split, classes, shared_groups, twins),
        progress=progress or stay_silent,
        notice=told,
    )
    calibrated = calibrate_scores(detector, scored.scores, wishes, held_out=bool(scores))
    calibrated.write(detector.session.path, target, overwrite=overwrite)
    scored.tell_failures(told)
    return calibrated


def score_site(
    detector: Detector,
    data: Sequence[DataSource],
    scores: Sequence[str | os.PathLike[str]] = (),
    *,
    choice: Choice | None = None,
    progress: Progress = stay_silent,
    notice: Notice = stay_silent,
) -> Scored:
    """The scores that a calibration is fitted on: of the data, or of files.

    Raises:
        UsageError: both or none of ``data`` and ``scores``.
        DataError: what cannot be read.
    """
    if bool(data) == bool(scores):
        raise UsageError("expected either data or `scores=`: labelled slices, or their scores")
    choice = choice or Choice()
    if scores:
        _refuse_choice(choice)
        return Scored(take_split(pool_scores(scores), choice.split), ())
    chosen = choose_rows(data, choice, threads=detector.threads, progress=progress, notice=notice)
    return score_rows(detector, chosen, progress=progress)


def calibrate_scores(
    detector: Detector, scores: Scores, wishes: Wishes, *, held_out: bool = False
) -> SiteCalibration | StudyCalibration:
    """Fit new numbers on scores.

    Args:
        detector: the model that gave the scores.
        scores: of labelled slices.
        wishes: what to reach.
        held_out: the scores come from files: only numbers for series and studies are fitted.

    Raises:
        DataError: too few patients; says how many are needed.
    """
    numbers = find_study_model(detector)
    if wishes.misses is not None:
        kept, notes = set_seen_aside(scores, wishes.with_seen)
        return calibrate_misses(
            detector.card, numbers, kept, wishes.misses, point=wishes.operating_point, notes=notes
        )
    if held_out:
        _refuse_idle(wishes)
        return calibrate_held_out(detector.card, scores)
    return calibrate_model(detector.card, scores, wishes, numbers)


def _refuse_idle(wishes: Wishes) -> None:
    """Refuse goals for slices with held-out scores: these serve only series and studies."""
    idle = {
        "operating_point": wishes.operating_point != "balanced",
        "sensitivity": wishes.sensitivity is not None,
        "specificity": wishes.specificity is not None,
        "coverage": wishes.coverage != COVERAGE,
        "with_seen": wishes.with_seen,
    }
    for name, given in idle.items():
        if given:
            raise UsageError(
                f"`scores=` fits only the numbers for series and studies, so `{name}=` has no "
                "effect: leave it out, or give labelled data in place of scores"
            )


def _refuse_choice(choice: Choice) -> None:
    """Refuse options for labels and groups with scores: their rows have these already."""
    for name in ("classes", "twins", "shared_groups"):
        value = getattr(choice, name)
        if value not in (None, {}):
            told = value if isinstance(value, bool) else ""
            raise UsageError(
                f"`{name}={told}` has no effect on scores: it serves labelled data; leave it out"
            )
