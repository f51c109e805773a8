"""Figures that position and patient cannot explain: does the score follow the tumor?

Tumors lie where the brain is wide, so a detector of "middle of the head" passes many tests. Here,
slices of different patients are compared at one level. Slices of one patient are compared with the
figure that the position alone would give (docs/science.md). Levels are compared only inside one
source and sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tumorlens.evaluation.figures.grouped_scores import GroupedScores, Ratio, ratio_family
from tumorlens.evaluation.figures.intervals import Family, Statistic

__all__ = ["KERNEL", "TOLERANCE", "level_families", "score_positions"]

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

TOLERANCE = 0.05
"""Largest difference in position of two slices at one level."""
KERNEL = 0.08
"""Standard deviation of the Gaussian that smooths the tumor rate along the head."""
LEAST_WEIGHT = 1e-6
"""Smallest weight of other patients' slices. With less, none lies within five deviations."""
STEPS = 1000
"""Positions are rounded to this share of the head for the tumor rate; the kernel is 80 steps."""
MOST_CELLS = 2000
"""Groups are pooled into at most this many cells, because the table of pairs is square."""
PAIRS_AT_ONCE = 2_000_000


def level_families(grouped: GroupedScores) -> list[Family]:
    """Level-matched AUC, and within-patient AUC beside position alone; none without positions.

    Position alone has no level-matched figure: leaving a slice's own group out lowers the rate of
    every tumor slice and of no other, so that it would lie far below 0.5 whatever the truth.
    """
    s = grouped.scores
    rows = np.flatnonzero(s.labelled & np.isfinite(s.position))
    if not (s.tumor[rows].any() and (~s.tumor[rows]).any()):
        return []
    slices = _Slices.of(grouped, rows)
    by_position = score_positions(slices.position, slices.tumor, slices.group, slices.stratum)
    pairs = _pair_family(grouped, slices)
    ratios = [
        _within_patients(grouped, slices, slices.score, "within_patient_auc"),
        _within_patients(grouped, slices, by_position, "within_patient_auc_of_position"),
    ]
    within = [ratio_family(grouped, ratios)] if ratios[0].whole.any() else []
    return ([pairs] if pairs.statistics[0].n else []) + within


def score_positions(
    position: FloatArray, tumor: npt.NDArray[np.bool_], group: IndexArray, stratum: IndexArray
) -> FloatArray:
    """Position alone: the tumor rate at each slice's position among the *other* groups.

    Args:
        position: (n,) from 0 to 1.
        tumor: (n,) label.
        group: (n,) patient; its own slices do not count.
        stratum: (n,) source and sequence; only slices of the same one count.

    Returns:
        (n,) rates, smoothed with a Gaussian of standard deviation 0.08; NaN where no other group
        of the stratum has a slice near.
    """
    step = np.round(position * STEPS).astype(np.intp)
    grid = np.arange(STEPS + 1)
    kernel = np.exp(-0.5 * ((grid[:, None] - grid) / (KERNEL * STEPS)) ** 2)
    rate = np.full(len(position), np.nan)
    for one in np.unique(stratum):
        rows = np.flatnonzero(stratum == one)
        rate[rows] = _rate_elsewhere(step[rows], tumor[rows], group[rows], kernel)
    return rate


def _rate_elsewhere(
    step: IndexArray, tumor: npt.NDArray[np.bool_], group: IndexArray, kernel: FloatArray
) -> FloatArray:
    everyone = kernel @ np.bincount(step, minlength=len(kernel))
    positives = kernel @ np.bincount(step, weights=tumor, minlength=len(kernel))
    rate = np.full(len(step), np.nan)
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if len(rows) == len(step):
            break
        own = kernel[np.ix_(step[rows], step[rows])]
        others = everyone[step[rows]] - own.sum(axis=1)
        near = others > LEAST_WEIGHT  # the difference of two sums is never exactly 0
        rate[rows[near]] = (positives[step[rows]] - own @ tumor[rows])[near] / others[near]
    return rate


@dataclass(frozen=True, eq=False)
class _Slices:
    """The slices with label and position: (m,) arrays."""

    score: FloatArray
    tumor: npt.NDArray[np.bool_]
    position: FloatArray
    group: IndexArray
    stratum: IndexArray

    @classmethod
    def of(cls, grouped: GroupedScores, rows: IndexArray) -> _Slices:
        s = grouped.scores
        _, stratum = np.unique(s.stratum[rows], return_inverse=True)
        return cls(
            s.tumor_probability[rows], s.tumor[rows], s.position[rows], grouped.codes[rows], stratum
        )


def _within_patients(
    grouped: GroupedScores, slices: _Slices, score: FloatArray, name: str
) -> Ratio:
    """Mean over patients of the AUC inside each that has both labels.

    A patient with several sequences counts once, with the mean over those that hold both labels.
    """
    groups = len(grouped.names)
    known = np.isfinite(score)
    series = slices.stratum[known] * groups + slices.group[known]
    area, which = _areas(series, score[known], slices.tumor[known])
    patient = which % groups
    sequences = np.bincount(patient, minlength=groups)
    total = np.bincount(patient, weights=area, minlength=groups)
    return Ratio(name, total / np.maximum(sequences, 1), sequences > 0, by_group=True)


