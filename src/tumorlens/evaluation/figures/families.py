"""All figures of one subset of the data, and their paired differences between two models.

The two models judge the same slices, and every draw of groups is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tumorlens.errors import DataError
from tumorlens.evaluation.figures.clearing import clearing_family
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import (
    FEW_GROUPS,
    REPLICATES,
    Difference,
    Family,
    Statistic,
    bound_replicates,
    draw_weights,
    replicate_family,
)
from tumorlens.evaluation.figures.levels import level_families
from tumorlens.evaluation.figures.patients import patient_family
from tumorlens.evaluation.figures.pointing import pointing_family
from tumorlens.evaluation.figures.ranking import ranking_family
from tumorlens.evaluation.figures.reliability import abstention_family, calibration_family
from tumorlens.evaluation.figures.verdict_figures import (
    class_families,
    two_way_families,
    verdict_family,
)

__all__ = ["build_families", "compare_figures"]

FloatArray = npt.NDArray[np.float64]
Builder = Callable[[GroupedScores], Sequence[Family]]


def build_families(grouped: GroupedScores, prevalence: float | None = None) -> list[Family]:
    """All figures of the data. A note says why a figure cannot be computed.

    A new figure is one more line here.

    Args:
        grouped: the rows. Without any label only the shares of the verdicts are measured.
        prevalence: share of tumor slices at which PPV and NPV are stated.
    """
    if not grouped.scores.labelled.any():
        return [verdict_family(grouped)]
    optional = [clearing_family(grouped), patient_family(grouped), pointing_family(grouped)]
    return [
        ranking_family(grouped),
        *two_way_families(grouped, prevalence),
        *class_families(grouped),
        calibration_family(grouped),
        verdict_family(grouped),
        abstention_family(grouped),
        *level_families(grouped),
        *(family for family in optional if family is not None),
    ]


def compare_figures(
    grouped: GroupedScores,
    other: GroupedScores,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    build: Builder = build_families,
) -> list[Difference]:
    """Differences of every figure that both have.

    Args:
        grouped, other: the same rows in the same order, judged by two models.
        replicates, seed: of the bootstrap.
        build: gives the figures to compare; all of them by default.

    Raises:
        DataError: the rows differ.
    """
    if grouped.names != other.names or not np.array_equal(grouped.codes, other.codes):
        raise DataError("the two tables of scores hold different rows; score both on one manifest")
    weights = draw_weights(len(grouped.names), replicates, seed)
    theirs = {one.name: (one.value, drawn) for one, drawn in _replicate(build(other), weights)}
    differences = []
    for statistic, drawn in _replicate(build(grouped), weights):
        value, other_drawn = theirs.get(statistic.name, (np.nan, drawn))
        if np.isfinite(statistic.value) and np.isfinite(value):
            differences.append(_subtract(statistic, drawn - other_drawn, value))
    return differences


def _replicate(
    families: Sequence[Family], weights: npt.NDArray[np.uint8]
) -> Iterator[tuple[Statistic, FloatArray]]:
    for family in families:
        drawn = replicate_family(family, weights)
        yield from zip(family.statistics, drawn.T, strict=True)


def _subtract(statistic: Statistic, drawn: FloatArray, other: float) -> Difference:
    difference = statistic.value - other
    # Noise pushes both ECEs up, but not equally: the better calibrated one more.
    bias = float(np.nanmean(drawn)) - difference if statistic.biased else 0.0
    low, high = bound_replicates(drawn, statistic.groups, value=difference - bias)
    if statistic.share:
        low, high = max(low, -1.0), min(high, 1.0)
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
