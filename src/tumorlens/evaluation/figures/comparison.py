"""Paired differences: two models on the same slices, under the same draws of groups."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.errors import DataError
from tumorlens.evaluation.figures.cases import Cases
from tumorlens.evaluation.figures.families import build_families
from tumorlens.evaluation.figures.intervals import (
    FEW_GROUPS,
    REPLICATES,
    Statistic,
    bound_replicates,
    draw_weights,
    replicate_family,
)

__all__ = ["Difference", "compare_cases"]

FloatArray = npt.NDArray[np.float64]


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One figure of two models on the same rows.

    Attributes:
        name: of the figure.
        value: this model's.
        other: the other model's.
        difference: value minus other.
        low, high: 95 % interval of the difference; None under 20 groups, or where no draw of
            groups changed it.
        groups: that carry the figure.
    """

    name: str
    value: float
    other: float
    difference: float
    low: float | None = None
    high: float | None = None
    groups: int = 0


def compare_cases(
    cases: Cases, other: Cases, *, replicates: int = REPLICATES, seed: int = 0
) -> list[Difference]:
    """Differences of every figure that both have.

    Args:
        cases, other: the same rows in the same order, judged by two models.

    Raises:
        DataError: the rows differ.
    """
    if cases.names != other.names or not np.array_equal(cases.codes, other.codes):
        raise DataError("the two tables of scores hold different rows; score both on one manifest")
    weights = draw_weights(len(cases.names), replicates, seed)
    theirs = {one.name: (one.value, drawn) for one, drawn in _replicate(other, weights)}
    differences = []
    for statistic, drawn in _replicate(cases, weights):
        value, other_drawn = theirs.get(statistic.name, (np.nan, drawn))
        if np.isfinite(statistic.value) and np.isfinite(value):
            differences.append(_subtract(statistic, drawn - other_drawn, value))
    return differences


def _replicate(
    cases: Cases, weights: npt.NDArray[np.uint8]
) -> Iterator[tuple[Statistic, FloatArray]]:
    for family in build_families(cases):
        drawn = replicate_family(family, weights)
        yield from zip(family.statistics, drawn.T, strict=True)


def _subtract(statistic: Statistic, drawn: FloatArray, other: float) -> Difference:
    difference = statistic.value - other
    # Noise pushes both ECEs up, but not equally: the better calibrated one more.
    bias = float(np.nanmean(drawn)) - difference if statistic.biased else 0.0
    low, high = bound_replicates(drawn, statistic.groups, value=difference - bias)
    shown = statistic.groups >= FEW_GROUPS and bool(np.isfinite(low)) and low < high
    return Difference(
        statistic.name,
        statistic.value,
        other,
        difference,
        low if shown else None,
        high if shown else None,
        statistic.groups,
    )
