"""Share of tumors found at the threshold that clears 99 % of the slices of tumor-free people.

The threshold clears 99 (95) % of the slices of tumor-free people, over all scores pooled. *Found*
is the share of tumor slices at or above it. The bootstrap draws people, and each sample has a
threshold of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import Row
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import Family, Statistic
from tumorlens.evaluation.scores import Scores, has_small_lesion, know_patients

__all__ = [
    "CLEARED",
    "clearing_family",
    "judge_chance",
    "largest_of_series",
    "part_people",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

CLEARED = (99, 95)
"""Percent of the slices of tumor-free people that are cleared."""
SKULL = re.compile(r"skull (on|off|stripped)")


def clearing_family(grouped: GroupedScores) -> Family | None:
    """Found at 99 and 95 % cleared; by sequence, class and skull; series with an alarm there.

    Returns:
        None without tumor slices, or without tumor-free people.
    """
    s = grouped.scores
    free, with_tumor = part_people(grouped)
    if not (free.any() and with_tumor.any()):
        return None
    wanted = _list_parts(grouped, with_tumor)
    series = _list_series(grouped, free)
    ladder = _Clearing(grouped, free, wanted, series)
    whole = np.ones((1, len(grouped.names)))
    values = ladder.replicate(whole)[0]
    few = int(np.count_nonzero(grouped.total(free)))
    statistics = []
    for place, percent in enumerate(CLEARED):
        for column, (name, rows) in enumerate(wanted):
            value = values[place * ladder.width + column]
            statistics.append(
                _describe(grouped, f"found_at_{percent}_cleared{name}", value, rows, few)
            )
        if series is not None:
            value = float(values[place * ladder.width + len(wanted)])
            name, groups = f"series_with_alarm_at_{percent}_cleared", set(series.group.tolist())
            statistics.append(Statistic(name, value, len(series.group), len(groups), share=True))
    return Family(tuple(statistics), ladder.replicate, width=2 * len(s))


def part_people(grouped: GroupedScores) -> tuple[BoolArray, BoolArray]:
    """Masks of the slices of tumor-free people, and of the slices whose tumor is large enough."""
    s = grouped.scores
    free = (grouped.of_each[:, 0] == 0)[grouped.codes] & s.labelled & ~s.tumor
    return free, s.tumor & ~np.array([has_small_lesion(row.note) for row in s.rows], bool)


def judge_chance(scores: Scores) -> FloatArray:
    """(n,) tumor probabilities; 0 for a slice that is not judged, for it alarms nobody."""
    return np.where(scores.verdict == "not_judged", 0.0, scores.tumor_probability)


def largest_of_series(grouped: GroupedScores, free: BoolArray) -> FloatArray:
    """The largest probability in each series of tumor-free people; empty where none is known."""
    series = _list_series(grouped, free)
    return np.empty(0) if series is None else series.largest


def _describe(
    grouped: GroupedScores, name: str, value: float, rows: BoolArray, free: int
) -> Statistic:
    groups = min(free, grouped.count_groups(rows))
    return Statistic(name, float(value), n=int(rows.sum()), groups=groups, share=True)


class _Series(NamedTuple):
    """Series of tumor-free people: the largest probability of each, and its group."""

    largest: FloatArray
    group: npt.NDArray[np.intp]


class _Clearing:
    """Thresholds and shares under weights of groups."""

    def __init__(
        self,
        grouped: GroupedScores,
        free: BoolArray,
        wanted: Sequence[tuple[str, BoolArray]],
        series: _Series | None,
    ) -> None:
        s = grouped.scores
        p = judge_chance(s)
        rows = np.flatnonzero(free)
        rows = rows[np.argsort(p[rows], kind="stable")]
        self._free, self._codes = p[rows], grouped.codes[rows]
        self._wanted = [_sort_part(p, grouped.codes, part) for _, part in wanted]
        self._series = series
        self.width = len(wanted) + (series is not None)

    def replicate(self, weights: FloatArray) -> FloatArray:
        """(b, G) weights -> (b, 2 * width) shares."""
        return np.stack([self._measure(one) for one in weights])

    def _measure(self, weight: FloatArray) -> FloatArray:
        below = np.cumsum(weight[self._codes])
        values = []
        for percent in CLEARED:
            level = _find_level(self._free, below, percent / 100)
            values += [_share_over(part, weight, level) for part in self._wanted]
            if self._series is not None:
                values.append(
                    _share_over((self._series.largest, self._series.group), weight, level)
                )
        return np.array(values)


_Sorted = tuple[FloatArray, npt.NDArray[np.intp]]


def _sort_part(p: FloatArray, codes: npt.NDArray[np.intp], part: BoolArray) -> _Sorted:
    rows = np.flatnonzero(part)
    return p[rows], codes[rows]


def _find_level(chance: FloatArray, below: FloatArray, share: float) -> float:
    """The largest probability among the share of slices that is cleared; found lies above it."""
    if not below[-1] > 0:
        return np.nan
    place = int(np.searchsorted(below, share * below[-1] - 1e-9))
    return float(chance[min(place, len(chance) - 1)])


def _share_over(part: _Sorted, weight: FloatArray, level: float) -> float:
    chance, code = part
    mine = weight[code]
    total = mine.sum()
    return float(mine[chance > level].sum() / total) if total > 0 and np.isfinite(level) else np.nan


def _list_parts(grouped: GroupedScores, with_tumor: BoolArray) -> list[tuple[str, BoolArray]]:
    """All tumor slices, then those of each sequence, class and skull where there are several."""
    s = grouped.scores
    parts: list[tuple[str, BoolArray]] = [("", with_tumor)]
    skulls = np.array([_find_skull(row) for row in s.rows], object)
    for column in (s.column("sequence"), s.column("tumor_class"), skulls):
        words = sorted(set(column[with_tumor]) - {""})
        if len(words) > 1 or column is skulls:
            parts += [(f"_{word}", with_tumor & (column == word)) for word in words]
    return parts


def _list_series(grouped: GroupedScores, free: BoolArray) -> _Series | None:
    s = grouped.scores
    rows = free & know_patients(s) & (s.column("sequence") != "")
    if not rows.any():
        return None
    code, group = grouped.number_series(rows)
    largest = np.full(len(group), -np.inf)
    np.maximum.at(largest, code, judge_chance(s)[rows])
    return _Series(largest, group)


def _find_skull(row: Row) -> str:
    """``skull_on`` or ``skull_off`` where the column or the note tells."""
    told = row.skull or dict(row.extra).get("skull", "")
    if not told:
        note = SKULL.search(row.note)
        told = "" if note is None else ("on" if note[1] == "on" else "off")
    return f"skull_{told}" if told else ""
