"""95 % intervals by a bootstrap over groups, which weights groups instead of copying rows.

A replicate draws as many groups as there are, with replacement. A group that is drawn twice has the
weight 2. Figures use these weights, so no row is copied. All figures of a table use the same draws,
so differences between them are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.optional import load

__all__ = [
    "FEW_GROUPS",
    "REPLICATES",
    "Difference",
    "Estimate",
    "Family",
    "Statistic",
    "bound_exactly",
    "bound_replicates",
    "draw_weights",
    "find_estimate",
    "measure",
    "replicate_family",
]

FloatArray = npt.NDArray[np.float64]

REPLICATES = 1000
FEW_GROUPS = 20
"""With fewer groups there is no interval; the counts per group are listed instead."""

LARGEST_STEP = np.log(20.0)
"""On the logit or logarithmic scale: how far a replicate may lie from the figure."""

NO_SPREAD = 1e-9
"""A narrower interval is left out: every draw gave the same value."""

CELLS_AT_ONCE = 4_000_000
"""Most weights that are held as floats at a time: about 32 MB."""


class Estimate(msgspec.Struct, frozen=True, omit_defaults=True):
    """One figure with its interval and its numbers of slices and groups.

    Attributes:
        name: e.g. ``sensitivity``.
        value: None where it cannot be computed; ``note`` says why.
        low, high: ends of the 95 % interval; None where there is none.
        method: ``bootstrap`` over groups, ``exact`` (Clopper-Pearson on groups, where no error
            or nothing but errors was seen) or ``counts`` (under 20 groups).
        n: slices (or series, patients, pairs: what the figure counts).
        groups: independent groups that carry it; for a figure that needs both labels, those
            of the rarer one.
        counts: under 20 groups: (group, part, whole) each, e.g. slices found, tumor slices.
        note: what to know about it.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    method: str = ""
    n: int = 0
    groups: int = 0
    counts: list[tuple[str, float, float]] = []
    note: str = ""