def _areas(
    series: IndexArray, score: FloatArray, tumor: npt.NDArray[np.bool_]
) -> tuple[FloatArray, IndexArray]:
    """AUC inside each series that has both labels, by mean ranks (Mann-Whitney); its series."""
    names, code = np.unique(series, return_inverse=True)
    order = np.lexsort((score, code))
    code, score, tumor = code[order], score[order], tumor[order]
    size = np.bincount(code)
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    new_run = np.append(True, (score[1:] != score[:-1]) | (code[1:] != code[:-1]))
    run = np.cumsum(new_run) - 1
    length = np.bincount(run)
    rank = (np.flatnonzero(new_run) + (length + 1) / 2)[run] - first[code]
    positives = np.bincount(code, weights=tumor)
    negatives = size - positives
    both = (positives > 0) & (negatives > 0)
    ranks = np.bincount(code, weights=rank * tumor)
    area = (ranks - positives * (positives + 1) / 2)[both] / (positives * negatives)[both]
    return area, names[both]


def _pair_family(grouped: GroupedScores, slices: _Slices) -> Family:
    """Share of level-matched pairs of two patients in which the tumor slice scores higher."""
    groups = len(grouped.names)
    cells = min(groups, MOST_CELLS)
    cell = np.arange(groups)
    if cells < groups:
        # Pooled by lot, not by name: neighbours in the alphabet may be alike. A cell is then
        # drawn as a group is, and has as many groups' worth of weight.
        cell = np.random.default_rng(0).permutation(groups) % cells
    wins, pairs = _count_pairs(slices, cell, cells)
    positives, negatives = pairs.any(axis=1).sum(), pairs.any(axis=0).sum()
    total = pairs.sum()
    statistic = Statistic(
        "level_matched_auc",
        float(wins.sum() / total) if total else np.nan,
        n=int(total),
        groups=int(min(positives, negatives)),
        parts=grouped.of_each,
        share=True,
        note="n counts pairs",
    )

    def replicate(weights: FloatArray) -> FloatArray:
        drawn = weights[:, :cells]
        # Both groups of a pair are drawn: a pair weighs as the product of their weights.
        won = np.einsum("bi,bi->b", drawn @ wins, drawn)
        whole = np.einsum("bi,bi->b", drawn @ pairs, drawn)
        return np.asarray((won / whole)[:, None])

    return Family((statistic,), replicate, width=2 * cells)


def _count_pairs(slices: _Slices, cell: IndexArray, cells: int) -> tuple[FloatArray, FloatArray]:
    """(cells, cells) wins and pairs: a row a tumor slice's group, a column the other's."""
    wins = np.zeros(cells * cells)
    pairs = np.zeros(cells * cells)
    for i, j in _match_levels(slices):
        key = cell[slices.group[i]] * cells + cell[slices.group[j]]
        pairs += np.bincount(key, minlength=cells * cells)
        gain = np.sign(slices.score[i] - slices.score[j]) / 2 + 0.5
        wins += np.bincount(key, weights=gain, minlength=cells * cells)
    return wins.reshape(cells, cells), pairs.reshape(cells, cells)


def _match_levels(slices: _Slices) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Pairs (tumor slice, other slice) of two groups at one level, some millions at a time."""
    for one in np.unique(slices.stratum):
        rows = np.flatnonzero(slices.stratum == one)
        positives, negatives = rows[slices.tumor[rows]], rows[~slices.tumor[rows]]
        negatives = negatives[np.argsort(slices.position[negatives], kind="stable")]
        level, wanted = slices.position[negatives], slices.position[positives]
        low = np.searchsorted(level, wanted - TOLERANCE - 1e-9, "left")
        high = np.searchsorted(level, wanted + TOLERANCE + 1e-9, "right")
        for start, stop in _portions(high - low):
            i, j = _spell_out(low[start:stop], high[start:stop])
            i, j = positives[start:stop][i], negatives[j]
            other = slices.group[i] != slices.group[j]
            yield i[other], j[other]


def _portions(sizes: IndexArray) -> list[tuple[int, int]]:
    """Cut a list of sizes into runs of about `PAIRS_AT_ONCE` together."""
    if not len(sizes):
        return []
    portion = np.cumsum(sizes) // PAIRS_AT_ONCE
    cuts = [0, *(np.flatnonzero(np.diff(portion)) + 1), len(sizes)]
    return [(int(a), int(b)) for a, b in pairwise(cuts)]


def _spell_out(low: IndexArray, high: IndexArray) -> tuple[IndexArray, IndexArray]:
    """All (i, j) with low[i] <= j < high[i]."""
    size = high - low
    i = np.repeat(np.arange(len(low)), size)
    offset = np.arange(len(i)) - np.repeat(np.cumsum(size) - size, size)
    return i, np.repeat(low, size) + offset
