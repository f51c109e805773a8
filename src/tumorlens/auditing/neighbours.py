"""Slices whose label differs from the labels of the slices around them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tumorlens.auditing.evidence import Evidence
from tumorlens.auditing.findings import AuditFinding, Example
from tumorlens.data.rows import Row
from tumorlens.digits import say_count

__all__ = ["find_lone_labels"]

_SIDES = 2  # slices on each side that must have the same label
_FARTHEST = {"position": 0.2, "frame": 2.0 * _SIDES}  # largest distance from first to last

Place = tuple[float, int]


def find_lone_labels(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report slices whose label differs from that of two neighbours on each side.

    A tumor extends over neighbouring slices. So such a label is wrong, or the tumor is smaller than
    the gap between slices. This check needs series: groups with ``position``, or volumes.
    """
    lone = sorted(
        (row, before)
        for series in _list_series(evidence)
        for row, before in _find_alone(evidence.rows, *series)
    )
    if lone:
        rows = tuple(row for row, _ in lone)
        yield AuditFinding(
            "conflicts",
            "label unlike its neighbours",
            f"{say_count(len(rows), 'slice')} with another label than two neighbours on each side",
            "compare each slice with its neighbours, and correct the label if it is wrong",
            impact=min(1.0, 2 * len(rows) / evidence.own),
            rows=tuple(sorted({number for pair in lone for number in pair})),
            leave_out=rows,
            examples=tuple(
                Example(
                    pair,
                    f"{evidence.rows[pair[0]].class_name.replace('_', ' ')} beside "
                    f"{evidence.rows[pair[1]].class_name.replace('_', ' ')}",
                )
                for pair in lone[: evidence.most_examples]
            ),
            instances=len(rows),
        )


def _list_series(evidence: Evidence) -> Iterator[tuple[list[Place], float]]:
    """The places of labelled slices in each series, in order, and the largest span of five."""
    series: dict[tuple[str, ...], list[Place]] = defaultdict(list)
    for number in evidence.readable:
        row = evidence.rows[number]
        if not row.label:
            continue
        if row.position is not None and row.group:
            name = (row.source, row.group, row.sequence)
            series["position", *name].append((row.position, number))
        elif row.frame is not None:
            series["frame", str(row.path)].append((float(row.frame), number))
    for key, places in series.items():
        yield sorted(places), _FARTHEST[key[0]]


def _find_alone(
    rows: Sequence[Row], places: list[Place], farthest: float
) -> Iterator[tuple[int, int]]:
    """Rows that differ from their neighbours, each with the row before it."""
    for middle in range(_SIDES, len(places) - _SIDES):
        around = places[middle - _SIDES : middle + _SIDES + 1]
        own = rows[around[_SIDES][1]].label
        others = {rows[number].label for _, number in around if number != around[_SIDES][1]}
        if len(others) == 1 and own not in others and around[-1][0] - around[0][0] <= farthest:
            yield around[_SIDES][1], around[_SIDES - 1][1]
