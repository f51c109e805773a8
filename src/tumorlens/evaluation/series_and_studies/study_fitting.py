"""Fits a `StudyModel` on held-out scores, and judges series with numbers fitted on others.

No series is judged with numbers that were fitted on it. Thresholds and the terms of the study are
chosen on probabilities that come from fits on other patients. Reported figures come from fits on
other folds (of other sources, if the scores have such folds) or on other patients.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tumorlens.errors import DataError
from tumorlens.evaluation.calibration import choose_thresholds
from tumorlens.evaluation.scores import Judged, Scores, drop_unfit, join_scores
from tumorlens.evaluation.series_and_studies.labelled_series import (
    LabelledSeries,
    list_series,
    list_studies,
    score_series,
    score_studies,
    weigh_series,
)
from tumorlens.logits import to_logit
from tumorlens.model.card import OperatingPoint
from tumorlens.studies.fitting import fit_series_terms, fit_study_terms
from tumorlens.studies.study_model import OTHER, StudyModel

__all__ = [
    "FOLDS",
    "LEAST_GROUPS",
    "check_enough_series",
    "choose_point",
    "deal_groups",
    "fit_study_model",
    "judge_crosswise",
    "judge_heads",
    "judge_with",
    "list_all_series",
    "list_fit_series",
]

LEAST_GROUPS = 10
"""Patients with, and patients without a tumor, that a fit needs at least."""
FOLDS = 5
"""Of fits that judge each patient with numbers fitted on others."""
CONFIDENT = 0.95
"""A series is cleared below the threshold of this sensitivity and called from that of this
specificity on (5 alarms per 100 series), or of less where too many would get no answer. Where both
rates are higher at the middle, every series is answered."""
_OPEN = OperatingPoint(low=0.5, middle=0.5, high=0.5)


def list_all_series(scores: Scores) -> list[LabelledSeries]:
    """The series of a table, judged or not; unfit rows are left out."""
    return list_series(_drop(scores))


def list_fit_series(scores: Scores) -> list[LabelledSeries]:
    """The series of a table that have a label and a judged slice; unfit rows are left out."""
    return [one for one in list_all_series(scores) if one.row.label and one.is_judged]


def fit_study_model(
    series: Sequence[LabelledSeries],
    *,
    slice_middle: float,
    data: str,
) -> StudyModel:
    """Fit all numbers.

    Args:
        series: labelled, and held out: the network was not trained on them.
        slice_middle: threshold on the tumor probability of a slice, from which its tissue counts
            as suspicious.
        data: name of the set, for the record.

    Raises:
        DataError: too few patients; says how many are needed.
    """
    check_enough_series(series, data)
    return _assemble(series, _weigh_crosswise(series), float(to_logit(slice_middle)), data)


def judge_crosswise(scores: Scores, *, by_fold: bool = True) -> Judged:
    """Series and studies of a table, each judged with numbers fitted on other folds or patients.

    Folds of hospitals differ in how many tumors they hold, so that numbers fitted without one lie
    on a scale of their own: a ranking over all folds then mixes these scales. ``by_fold=False``
    fits on other patients of all folds, as close to one scale as a fit on others can be.

    Raises:
        DataError: too few patients in the rest of a fold.
    """
    series = [one for one in list_all_series(scores) if one.is_judged]
    check_enough_series([one for one in series if one.row.label], scores.name)
    middle = float(np.median(scores.thresholds[:, 1]))
    given = _keep_folds(series) if by_fold else None
    fold = given or list(map(str, deal_groups([one.row.group_key for one in series])))
    of_series, of_studies = [], []
    for name in sorted(set(fold)):
        held = [one for one, mine in zip(series, fold, strict=True) if mine == name]
        rest = _leave_out(series, held)
        model = fit_study_model(rest, slice_middle=middle, data=scores.name)
        logits = weigh_series(held, model)
        of_series.append(score_series(held, logits, model.series_points["balanced"], scores.name))
        point = model.study_points["balanced"]
        of_studies.append(score_studies(held, logits, model.study, point, scores.name))
    if given is None:
        others = "other patients"
    else:
        count = len(set(given)) - 1
        others = "the other fold" if count == 1 else f"the other {count} folds"
    how = f"judged with numbers fitted on {others}"
    return Judged(join_scores(of_series), join_scores(of_studies), how)


def judge_heads(scores: Scores, model: StudyModel | None, point: str = "balanced") -> Judged | str:
    """Series and studies of a table, or why they cannot be judged, in a sentence.

    Args:
        scores: of slices.
        model: numbers of the model file that gave the scores; without them, numbers are fitted
            crosswise, as far as there are enough patients.
        point: operating point; numbers that do not have it take the balanced one.
    """
    if not any(one.is_judged for one in list_all_series(scores)):
        return ""
    if model is not None:
        return judge_with(scores, model, point)
    try:
        return judge_crosswise(scores)
    except DataError as error:
        return str(error)


def judge_with(scores: Scores, model: StudyModel, point: str = "balanced") -> Judged:
    """Series and studies of a table, judged with the numbers of a model file."""
    series = [one for one in list_all_series(scores) if one.is_judged]
    logits = weigh_series(series, model)
    of_series = model.series_points.get(point, model.series_points["balanced"])
    of_studies = model.study_points.get(point, model.study_points["balanced"])
    return Judged(
        score_series(series, logits, of_series, scores.name),
        score_studies(series, logits, model.study, of_studies, scores.name),
        f"judged with the numbers of the model file, fitted on {model.fitted_on}",
    )


def check_enough_series(series: Sequence[LabelledSeries], name: str) -> None:
    """Refuse a fit on too few patients.

    Raises:
        DataError: says how many are needed.
    """
    for label in ("tumor", "no_tumor"):
        have = len(_name_patients(series, label))
        if have < LEAST_GROUPS:
            raise DataError(
                f"{name}: too few series to fit numbers for series and studies: {have} patients "
                f"with series labelled {label}; expected at least {LEAST_GROUPS}, with five slices "
                "or more each, a group (the patient) and a sequence; a series of which all slices "
                "are labelled tumor does not count, for no whole head is so"
            )


def _drop(scores: Scores) -> Scores:
    """Without CT and doubtful rows, but with slices of small lesions: a series has them."""
    return drop_unfit(scores, small_lesions=False)[0]


def _name_patients(series: Sequence[LabelledSeries], label: str) -> set[str]:
    return {one.row.group_key for one in series if one.row.label == label}


def _leave_out(
    series: Sequence[LabelledSeries], held: Sequence[LabelledSeries]
) -> list[LabelledSeries]:
    """Labelled series of other patients than the held ones."""
    theirs = {one.row.group_key for one in held}
    return [one for one in series if one.row.label and one.row.group_key not in theirs]


def _keep_folds(series: Sequence[LabelledSeries]) -> list[str] | None:
    """The fold of each series, where the rest of each holds enough patients of both labels."""
    given = [one.fold for one in series]
    if len(set(given)) > 1 and all(
        min(
            len(_name_patients([s for s, f in zip(series, given, strict=True) if f != one], label))
            for label in ("tumor", "no_tumor")
        )
        >= LEAST_GROUPS
        for one in set(given)
    ):
        return given
    return None


def deal_groups(groups: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """(n,) random fold of each row, 0 to `FOLDS` - 1; all rows of a group are in one fold."""
    names, codes = np.unique(np.asarray(groups, str), return_inverse=True)
    return (np.random.default_rng(0).permutation(len(names)) % FOLDS)[codes]


def _weigh_crosswise(series: Sequence[LabelledSeries]) -> npt.NDArray[np.float64]:
    """(n,) log-odds of each series from terms fitted on other patients."""
    to_fit = [one.describe_to_fit() for one in series]
    fold = deal_groups([one.group for one in to_fit])
    logits = np.zeros(len(to_fit))
    for one in range(FOLDS):
        rest = [given for given, mine in zip(to_fit, fold, strict=True) if mine != one]
        terms = fit_series_terms(rest)
        for index in np.flatnonzero(fold == one):
            held = to_fit[index]
            logits[index] = terms.get(held.sequence, terms[OTHER]).add_up(held.features)
    return logits


def choose_point(scores: Scores) -> OperatingPoint:
    """Thresholds for a table of series or of studies."""
    return choose_thresholds(scores, confident=CONFIDENT).point


def _assemble(
    series: Sequence[LabelledSeries],
    honest: npt.NDArray[np.float64],
    level: float,
    data: str,
) -> StudyModel:
    """The final terms, fitted on all series; thresholds and study terms on honest log-odds."""
    terms = fit_study_terms(list_studies(series, honest))
    studies = score_studies(series, honest, terms, _OPEN, data)
    patients = [len(_name_patients(series, label)) for label in ("tumor", "no_tumor")]
    return StudyModel(
        slice_logit=level,
        series=fit_series_terms([one.describe_to_fit() for one in series]),
        study=terms,
        series_points={"balanced": choose_point(score_series(series, honest, _OPEN, data))},
        study_points={"balanced": choose_point(studies)},
        fitted_on=(
            f"{data}: {len(series)} series, {len(studies)} studies, {patients[0]} patients with "
            f"and {patients[1]} without a tumor"
        ),
    )
