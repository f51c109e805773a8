"""`Profile`: the evidence of a series along the head, millimetre by millimetre.

Slices are samples of the head: the same head cut into 25 thick or 150 thin ones shall give the same
evidence. So the tumor logits of the slices are read as a curve over the position in mm, linear
between neighbours, and everything is measured on that curve, never on the number of slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "FEATURES",
    "HEAD_MM",
    "LIMIT",
    "NEAR_MM",
    "UNKNOWN_GAP_MM",
    "Profile",
    "measure_features",
    "measure_tissue",
    "place_slices",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

GRID_MM = 1.0
NEAR_MM = 7.5
"""Largest distance, in mm, at which a slice stands for tissue; beyond it nothing is known."""
HEAD_MM = 160.0
"""Assumed length of a head, in mm, if only the order of its slices is known."""
UNKNOWN_GAP_MM = 5.0
"""Taken between slices whose distance is unknown, as in most clinical series; less where so many
slices would be longer than a head."""
LONGEST_MM = 3000.0
"""Positions that span more are no positions in a patient."""
LIMIT = 7.0
"""Logits are limited to plus and minus this (0.999), so that no slice outvotes all others."""
SHORT_MM, MOST_MM = 10.0, 30.0
"""Lengths of tissue, in mm, over which evidence is averaged: a small tumor, a large tumor."""
QUIET = 0.25
"""Share of the tissue that is taken for quiet, whatever the head shows: few tumors fill more than
three quarters of it."""

FEATURES = ("top_10mm", "most_30mm", "quiet")
"""What a study model may weigh:

- ``top_10mm``: the largest mean logit over 10 mm of contiguous tissue;
- ``most_30mm``: the mean of the highest logits over 30 mm of tissue, contiguous or not;
- ``quiet``: minus the logit that a quarter of the tissue stays below. A scanner or a site that
  lifts the whole head lifts its quietest part, too, and a tumor does not: this is the head's own
  measure of how much a peak means.
