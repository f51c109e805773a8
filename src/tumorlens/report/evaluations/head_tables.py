"""Figures of series and studies as rows of a table, for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tumorlens.evaluation.figures.intervals import Estimate
from tumorlens.evaluation.results import Subset

__all__ = ["HEAD_WORDS", "PART_COLUMNS", "HeadTable", "list_head_parts", "list_head_tables"]

HEAD_WORDS = {
    "auc": "AUC",
    "found_at_10_alarms": "found at 10 false alarms per 100",
    "found_at_20_alarms": "found at 20 false alarms per 100",
    "sensitivity": "sensitivity (at the middle threshold)",
    "specificity": "specificity (at the middle threshold)",
    "brier": "Brier score",
    "found": "found (verdict tumor)",
    "alarms_per_100": "false alarms per 100 tumor-free",
    "coverage": "coverage (verdict tumor or no tumor)",
}
PART_COLUMNS = (
    "series",
    "AUC",
    "found at 10 false alarms per 100",
    "found",
    "false alarms per 100",
)
IN_PARTS = ("auc", "found_at_10_alarms", "found", "alarms_per_100")


class HeadTable(NamedTuple):
    """Figures that count one kind of head.

    Attributes:
        title: what is counted, and how many.
        estimates: with names as people read them.
    """

    title: str
    estimates: list[Estimate]


def list_head_tables(part: Subset) -> Iterator[HeadTable]:
    """The figures of series, then those of studies, where there are any."""
    heads = part.heads
    for word, estimates, counted in (
        ("series", heads.series, heads.of_series),
        ("studies", heads.studies, heads.of_studies),
    ):
        if estimates:
            title = f"Whole {word}: {counted[0]:,} with a tumor, {counted[1]:,} tumor-free"
            yield HeadTable(title, estimates)


def list_head_parts(parts: Sequence[Subset]) -> list[tuple[str, ...]]:
    """A line a part with series: its size and the figures of `IN_PARTS`, as text."""
    rows = []
    for part in parts:
        found = {one.name: one for one in part.heads.series}
        if found:
            with_tumor, without_tumor = part.heads.of_series
            label = " ".join(value or "(none)" for value in part.by.values())
            cells = [_show(found.get(name)) for name in IN_PARTS]
            rows.append((f"{label}: {with_tumor:,} with, {without_tumor:,} without", *cells))
    return rows


def _show(one: Estimate | None) -> str:
    if one is None or one.value is None:
        return "–"
    digits = 1 if one.name == "alarms_per_100" else 3
    span = ""
    if one.low is not None and one.high is not None:
        span = f" ({one.low:.{min(digits, 2)}f}–{one.high:.{min(digits, 2)}f})"
    return f"{one.value:.{digits}f}{span}"
