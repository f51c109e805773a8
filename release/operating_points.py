"""Operating points from pooled held-out scores.

Alarms are counted on tumor-free people, because a model meets them most. *Found* is counted on all
slices with a tumor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tumorlens.digits import show_probability
from tumorlens.errors import DataError
from tumorlens.evaluation.figures.clearing import judge_chance, largest_of_series, part_people
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.scores import SMALLEST_LESION, Scores
from tumorlens.model.card import OperatingPoint

__all__ = ["choose_points"]

FloatArray = npt.NDArray[np.float64]

ALARMED = 0.15
"""Share of the series of tumor-free people that may hold a slice called tumor, at ``balanced``."""
CLEARED, CLEARED_SPECIFIC = 0.99, 0.995
"""Share of the slices of tumor-free people that is not called tumor, at least."""
FOUND = 0.95
"""Share of the tumor slices that ``sensitive`` calls tumor."""
UNCERTAIN = 0.08
"""Share of all slices that may lie between two thresholds, at most."""


def choose_points(scores: Scores) -> dict[str, OperatingPoint]:
    """``balanced``, ``sensitive`` and ``specific``.

    Args:
        scores: held-out, calibrated, of people with and without tumors.

    Raises:
        DataError: no tumor slice, or no people without a tumor.
    """
    grouped = GroupedScores.of(scores)
    free, positives = part_people(grouped)
    if not (free.any() and positives.any()):
        raise DataError(
            f"{scores.name}: operating points need slices with a tumor of over {SMALLEST_LESION} "
            "pixels and people without one; give scores that hold both"
        )
    p = judge_chance(scores)
    negatives, tumors, judged = (np.sort(p[rows]) for rows in (free, positives, scores.labelled))
    largest = largest_of_series(grouped, free)
    high = _clear(negatives, CLEARED)
    if largest.size:
        high = max(high, _clear(np.sort(largest), 1 - ALARMED))
    found = float(tumors[int((1 - FOUND) * len(tumors))])
    low = max(min(found, high), _widest(judged, high))
    points = {
        "balanced": (low, _equalize(negatives, tumors, low, high), high),
        "sensitive": (min(low, found), found, found),
        "specific": (low, *[max(high, _clear(negatives, CLEARED_SPECIFIC))] * 2),
    }
    return {
        name: OperatingPoint(
            low=one[0],
            middle=one[1],
            high=one[2],
            meaning=_describe(one[2], negatives, tumors, largest),
        )
        for name, one in points.items()
    }


def _clear(ordered: FloatArray, share: float) -> float:
    """The smallest threshold under which that share lies."""
    place = min(int(np.ceil(share * len(ordered) - 1e-9)), len(ordered)) - 1
    return float(min(1.0, np.nextafter(ordered[place], 1.0)))


def _widest(ordered: FloatArray, high: float) -> float:
    """The lowest threshold that leaves no more than `UNCERTAIN` of all slices below ``high``."""
    below = int(np.searchsorted(ordered, high))
    first = max(0, below - int(UNCERTAIN * len(ordered)))
    return float(ordered[first]) if first < below else high


def _equalize(negatives: FloatArray, tumors: FloatArray, low: float, high: float) -> float:
    """Between the two: where found and cleared are most nearly equal."""
    both = np.concatenate([[low, high], negatives, tumors])
    steps = np.unique(both[(both >= low) & (both <= high)])
    found = 1 - np.searchsorted(tumors, steps) / len(tumors)
    cleared = np.searchsorted(negatives, steps) / len(negatives)
    return float(steps[int(np.abs(found - cleared).argmin())])


def _describe(high: float, negatives: FloatArray, tumors: FloatArray, largest: FloatArray) -> str:
    told = (
        f"called tumor from {show_probability(high)} on: {np.mean(tumors >= high):.3f} of "
        f"{len(tumors)} tumor slices, {np.mean(negatives >= high):.4f} of {len(negatives)} slices "
        "of tumor-free people"
    )
    if largest.size:
        told += f", at least one in {np.mean(largest >= high):.3f} of their {len(largest)} series"
    return f"{told}; on held-out scores"
