"""Which rows of a manifest are one series."""

from __future__ import annotations

from pathlib import Path

from tumorlens.data.rows import Row
from tumorlens.data.scans import group_series


def make_row(name, position, sequence="T1", group="p1", source="a"):
    return Row(
        Path(f"/d/{name}.png"), position=position, sequence=sequence, group=group, source=source
    )


def test_a_series_is_one_source_group_and_sequence_in_order():
    rows = [
        make_row(0, 0.9),
        make_row(1, 0.1),
        make_row(2, 0.5, sequence="T2"),
        make_row(3, None),
        make_row(4, 0.4, group="p2"),
        make_row(5, 0.3),
        make_row(6, 0.3, group=""),
        make_row(7, 0.2, source="b"),
    ]
    assert group_series(rows) == [[1, 5, 0], [2], [4], [7]]
