"""Calibration: scale and offset of the tumor logit, thresholds, and the familiarity limit.

All three are fitted on slices that the model was not trained on: validation rows at the end of a
training, or labelled slices of a site. Neither needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import numpy.typing as npt

from tumorlens.digits import say_count, say_share
from tumorlens.errors import DataError, UsageError
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import FEW_GROUPS
from tumorlens.evaluation.scores import Scores, as_text
from tumorlens.logits import to_logit
from tumorlens.model.card import OperatingPoint
from tumorlens.model.contract import Calibration
from tumorlens.optional import load

__all__ = [
    "COVERAGE",
    "ChosenPoint",
    "apply_calibration",
    "apply_point",
    "carry_point",
    "check_enough",
    "choose_thresholds",
    "fit_familiarity",
    "fit_logit",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

CONFIDENT = 0.98
"""Sensitivity at ``low`` and specificity at ``high``. Both are lowered together if they would leave
too many slices without an answer."""
COVERAGE = 0.9
"""Share of familiar slices that must get an answer, tumor or no tumor."""
STEP = 0.002
"""Step by which `CONFIDENT` is lowered until enough slices get an answer."""
FAMILIAR = 0.99
"""Share of a site's own slices that must count as familiar."""
SCALE_SPREAD = 0.7
OFFSET_SPREAD = 2.0
"""Prior standard deviations of log(scale) and offset around the identity."""
SMALLEST, LARGEST = 1e-6, 1 - 1e-6
"""Limits of thresholds: no probability is exactly 0 or 1."""


@dataclass(frozen=True)
class ChosenPoint:
    """Thresholds, and the sensitivity and specificity that they reach.

    Attributes:
        point: low, middle, high.
        confident: the sensitivity at ``low`` and the specificity at ``high``, on the slices that
            they were chosen on (as far as the middle threshold allows).
        wish: the goal of the middle threshold, in words.
    """

    point: OperatingPoint
    confident: float
    wish: str


def fit_logit(chance: FloatArray, tumor: BoolArray, group: npt.NDArray[np.generic]) -> Calibration:
    """Scale and offset of the tumor logit that fit labelled slices best (Platt 1999).

    Slices of one group resemble each other, so a group counts as the square root of its slices:
    between one slice (all alike) and all of its slices (all independent). A prior holds few
    groups near the identity and fades as groups are added.

    Args:
        chance: (n,) tumor probabilities as the model gives them now.
        tumor: (n,) labels.
        group: (n,) patient or cluster.
    """
    z, sign = to_logit(chance), np.where(tumor, 1.0, -1.0)
    _, code, size = np.unique(group, return_inverse=True, return_counts=True)
    weight = 1 / np.sqrt(size[code])

    def cost(parameters: FloatArray) -> float:
        stretch, offset = parameters
        margin = sign * (np.exp(stretch) * z + offset)
        prior = (stretch / SCALE_SPREAD) ** 2 + (offset / OFFSET_SPREAD) ** 2
        return float(weight @ np.logaddexp(0, -margin) + prior / 2)

    found = load("scipy.optimize", "calibration").minimize(cost, np.zeros(2), method="BFGS")
    return Calibration(scale=float(np.exp(found.x[0])), offset=float(found.x[1]))


def fit_familiarity(
    unfamiliarity: FloatArray, group: npt.NDArray[np.generic], *, familiar: float = FAMILIAR
) -> float:
    """Factor of unfamiliarity that puts the limit, 1, where ``familiar`` of the slices lie below.

    Every group weighs the same, however many slices it has.
    """
    known = np.isfinite(unfamiliarity)
    value, names = unfamiliarity[known], group[known]
    if not len(value):
        return 1.0
    _, code, size = np.unique(names, return_inverse=True, return_counts=True)
    order = np.argsort(value, kind="stable")
    below = np.cumsum((1 / size[code])[order]) / len(size)
    place = min(int(np.searchsorted(below, familiar)), len(order) - 1)
    limit = float(value[order[place]])
    return 1 / limit if limit > 0 else 1.0


