"""Figures of the pointing game, over scores whose hits are known (`localization` finds them)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tumorlens.evaluation.figures.grouped_scores import GroupedScores, Ratio, ratio_family
from tumorlens.evaluation.figures.intervals import Family

__all__ = ["pointing_family"]


def pointing_family(grouped: GroupedScores) -> Family | None:
    """Pointing at lesions, beside the center of the head and the best that the grid allows."""
    hits = grouped.scores.hits
    if not np.isfinite(hits[:, 0]).any():
        return None
    names = ("pointing", "pointing_of_center", "pointing_best_of_grid")
    return ratio_family(grouped, [_hit_ratio(name, hits[:, k]) for k, name in enumerate(names)])


def _hit_ratio(name: str, hit: npt.NDArray[np.float64]) -> Ratio:
    known = np.isfinite(hit)
    return Ratio(name, np.where(known, hit, 0), known)
