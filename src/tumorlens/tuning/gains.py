"""The figure that a search climbs by, and the gain of one recipe over another with its interval.

Models of different folds give probabilities that cannot be pooled: a figure is the mean of its
values in the folds.
"""

from __future__ import annotations

from math import sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import (
    REPLICATES,
    Family,
    bound_replicates,
    draw_weights,
    replicate_family,
)
from tumorlens.evaluation.figures.ranking import ranking_family
from tumorlens.evaluation.figures.verdict_figures import two_way_families
from tumorlens.evaluation.scores import Scores, drop_unfit
from tumorlens.optional import load
from tumorlens.tuning.outcome import Gain

__all__ = ["Figure", "expect_optimism", "measure_figure", "measure_gain"]

Figure = Literal["auc", "loss"]
FloatArray = npt.NDArray[np.float64]


def measure_figure(scores: Scores, figure: Figure) -> float:
    """Mean of the figure over the folds of held-out scores."""
    found = [_find(one, figure) for one in _part(scores)]
    return float(np.mean([family.statistics[column].value for family, column in found]))


def measure_gain(chosen: Scores, known: Scores, figure: Figure, *, over: str, nested: bool) -> Gain:
    """The gain of the chosen recipe, with the interval of its paired differences.

    Every draw of groups is the same for both. Folds are drawn apart, for each has its model.

    Args:
        chosen, known: the same rows in the same order, scored by models of two recipes.
        figure: which.
        over: name of the known recipe.
        nested: whether these rows took no part in choosing.
    """
    drawn, groups = [], 0
    for seed, (ours, theirs) in enumerate(zip(_part(chosen), _part(known), strict=True)):
        weights = draw_weights(len(ours.names), REPLICATES, seed)
        pair = [_replicate(one, figure, weights) for one in (ours, theirs)]
        drawn.append(pair[0] - pair[1])
        groups += ours.groups_of_both
    values = [measure_figure(one, figure) for one in (chosen, known)]
    difference = values[0] - values[1]
    low, high = bound_replicates(np.mean(drawn, axis=0), groups, value=difference)
    shown = bool(np.isfinite(low)) and low < high
    return Gain(
        over, values[0], values[1], difference,
        low if shown else None, high if shown else None, groups, nested,
    )  # fmt: skip


def expect_optimism(tumors: int, normals: int, trials: int, auc: float = 0.95) -> float:
    """By how much the best of equally good recipes seems better than they are, in AUC.

    The standard error of an AUC (Hanley and McNeil 1982, Radiology 143:29) times the expected
    largest of so many standard normal values (Blom 1958). Two recipes that are judged on the same
    groups are taken to correlate by one half.

    Args:
        tumors, normals: independent groups of each label.
        trials: recipes that are tried.
        auc: of each.
    """
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = (tumors - 1) * (first - auc**2) + (normals - 1) * (second - auc**2)
    error = sqrt((auc * (1 - auc) + spread) / (tumors * normals))
    largest = load("scipy.stats", "searching").norm.ppf((trials - 0.375) / (trials + 0.25))
    return error * max(0.0, float(largest))


def _part(scores: Scores) -> list[GroupedScores]:
    counted = drop_unfit(scores)[0]
    return [
        GroupedScores.of(counted.take(counted.fold == name)) for name in np.unique(counted.fold)
    ]


def _find(grouped: GroupedScores, figure: Figure) -> tuple[Family, int]:
    """The family that the figure stands in, and its column."""
    families = [ranking_family(grouped)] if figure == "auc" else two_way_families(grouped)
    for family in families:
        names = [one.name for one in family.statistics]
        if figure in names:
            return family, names.index(figure)
    raise RuntimeError(f"no figure is called {figure}")


def _replicate(
    grouped: GroupedScores, figure: Figure, weights: npt.NDArray[np.uint8]
) -> FloatArray:
    family, column = _find(grouped, figure)
    return replicate_family(family, weights)[:, column]
