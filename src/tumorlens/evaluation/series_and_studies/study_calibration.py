"""Refits the numbers for series and studies to a site's own labelled studies.

Where the model has numbers, a site's few studies set only their scale and offset, and the
thresholds; without any, all are fitted. When the slices get a new calibration, the numbers are
carried along first, so that their decisions stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from tumorlens.errors import DataError
from tumorlens.evaluation.calibration import apply_calibration
from tumorlens.evaluation.scores import Judged, Scores, join_scores
from tumorlens.evaluation.series_and_studies.labelled_series import (
    LabelledSeries,
    list_studies,
    score_series,
    score_studies,
    weigh_series,
)
from tumorlens.evaluation.series_and_studies.misses import MissBound, bound_misses
from tumorlens.evaluation.series_and_studies.study_fitting import (
    FOLDS,
    check_enough_series,
    choose_point,
    deal_groups,
    fit_study_model,
    judge_crosswise,
    judge_with,
    list_all_series,
    list_fit_series,
)
from tumorlens.model.card import Card, HistoryEntry
from tumorlens.model.contract import Calibration
from tumorlens.model.graph import write_model
from tumorlens.studies.fitting import fit_shift
from tumorlens.studies.study_model import SeriesTerms, StudyModel, StudyTerms
from tumorlens.study_finding import NO_STUDY_MODEL

__all__ = [
    "StudyCalibration",
    "calibrate_held_out",
    "calibrate_misses",
    "carry_numbers",
    "compare_heads",
    "enter_calibration",
    "refit_numbers",
]

MOVED = {"top_10mm": 1, "most_30mm": 1, "quiet": -1}
"""Feature -> whether it moves with the tumor logit or against it."""


def carry_numbers(model: StudyModel, fitted: Calibration) -> StudyModel:
    """The numbers that give the same decisions after the slices were calibrated again.

    Exact but for logits that are cut at the limit of a profile.

    Args:
        model: the present numbers.
        fitted: the calibration that was applied to the slices.
    """
    series = {name: _carry_terms(terms, fitted) for name, terms in model.series.items()}
    level = fitted.scale * model.slice_logit + fitted.offset
    return msgspec.structs.replace(model, slice_logit=level, series=series)


def refit_numbers(
    model: StudyModel | None, scores: Scores, *, slice_middle: float, point: str = "balanced"
) -> StudyModel:
    """Numbers that fit a site's labelled studies.

    Args:
        model: the numbers of the model file, which fit the scores; None to fit all anew.
        scores: of slices, as the model gives them now.
        slice_middle: middle threshold of a slice; used where all is fitted anew.
        point: operating point of series and studies to set.

    Raises:
        DataError: too few patients with series of either label; gives the number that would do.
    """
    series = list_fit_series(scores)
    if model is None:
        return fit_study_model(series, slice_middle=slice_middle, data=scores.name)
    check_enough_series(series, scores.name)
    model = _shift_series(model, series)
    logits = weigh_series(series, model)
    table = score_series(series, logits, model.series_points["balanced"], scores.name)
    model = msgspec.structs.replace(
        model, series_points={**model.series_points, point: choose_point(table)}
    )
    studies = list_studies(series, logits)
    sums = np.array([model.study.add_up(one.logits) for one in studies])
    scale, offset = fit_shift(sums, [one.tumor for one in studies], [one.group for one in studies])
    terms = StudyTerms(
        offset=scale * model.study.offset + offset,
        weights={name: scale * weight for name, weight in model.study.weights.items()},
        alike=model.study.alike,
    )
    judged = score_studies(series, logits, terms, model.study_points["balanced"], scores.name)
    return msgspec.structs.replace(
        model,
        study=terms,
        study_points={**model.study_points, point: choose_point(judged)},
        fitted_on=f"{model.fitted_on}; shifted to {len(studies)} studies of {scores.name}",
    )


def compare_heads(
    model: StudyModel | None,
    scores: Scores,
    fit_slices: Callable[[Scores], Calibration],
    *,
    middle: float,
    point: str,
) -> tuple[Judged | None, Judged] | str:
    """Series and studies before and after a refit, or why they cannot be compared, in a sentence.

    Args:
        model: the numbers of the model file; None if it has none, and there is no before.
        scores: of a site's labelled slices.
        fit_slices: what refits the calibration of slices.
        middle: threshold of a slice, used where all is fitted anew.
        point: operating point.
    """
    fold = deal_groups(scores.group)
    parts = []
    for one in range(FOLDS):
        held, rest = scores.take(fold == one), scores.take(fold != one)
        fitted = fit_slices(rest)
        carried = None if model is None else carry_numbers(model, fitted)
        try:
            numbers = refit_numbers(
                carried, apply_calibration(rest, fitted), slice_middle=middle, point=point
            )
        except DataError as error:
            return str(error)
        parts.append(judge_with(apply_calibration(held, fitted), numbers, point))
    after = Judged(
        join_scores([part.series for part in parts]),
        join_scores([part.studies for part in parts]),
        "judged with numbers fitted on other patients",
    )
    return (None if model is None else judge_with(scores, model, point)), after


def _carry_terms(terms: SeriesTerms, fitted: Calibration) -> SeriesTerms:
    moved = {name: weight / fitted.scale for name, weight in terms.weights.items()}
    shift = fitted.offset * sum(MOVED[name] * weight for name, weight in moved.items())
    return SeriesTerms(offset=terms.offset - shift, weights=moved)


def _shift_series(model: StudyModel, series: Sequence[LabelledSeries]) -> StudyModel:
    """Scale and offset of the log-odds of series, the same for all sequences."""
    tumor = [one.row.label == "tumor" for one in series]
    groups = [one.row.group_key for one in series]
    scale, offset = fit_shift(weigh_series(series, model), tumor, groups)
    shifted = {
        name: SeriesTerms(
            offset=scale * terms.offset + offset,
            weights={feature: scale * weight for feature, weight in terms.weights.items()},
        )
        for name, terms in model.series.items()
    }
    return msgspec.structs.replace(model, series=shifted)


@dataclass(frozen=True)
class StudyCalibration:
    """New numbers for studies, for a model whose slices keep theirs.

    Attributes:
        card: with an entry in its history.
        numbers: for series and studies.
        bound: what the threshold of studies promises; None where nothing was promised.
        heads: series and studies, judged with numbers that were fitted on others; None where the
            numbers were not fitted.
        notes: what was done about slices that the model has seen in training.
    """

    card: Card
    numbers: StudyModel
    bound: MissBound | None = None
    heads: Judged | None = None
    notes: tuple[str, ...] = ()

    def write(self, source: Path, output: Path, *, overwrite: bool = False) -> None:
        """Write the new model file: card and numbers; network and slices stay as they are.

        Raises:
            ModelFileError: ``source`` is no model.
            UsageError: ``output`` cannot be written.
        """
        write_model(
            source, output, card=self.card, studies=self.numbers.to_json(), overwrite=overwrite
        )


def calibrate_misses(
    card: Card,
    model: StudyModel | None,
    scores: Scores,
    misses: float,
    *,
    point: str = "balanced",
    notes: Sequence[str] = (),
) -> StudyCalibration:
    """Set the threshold of studies so that at most a share of tumor studies is missed.

    Nothing else changes: the bound holds only for scores that these studies did not influence.

    Args:
        card: of the model that gave the scores.
        model: its numbers for series and studies.
        scores: of the slices of a site's labelled studies.
        misses: the share.
        point: operating point of studies to set.
        notes: what was done about slices that the model has seen.

    Raises:
        DataError: no numbers, or too few tumor studies; gives the number that would do.
    """
    if model is None:
        raise DataError(
            f"{card.full_name}: {NO_STUDY_MODEL}, so there is no threshold of studies to set; "
            "first calibrate without `misses=`, on other studies than these"
        )
    bound = _bound(model, scores, misses)
    words = f"threshold of studies, point {point}: {bound.meaning}"
    entry = enter_calibration(scores, words, notes)
    numbers = msgspec.structs.replace(
        model,
        study_points={**model.study_points, point: bound.point},
        history=[*model.history, entry],
    )
    card = _offer(card, point).calibrated(entry)
    return StudyCalibration(card, numbers, bound, notes=tuple(notes))


def calibrate_held_out(card: Card, scores: Scores) -> StudyCalibration:
    """Fit the numbers for series and studies on held-out scores; slices keep their numbers.

    Args:
        card: of the model that gets the numbers.
        scores: of models trained as it was, each on other patients than it judges.

    Raises:
        DataError: too few patients; says how many are needed.
    """
    middle = float(np.median(scores.thresholds[:, 1]))
    numbers = fit_study_model(list_fit_series(scores), slice_middle=middle, data=scores.name)
    words = f"numbers for series and studies, fitted on {numbers.fitted_on}"
    card = card.calibrated(enter_calibration(scores, words))
    return StudyCalibration(card, numbers, heads=judge_crosswise(scores))


def enter_calibration(scores: Scores, change: str, notes: Sequence[str] = ()) -> HistoryEntry:
    """An entry of today in the history of a model.

    Args:
        scores: that it was fitted on.
        change: what was rewritten.
        notes: what to know about it.
    """
    return HistoryEntry(
        date=datetime.now(UTC).date().isoformat(),
        change=change,
        slices=len(scores),
        groups=len(set(scores.group)),
        data=scores.name,
        notes=list(notes),
    )


def _bound(model: StudyModel, scores: Scores, misses: float) -> MissBound:
    """The threshold of studies with which at most a share of tumor studies is missed."""
    every = list_all_series(scores)
    series = [one for one in every if one.is_judged]
    judged = {one.row.group_key for one in series}
    tumor_groups = {one.row.group_key for one in every if one.row.label == "tumor"}
    logits = weigh_series(series, model)
    now = model.study_points["balanced"]
    studies = score_studies(series, logits, model.study, now, scores.name)
    return bound_misses(studies, misses, unjudged=len(tumor_groups - judged))


def _offer(card: Card, point: str) -> Card:
    """A card with that operating point: slices and series are judged there as at balanced."""
    points = {point: card.find_operating_point("balanced"), **card.operating_points}
    return msgspec.structs.replace(card, operating_points=points)