def choose_thresholds(
    scores: Scores,
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
    confident: float = CONFIDENT,
    coverage: float = COVERAGE,
) -> ChosenPoint:
    """Thresholds for an operating point.

    A few odd slices could make the range of uncertain probabilities very wide. So ``confident`` is
    lowered until enough slices get an answer.

    Args:
        scores: labelled, calibrated; rows without a label are ignored.
        sensitivity: wanted at the middle threshold, which is then the highest that reaches it.
        specificity: wanted at the middle threshold, which is then the lowest that reaches it.
            Without either, sensitivity and specificity are made equal.
        confident: sensitivity at ``low`` and specificity at ``high``. It is lowered if ``coverage``
            cannot be reached otherwise.
        coverage: smallest share of the familiar slices that get an answer.

    Raises:
        DataError: one of the labels is missing.
        UsageError: both rates are given, or one lies outside (0, 1).
    """
    _check_wish(sensitivity, specificity)
    positives, negatives = _split_scores(scores)
    if specificity is not None:
        middle = _reach_specificity(negatives, specificity)
    elif sensitivity is not None:
        middle = _reach_sensitivity(positives, sensitivity)
    else:
        middle = _balance(positives, negatives)
    judged = np.sort(scores.tumor_probability[scores.labelled & ~(scores.unfamiliarity > 1)])
    low, high, reached = _widen(
        positives, negatives, judged, middle=middle, most=confident, floor=coverage
    )
    wish = _word_wish(sensitivity, specificity)
    found, passed = (
        say_share(float(np.mean(one)), 1) for one in (positives >= low, negatives < high)
    )
    meaning = (
        f"{wish}; {found} of {say_count(len(positives), 'tumor slice')} are not cleared (at or "
        f"over the low threshold), and {passed} of {say_count(len(negatives), 'other slice')} are "
        "not called tumor (under the high one)"
    )
    if reached < confident:
        meaning += f"; at least {say_share(coverage)} of the slices get an answer"
    point = OperatingPoint(low=low, middle=middle, high=high, meaning=meaning)
    return ChosenPoint(point, reached, wish)