"""


@dataclass(frozen=True, eq=False)
class Profile:
    """Tumor logits along one series.

    Attributes:
        at_mm: (m,) places along the normal, `GRID_MM` apart.
        logit: (m,) tumor logit there, within plus and minus `LIMIT`.
        covered: (m,) whether a slice is near enough to speak for the place.
        spacing_known: False where the distance of the slices was assumed.
    """

    at_mm: FloatArray
    logit: FloatArray
    covered: BoolArray
    spacing_known: bool

    @classmethod
    def of(
        cls, logits: npt.ArrayLike, positions_mm: Sequence[float | None] | None = None
    ) -> Profile:
        """The profile of slices in their order.

        Args:
            logits: (n,) tumor logits, at least one.
            positions_mm: (n,) along the normal, in any order; where one is missing, the slices
                are taken as evenly spaced.
        """
        value = np.clip(np.asarray(logits, np.float64), -LIMIT, LIMIT)
        if value.ndim != 1 or not len(value):
            raise ValueError(f"a profile needs the logits of at least one slice, got {value.shape}")
        place, known = place_slices(positions_mm, len(value))
        place, value = _merge(place, value)
        beyond = half_gap(place)
        grid = np.arange(place[0] - beyond, place[-1] + beyond + GRID_MM / 2, GRID_MM)
        nearest = np.abs(grid[:, None] - place[_bracket(place, grid)]).min(axis=1)
        return cls(grid, np.interp(grid, place, value), nearest <= NEAR_MM + 1e-6, known)

    @property
    def length_mm(self) -> float:
        """Length of tissue, in mm, that the slices cover."""
        return float(self.covered.sum() * GRID_MM)

    def smooth(self, length_mm: float) -> FloatArray:
        """(m,) mean logit over the ``length_mm`` of tissue around each place; NaN where uncovered.

        A window that leaves the covered tissue takes the mean of what it holds of it.
        """
        total, count = self._add_up(length_mm)
        mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
        return np.where(self.covered, mean, np.nan)

    def top(self, length_mm: float) -> float:
        """The largest mean logit over ``length_mm`` of contiguous tissue.

        Windows that hold less tissue, at the ends and at gaps, count as if the missing part were
        like the mean of the series: an end is no easier to alarm at than the middle.
        """
        total, count = self._add_up(length_mm)
        wanted = min(count.max(), length_mm / GRID_MM)
        filled = (total + (wanted - count) * min(self.mean, 0.0)) / wanted
        return float(filled[self.covered].max())

    @property
    def mean(self) -> float:
        """Mean logit over all tissue."""
        return float(self.logit[self.covered].mean())

    def find_run(self, threshold: float) -> tuple[float, float] | None:
        """The stretch with the strongest evidence among those over a threshold.

        Args:
            threshold: on the logit averaged over `SHORT_MM`.

        Returns:
            (start, end) in mm along the normal; None where no place reaches the threshold.
        """
        over = np.nan_to_num(self.smooth(SHORT_MM), nan=-np.inf) >= threshold
        if not over.any():
            return None
        edges = np.flatnonzero(np.diff(np.concatenate([[0], over.astype(np.int8), [0]])))
        starts, ends = edges[::2], edges[1::2]
        excess = np.where(self.covered, self.logit - threshold, 0.0)
        sums = [excess[start:end].sum() for start, end in zip(starts, ends, strict=True)]
        best = int(np.argmax(sums))
        return float(self.at_mm[starts[best]]), float(self.at_mm[ends[best] - 1])

    def _add_up(self, length_mm: float) -> tuple[FloatArray, FloatArray]:
        """(m,) sums of the logit, and covered places, in the window around each place."""
        cells = max(1, round(length_mm / GRID_MM))
        total = _window_sums(np.where(self.covered, self.logit, 0.0), cells)
        return total, _window_sums(self.covered.astype(np.float64), cells)

    def most(self, length_mm: float) -> float:
        """Mean of the highest logits over so much tissue, wherever it lies."""
        cells = max(1, round(length_mm / GRID_MM))
        return float(np.sort(self.logit[self.covered])[-cells:].mean())

    def level(self, share: float) -> float:
        """The logit below which a share of the tissue lies."""
        return float(np.quantile(self.logit[self.covered], share))


def place_slices(
    positions_mm: Sequence[float | None] | None, count: int
) -> tuple[FloatArray, bool]:
    """(n,) places of slices in mm, and whether their distances are known."""
    if positions_mm is not None and all(one is not None for one in positions_mm):
        place = np.array(positions_mm, np.float64)
        if len(place) != count:
            raise ValueError(f"{count} slices but {len(place)} positions")
        finite = bool(np.isfinite(place).all())
        # All at one place: a column that somebody filled with one number.
        if finite and (count == 1 or 0 < np.ptp(place) <= LONGEST_MM):
            return place, count > 1
    gap = min(UNKNOWN_GAP_MM, HEAD_MM / count)
    return np.arange(count, dtype=np.float64) * gap, False


def measure_tissue(place: FloatArray) -> FloatArray:
    """(n,) mm of tissue that each slice stands for: halfway to its neighbours, at most 15 mm.

    Args:
        place: (n,) along the normal, in any order.
    """
    order = np.argsort(place, kind="stable")
    gaps = np.minimum(np.diff(place[order]) / 2, NEAR_MM)
    beyond = half_gap(place[order])
    tissue = np.empty(len(place))
    tissue[order] = np.append(beyond, gaps) + np.append(gaps, beyond)
    return tissue


def half_gap(place: FloatArray) -> float:
    """How far the first and the last slice reach beyond themselves: half of the usual gap."""
    gaps = np.diff(np.unique(place))
    gap = float(np.median(gaps)) if len(gaps) else UNKNOWN_GAP_MM
    return min(gap / 2, NEAR_MM)


def measure_features(profile: Profile) -> dict[str, float]:
    """The `FEATURES` of the profile of one series."""
    values = (profile.top(SHORT_MM), profile.most(MOST_MM), -profile.level(QUIET))
    return dict(zip(FEATURES, values, strict=True))


def _merge(place: FloatArray, value: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rising places; slices at one place are averaged."""
    spots, code = np.unique(place, return_inverse=True)
    return spots, np.bincount(code, weights=value) / np.bincount(code)


def _bracket(place: FloatArray, grid: FloatArray) -> npt.NDArray[np.intp]:
    """(m, 2) indices of the slices before and after each place of the grid."""
    after = np.clip(np.searchsorted(place, grid), 0, len(place) - 1)
    return np.stack([np.maximum(after - 1, 0), after], axis=1)


def _window_sums(values: FloatArray, cells: int) -> FloatArray:
    """(m,) sums over the ``cells`` places around each place."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    first = np.maximum(index - cells // 2, 0)
    last = np.minimum(index - cells // 2 + cells, len(values))
    return np.asarray(total[last] - total[first])
