"""Are the probabilities calibrated: ECE, reliability table, error with abstention.

The expected calibration error (ECE) uses equal-mass bins of the tumor probability,
max(5, min(15, n / 100)) of them, source by source, on sources with both labels.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.evaluation.figures.grouped_scores import GroupedScores, Ratio, ratio_family
from tumorlens.evaluation.figures.intervals import Family, Statistic, measure
from tumorlens.evaluation.scores import Scores
from tumorlens.logits import to_logit

__all__ = [
    "ReliabilityBin",
    "abstention_family",
    "assign_bins",
    "calibration_error",
    "calibration_family",
    "expect_error",
    "tabulate_reliability",
]

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

SIMULATIONS = 200
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
"""Shares of slices answered at which the error is stated."""


class ReliabilityBin(msgspec.Struct, frozen=True):
    """Slices with nearly the same tumor probability.

    Attributes:
        source: of the slices.
        n, groups: slices and groups in the bin.
        predicted: mean tumor probability.
        observed: share of tumor slices.
        low, high: 95 % interval of ``observed``; None under 20 groups.
    """

    source: str
    n: int
    groups: int
    predicted: float
    observed: float
    low: float | None = None
    high: float | None = None


def assign_bins(scores: Scores) -> IndexArray:
    """(n,) number of each slice's bin, unique over sources; -1 if it is in no bin."""
    source = scores.column("source")
    bins = np.full(len(scores), -1, np.intp)
    used = 0
    for name in np.unique(source[scores.labelled].astype(str)):
        rows = np.flatnonzero(scores.labelled & (source == name))
        if len(np.unique(scores.tumor[rows])) < 2:
            continue
        count = min(len(rows), max(5, min(15, len(rows) // 100)))
        order = np.argsort(scores.tumor_probability[rows], kind="stable")
        bins[rows[order]] = used + np.arange(len(rows)) * count // len(rows)
        used += count
    return bins


def calibration_error(chance: FloatArray, tumor: BoolArray, bins: IndexArray) -> float:
    """Sum over bins of |predicted - observed|, each by its share of the slices."""
    used = bins >= 0
    if not used.any():
        return float("nan")
    gap = np.bincount(bins[used], weights=chance[used] - tumor[used])
    return float(np.abs(gap).sum() / used.sum())


def expect_error(chance: FloatArray, bins: IndexArray) -> float:
    """Mean ECE of a perfectly calibrated model with these probabilities and this n."""
    used = bins >= 0
    if not used.any():
        return float("nan")
    p, number = chance[used], bins[used]
    rng = np.random.default_rng(0)
    drawn = [calibration_error(p, rng.random(len(p)) < p, number) for _ in range(SIMULATIONS)]
    return float(np.mean(drawn))


def calibration_family(grouped: GroupedScores) -> Family:
    """The ECE, and the ECE that a perfectly calibrated model would have on these slices."""
    s = grouped.scores
    bins = assign_bins(s)
    used = bins >= 0
    count = int(bins.max(initial=-1)) + 1
    key = grouped.codes[used] * count + bins[used]
    size = len(grouped.names) * count
    gaps = np.bincount(
        key, weights=s.tumor_probability[used] - s.tumor[used], minlength=size
    ).reshape(len(grouped.names), count)
    slices = grouped.total(used)

    def replicate(weights: FloatArray) -> FloatArray:
        return np.asarray(np.abs(weights @ gaps).sum(axis=1) / (weights @ slices))[:, None]

    chance = expect_error(s.tumor_probability, bins)
    statistic = Statistic(
        "ece",
        calibration_error(s.tumor_probability, s.tumor, bins),
        n=int(used.sum()),
        groups=grouped.count_groups(used),
        parts=grouped.of_each,
        biased=True,
        note=f"perfectly calibrated: {chance:.3f}" if count else "needs a source with both labels",
    )
    return Family((statistic,), replicate, width=count)


def tabulate_reliability(
    grouped: GroupedScores, *, replicates: int, seed: int
) -> list[ReliabilityBin]:
    """The table behind the ECE."""
    s = grouped.scores
    bins = assign_bins(s)
    if not (bins >= 0).any():
        return []
    numbers = range(int(bins.max()) + 1)
    family = ratio_family(grouped, [Ratio("", s.tumor & (bins == k), bins == k) for k in numbers])
    estimates = measure([family], grouped.names, replicates=replicates, seed=seed)
    source = s.column("source")
    return [
        ReliabilityBin(
            source=str(source[np.argmax(bins == k)]),
            n=one.n,
            groups=one.groups,
            predicted=float(s.tumor_probability[bins == k].mean()),
            observed=float(s.tumor[bins == k].mean()),
            low=one.low,
            high=one.high,
        )
        for k, one in zip(numbers, estimates, strict=True)
    ]


def abstention_family(grouped: GroupedScores) -> Family:
    """Error of the two-way answer if only the surest share of slices gets an answer.

    Sureness is the distance of the tumor logit from the middle threshold; slices that the model
    calls unfamiliar are answered last.
    """
    s = grouped.scores
    rows = np.flatnonzero(s.labelled)
    distance = np.abs(to_logit(s.tumor_probability) - to_logit(s.thresholds[:, 1]))[rows]
    order = rows[np.lexsort((-distance, s.unfamiliarity[rows] > 1))]
    wrong = s.called != s.tumor
    ratios = []
    for coverage in COVERAGES:
        answered = np.zeros(len(s), bool)
        answered[order[: round(coverage * len(order))]] = True
        ratios.append(
            Ratio(f"error_at_coverage_{round(100 * coverage)}", answered & wrong, answered)
        )
    return ratio_family(grouped, ratios)