def check_enough(
    scores: Scores,
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Refuse to calibrate on too few groups.

    At least 20 groups with and 20 without tumor are required, as for an interval. A wanted rate r
    needs 1 / (1 - r) groups, so that one group lies on the other side of the threshold.

    Args:
        scores: the scores to calibrate on.
        sensitivity, specificity: wanted rates.
        notes: reasons why there are no more groups, for the message.

    Raises:
        DataError: says how many groups are needed.
    """
    grouped = GroupedScores.of(scores)
    for label, rate, column in (("tumor", sensitivity, 0), ("no_tumor", specificity, 1)):
        need = max(FEW_GROUPS, 0 if rate is None else ceil(1 / (1 - rate) - 1e-9))
        have = int(np.count_nonzero(grouped.of_each[:, column]))
        if have < need:
            wish = "" if rate is None else f" for a rate of {rate:g}"
            raise DataError(
                f"{scores.name}: too few patients to calibrate on: {have} groups (patients) with "
                f"slices labelled {label}; expected at least {need}{wish}: "
                f"add {need - have} more" + "".join(f" ({note})" for note in notes)
            )


def apply_calibration(scores: Scores, fitted: Calibration) -> Scores:
    """The scores after the calibration ``fitted``; `apply_point` gives the new verdicts."""
    z = fitted.scale * to_logit(scores.tumor_probability) + fitted.offset
    p = np.asarray(1 / (1 + np.exp(-z)))
    return replace(
        scores,
        tumor_probability=p,
        probabilities=_spread(scores, p),
        unfamiliarity=scores.unfamiliarity * fitted.unfamiliarity,
    )


def apply_point(scores: Scores, point: OperatingPoint) -> Scores:
    """The scores with other thresholds and the verdicts that these give."""
    rows = zip(
        scores.verdict,
        scores.tumor_probability.tolist(),
        scores.unfamiliarity.tolist(),
        strict=True,
    )
    return replace(
        scores,
        thresholds=np.tile([point.low, point.middle, point.high], (len(scores), 1)),
        verdict=as_text(
            [
                word if word == "not_judged" else point.judge(chance, strange)
                for word, chance, strange in rows
            ]
        ),
    )


def carry_point(point: OperatingPoint, fitted: Calibration) -> OperatingPoint:
    """The thresholds that give the same decisions after the calibration ``fitted``."""
    logits = to_logit(np.array([point.low, point.middle, point.high]))
    low, middle, high = 1 / (1 + np.exp(-(fitted.scale * logits + fitted.offset)))
    return OperatingPoint(
        low=float(low), middle=float(middle), high=float(high), meaning=point.meaning
    )


def _spread(scores: Scores, p: FloatArray) -> FloatArray:
    """Class probabilities for a new tumor probability; tumor classes keep their shares of it."""
    probabilities = scores.probabilities.copy()
    is_tumor = np.array([name != "no_tumor" for name in scores.classes], bool)
    if is_tumor.any():
        total = probabilities[:, is_tumor].sum(axis=1, keepdims=True)
        even = np.full_like(probabilities[:, is_tumor], 1 / is_tumor.sum())
        shares = np.divide(probabilities[:, is_tumor], total, out=even, where=total > 0)
        probabilities[:, is_tumor] = shares * p[:, None]
        probabilities[:, ~is_tumor] = (1 - p)[:, None]
    return probabilities


def _check_wish(sensitivity: float | None, specificity: float | None) -> None:
    if sensitivity is not None and specificity is not None:
        raise UsageError(
            "give a wanted sensitivity or a wanted specificity, not both: "
            "one threshold cannot promise two rates"
        )
    for name, rate in (("sensitivity", sensitivity), ("specificity", specificity)):
        if rate is not None and not 0 < rate < 1:
            raise UsageError(f"{name}: expected a rate between 0 and 1, such as 0.95, got {rate:g}")


def _word_wish(sensitivity: float | None, specificity: float | None) -> str:
    if sensitivity is not None:
        return f"sensitivity {sensitivity:g} at the middle"
    if specificity is not None:
        return f"specificity {specificity:g} at the middle"
    return "sensitivity and specificity equal at the middle"


def _split_scores(scores: Scores) -> tuple[FloatArray, FloatArray]:
    """Tumor probabilities of slices with and without tumor, each in ascending order."""
    p, y = scores.tumor_probability, scores.tumor
    positives, negatives = np.sort(p[y]), np.sort(p[scores.labelled & ~y])
    if not (len(positives) and len(negatives)):
        missing = "tumor" if not len(positives) else "no_tumor"
        raise DataError(
            f"{scores.name}: no slice is labelled {missing}; thresholds need both labels"
        )
    return positives, negatives


def _reach_sensitivity(positives: FloatArray, rate: float) -> float:
    """The highest threshold that finds ``rate`` of the tumor slices, halfway to the next missed."""
    missed = int(np.floor((1 - rate) * len(positives) + 1e-9))
    return _between(positives[missed - 1] if missed else 0.0, positives[missed])


def _reach_specificity(negatives: FloatArray, rate: float) -> float:
    """The lowest threshold that clears ``rate`` of the other slices, halfway to the next alarm."""
    cleared = negatives[ceil(rate * len(negatives) - 1e-9) - 1]
    alarms = negatives[negatives > cleared]
    return _between(cleared, alarms[0] if len(alarms) else 1.0)


def _widen(
    positives: FloatArray,
    negatives: FloatArray,
    judged: FloatArray,
    *,
    middle: float,
    most: float,
    floor: float,
) -> tuple[float, float, float]:
    """The widest range (low, high) with which enough slices get an answer, and its rate."""
    for rate in np.arange(most, 0, -STEP).tolist():
        low = min(middle, _reach_sensitivity(positives, rate))
        high = max(middle, _reach_specificity(negatives, rate))
        silent = np.searchsorted(judged, high) - np.searchsorted(judged, low)
        if silent <= (1 - floor) * len(judged) + 1e-9:
            return low, high, rate
    return middle, middle, 0.0


def _between(below: float, above: float) -> float:
    """The middle, but never ``below`` itself: a value that equals a threshold counts as over it."""
    middle = (below + above) / 2
    return float(np.clip(middle if middle > below else above, SMALLEST, LARGEST))


def _balance(positives: FloatArray, negatives: FloatArray) -> float:
    """The threshold at which sensitivity and specificity are equal."""
    levels = np.unique(np.concatenate([positives, negatives]))
    missed = np.searchsorted(positives, levels, "left") / len(positives)
    cleared = np.searchsorted(negatives, levels, "left") / len(negatives)
    cross = np.flatnonzero(missed + cleared >= 1)
    k = int(cross[0]) if len(cross) else len(levels) - 1
    return _between(levels[max(k - 1, 0)], levels[k])
