"""`GroupedScores`: scores with their groups numbered, and the figures that are ratios of sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tumorlens.evaluation.figures.intervals import Family, Statistic
from tumorlens.evaluation.scores import Scores

__all__ = ["ONE_LABEL", "GroupedScores", "Ratio", "ratio_family"]

ONE_LABEL = "needs slices of both labels"
"""Note of a figure that has no value, because one label is missing."""

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class GroupedScores:
    """Scores, and which group each row belongs to.

    Attributes:
        scores: n rows.
        names: the G groups, sorted.
        codes: (n,) index into ``names``.
    """

    scores: Scores
    names: tuple[str, ...]
    codes: IndexArray

    @classmethod
    def of(cls, scores: Scores) -> GroupedScores:
        """Number the groups of ``scores``."""
        names, codes = np.unique(scores.group, return_inverse=True)
        return cls(scores, tuple(str(name) for name in names), codes)

    def total(self, values: npt.ArrayLike) -> FloatArray:
        """(G,) sums of (n,) values over the rows of each group."""
        weights = np.asarray(values, np.float64)
        sums = np.bincount(self.codes, weights=weights, minlength=len(self.names))
        return np.asarray(sums, np.float64)

    def count_groups(self, rows: npt.ArrayLike) -> int:
        """How many groups have one of the rows (mask)."""
        return int(np.count_nonzero(self.total(rows)))

    def number_series(self, rows: npt.NDArray[np.bool_]) -> tuple[IndexArray, IndexArray]:
        """The series, a group's slices of one stratum, of each of the rows; the group of each."""
        _, stratum = np.unique(self.scores.stratum, return_inverse=True)
        strata = stratum.max(initial=0) + 1
        key, code = np.unique((self.codes * strata + stratum)[rows], return_inverse=True)
        return code, key // strata

    @cached_property
    def of_each(self) -> FloatArray:
        """(G, 2) tumor and no-tumor slices of each group."""
        s = self.scores
        return np.stack([self.total(s.tumor), self.total(s.labelled & ~s.tumor)], axis=1)

    @property
    def groups_of_both(self) -> int:
        """Number of groups with the rarer label, which limits a figure of both labels."""
        return int(np.count_nonzero(self.of_each, axis=0).min(initial=len(self.names)))


@dataclass(frozen=True, eq=False)
class Ratio:
    """A figure that is sum(part) / sum(whole), both added up over groups.

    Attributes:
        name: of the figure.
        part: (n,) or, where ``by_group``, (G,).
        whole: like ``part``.
        share: whether the part never exceeds the whole. If not, the figure is any number from 0 on.
        by_group: whether part and whole are given per group.
        both: whether it needs both labels. Its groups are then those of the rarer label.
        value: value of scikit-learn if it has this figure; else part divided by whole.
        note: what to know about it.
    """

    name: str
    part: npt.NDArray[np.generic]
    whole: npt.NDArray[np.generic]
    share: bool = True
    by_group: bool = False
    both: bool = False
    value: float | None = None
    note: str = ""


def ratio_family(grouped: GroupedScores, ratios: Sequence[Ratio]) -> Family:
    """All ratios together: each replicate needs only two matrix products."""
    sums = [_sum_groups(grouped, ratio) for ratio in ratios]
    parts = np.stack([part for part, _ in sums], axis=1)
    wholes = np.stack([whole for _, whole in sums], axis=1)

    def replicate(weights: FloatArray) -> FloatArray:
        return np.asarray((weights @ parts) / (weights @ wholes))

    statistics = tuple(
        _describe(grouped, ratio, part, whole)
        for ratio, (part, whole) in zip(ratios, sums, strict=True)
    )
    return Family(statistics, replicate, width=2 * len(ratios))


def _sum_groups(grouped: GroupedScores, ratio: Ratio) -> tuple[FloatArray, FloatArray]:
    if ratio.by_group:
        return np.asarray(ratio.part, np.float64), np.asarray(ratio.whole, np.float64)
    return grouped.total(ratio.part), grouped.total(ratio.whole)


def _describe(
    grouped: GroupedScores, ratio: Ratio, part: FloatArray, whole: FloatArray
) -> Statistic:
    size = float(whole.sum())
    value = ratio.value if ratio.value is not None else part.sum() / size if size else np.nan
    return Statistic(
        ratio.name,
        float(value),
        n=round(size),
        groups=grouped.groups_of_both if ratio.both else int(np.count_nonzero(whole)),
        parts=np.stack([part, whole], axis=1),
        share=ratio.share,
        positive=not ratio.share,
        note=ratio.note if size else "nothing to count",
    )
