"""Which rows of a manifest are the slices of one series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tumorlens.data.rows import Row

__all__ = ["SeriesKey", "group_series", "series_key"]

SeriesKey = tuple[str, str, str]
"""Source, group and sequence."""


def series_key(row: Row) -> SeriesKey | None:
    """The series that a slice belongs to; None where its manifest gives it no position."""
    if row.position is None or not row.group:
        return None
    return row.source, row.group, row.sequence


def group_series(rows: Sequence[Row]) -> list[list[int]]:
    """Indices of the rows of each series, from its lowest slice to its highest.

    Rows without a series stand in none.
    """
    series: dict[SeriesKey, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        key = series_key(row)
        if key is not None:
            series[key].append(index)
    return [sorted(one, key=lambda index: rows[index].position or 0.0) for one in series.values()]