def find_estimate(estimates: Iterable[Estimate], name: str) -> Estimate | None:
    """The figure of that name; None if it was not measured."""
    return next((one for one in estimates if one.name == name), None)


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One figure of two models on the same rows.

    Attributes:
        name: of the figure.
        value: this model's.
        other: the other model's.
        difference: value minus other.
        low, high: 95 % interval of the difference; None under 20 groups, or where no draw of
            groups changed it.
        groups: number of groups behind the figure.
    """

    name: str
    value: float
    other: float
    difference: float
    low: float | None = None
    high: float | None = None
    groups: int = 0


@dataclass(frozen=True)
class Statistic:
    """A figure before its interval is known.

    Attributes:
        name: of the figure.
        value: on the data as they are; NaN where it cannot be computed.
        n: what it counts.
        groups: independent groups that carry it; of a figure that needs both labels, those of
            the rarer one.
        parts: (G, 2) numbers to list under 20 groups: part and whole; None where no count says it.
        share: True if it lies in [0, 1] and its ends mean "no error" and "nothing but errors":
            there a bootstrap sees no spread, and an exact bound on groups takes its place. Its
            interval is symmetric in the logit.
        correlation: True if it lies in [-1, 1]: its interval is symmetric in Fisher's z.
        positive: True for figures from 0 up without an upper end, such as the loss: the interval is
            symmetric in the logarithm, and never reaches below 0.
        biased: True for figures such as the ECE, which noise pushes up: the interval is centred
            at the value less the bias that the replicates show, and ends at 0.
        note: what to know about it.
    """

    name: str
    value: float
    n: int
    groups: int
    parts: FloatArray | None = None
    share: bool = False
    correlation: bool = False
    positive: bool = False
    biased: bool = False
    note: str = ""


@dataclass(frozen=True)
class Family:
    """Statistics that share the work of a replicate.

    Attributes:
        statistics: k of them.
        replicate: (b, G) weights -> (b, k) values, NaN where a draw cannot tell.
        width: numbers that ``replicate`` holds for each replicate; sets how many run at once.
    """

    statistics: tuple[Statistic, ...]
    replicate: Callable[[FloatArray], FloatArray]
    width: int = 0


def draw_weights(groups: int, replicates: int = REPLICATES, seed: int = 0) -> npt.NDArray[np.uint8]:
    """(replicates, groups): how often each group was drawn. One byte each: none comes near 255."""
    rng = np.random.default_rng(seed)
    weights = np.empty((replicates, groups), np.uint8)
    for row in weights:
        row[:] = np.bincount(rng.integers(0, groups, groups), minlength=groups)
    return weights


def measure(
    families: Sequence[Family],
    group_names: Sequence[str],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> list[Estimate]:
    """Give every statistic its interval, all from the same draws."""
    weights = draw_weights(len(group_names), replicates, seed) if len(group_names) else None
    estimates = []
    for family in families:
        values = None if weights is None else replicate_family(family, weights)
        for column, statistic in enumerate(family.statistics):
            drawn = np.empty(0) if values is None else values[:, column]
            estimates.append(_finish(statistic, drawn, group_names))
    return estimates


def replicate_family(
    family: Family, weights: npt.NDArray[np.uint8], cells: int = CELLS_AT_ONCE
) -> FloatArray:
    """(B, k) values of a family under (B, G) weights, a few replicates at a time."""
    size = max(1, cells // max(1, weights.shape[1], family.width))
    chunks = (weights[start : start + size] for start in range(0, len(weights), size))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.concatenate([family.replicate(chunk.astype(np.float64)) for chunk in chunks])


def bound_replicates(
    values: FloatArray,
    groups: int,
    *,
    value: float,
    share: bool = False,
    correlation: bool = False,
    positive: bool = False,
    biased: bool = False,
) -> tuple[float, float]:
    """Ends of the 95 % interval: the value, and the spread of its replicates times Student's t.

    With tens of groups, percentiles of the replicates cover too little: they are too narrow by
    sqrt((G - 1) / G) and by the normal in place of t (Hesterberg, What teachers should know about
    the bootstrap, 2015, section 5.4), and skewed figures such as an AUC near 1 are missed on one
    side. Shares are therefore spread on the logit scale, where they are nearly symmetric, and
    losses on the logarithmic one (benchmarks/coverage.py compares).

    Args:
        values: (B,) replicates; those that are NaN could not tell.
        groups: number of groups behind the figure.
        value: of the figure itself.
        share, correlation, positive, biased: as in `Statistic`.

    Returns:
        Low and high; NaN where more than half of the replicates are.
    """
    known = values[np.isfinite(values)]
    if groups < 2 or len(known) < max(2, len(values) / 2):
        return np.nan, np.nan
    student = load("scipy.stats", "intervals").t.ppf(0.975, groups - 1)
    reach = float(student * np.sqrt(groups / (groups - 1)))
    if share:
        return _bound_share(known, value, reach)
    if correlation:  # the logit of (1 + r) / 2 is twice Fisher's z
        low, high = _bound_share((known + 1) / 2, (value + 1) / 2, reach)
        return 2 * low - 1, 2 * high - 1
    if positive:
        return _bound_positive(known, value, reach)
    spread = reach * float(known.std())
    if biased:
        center = max(0.0, 2 * value - float(known.mean()))
        return max(0.0, center - spread), center + spread
    return value - spread, value + spread


def _bound_share(known: FloatArray, value: float, reach: float) -> tuple[float, float]:
    center = float(_logit(np.array(value)))
    # A replicate without any error has no logit; it counts as one of a twentieth the odds.
    drawn = np.clip(_logit(known), center - LARGEST_STEP, center + LARGEST_STEP)
    low, high = 1 / (1 + np.exp(-(center + np.array([-reach, reach]) * drawn.std())))
    return float(low), float(high)


def _bound_positive(known: FloatArray, value: float, reach: float) -> tuple[float, float]:
    if value <= 0:
        return 0.0, float(known.max())
    floor = value * np.exp(-LARGEST_STEP)
    spread = float(np.log(np.maximum(known, floor)).std())
    return value * float(np.exp(-reach * spread)), value * float(np.exp(reach * spread))


def bound_exactly(right: int, groups: int) -> tuple[float, float]:
    """Clopper-Pearson 95 % interval of a share of ``groups`` independent groups."""
    interval = load("scipy.stats", "intervals").binomtest(right, groups).proportion_ci(0.95)
    return float(interval.low), float(interval.high)


def _finish(statistic: Statistic, values: FloatArray, group_names: Sequence[str]) -> Estimate:
    known = not np.isnan(statistic.value)
    estimate = Estimate(
        statistic.name,
        float(statistic.value) if known else None,
        n=statistic.n,
        groups=statistic.groups,
        note=statistic.note,
    )
    if not known or statistic.groups == 0:
        return estimate
    few = statistic.groups < FEW_GROUPS
    counts = _list_counts(statistic, group_names) if few else []
    flawless = _bound_flawless(statistic)
    if flawless is not None:
        return _with(estimate, low=flawless[0], high=flawless[1], method="exact", counts=counts)
    if few:
        return _with(estimate, method="counts", counts=counts)
    low, high = bound_replicates(
        values,
        statistic.groups,
        value=statistic.value,
        share=statistic.share,
        correlation=statistic.correlation,
        positive=statistic.positive,
        biased=statistic.biased,
    )
    if np.isnan(low):
        return estimate
    if high - low < NO_SPREAD:  # the draws see no error, which does not mean that there is none
        note = "; ".join(filter(None, (estimate.note, "no draw of groups differs")))
        return _with(estimate, note=note)
    return _with(estimate, low=low, high=high, method="bootstrap")


def _bound_flawless(statistic: Statistic) -> tuple[float, float] | None:
    """Where no error was seen, a bootstrap sees none either: count groups without an error."""
    if not statistic.share or statistic.value not in (0.0, 1.0):
        return None
    return bound_exactly(statistic.groups if statistic.value else 0, statistic.groups)


def _list_counts(statistic: Statistic, names: Sequence[str]) -> list[tuple[str, float, float]]:
    if statistic.parts is None:
        return []
    return [
        (name, round(part, 4), round(whole, 4))
        for name, (part, whole) in zip(names, statistic.parts.tolist(), strict=True)
        if whole > 0
    ]


def _with(estimate: Estimate, **changes: object) -> Estimate:
    return msgspec.structs.replace(estimate, **changes)


def _logit(share: FloatArray) -> FloatArray:
    p = np.clip(share, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(p) - np.log1p(-p))
