"""Pictures of findings of an audit: copies side by side, odd files, masks beside slices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tumorlens.auditing.findings import Audit, AuditFinding
from tumorlens.data.rows import Edges, Row
from tumorlens.errors import InputError
from tumorlens.imaging.readers import read_slice
from tumorlens.report.pages import Block, Gallery, PageImage, Table, Tile, limit_rows
from tumorlens.report.pictures.overlay import draw_thumbnail

__all__ = ["MOST_TILES", "show_examples"]

MOST_TILES = 12
"""Examples of one finding: a page stays small, however large the set."""

SIDE = 160
"""The longer side of a thumbnail, in pixels."""


def show_examples(audit: Audit, kinds: Iterable[str]) -> Iterator[Block]:
    """A gallery of each finding of some kinds that has pictures to show.

    Where it has more than are shown, the caption says of how many; what cannot be read is listed
    with its reason.
    """
    for finding in audit.of_kinds(kinds):
        if finding.kind == "unreadable":
            yield _list_reasons(audit, finding)
            continue
        tiles = _draw_tiles(audit, finding)
        if tiles:
            whole = max(finding.instances, len(tiles))
            yield Gallery(f"{finding.check}: {len(tiles)} of {whole:,}", tuple(tiles))


def _list_reasons(audit: Audit, finding: AuditFinding) -> Table:
    rows = [(audit.rows[one.rows[0]].short_name, one.words) for one in finding.examples]
    rest = max(0, finding.instances - len(rows))
    rows += [("…", f"and {rest:,} more: the JSON of the audit lists all of them")] if rest else []
    return Table(finding.check, ("file", "why"), limit_rows(rows, more="see the JSON of the audit"))


def _draw_tiles(audit: Audit, finding: AuditFinding) -> list[Tile]:
    tiles: list[Tile] = []
    for example in finding.examples:
        rows = [audit.rows[row] for row in example.rows]
        with suppress(InputError):  # it was there when it was audited
            tiles.append(
                _pair(rows, example.words)
                if len(rows) > 1
                else _show_alone(rows[0], finding, example.words)
            )
        if len(tiles) == MOST_TILES:
            break
    return tiles


def _pair(rows: Sequence[Row], words: str) -> Tile:
    pictures = tuple(_draw(row.path, row.frame or 0, row.short_name, row.boxes) for row in rows)
    return Tile(words, pictures, tuple(f"{row.short_name} · {_describe(row)}" for row in rows))


def _show_alone(row: Row, finding: AuditFinding, words: str) -> Tile:
    pictures = [_draw(row.path, row.frame or 0, row.short_name, row.boxes)]
    lines = [_describe(row)]
    if words != finding.check:
        lines.append(words)
    if finding.kind == "annotations" and row.mask is not None:
        with suppress(InputError):  # that it cannot be read may be what was found
            mask = read_slice(row.mask, row.mask_frame, any_content=True)
            height, width = mask.pixels.shape
            pictures.append(_draw(row.mask, row.mask_frame, f"{row.short_name}: the mask", ()))
            lines.append(f"mask of {width} x {height} pixels")
    return Tile(row.short_name, tuple(pictures), tuple(lines))


def _draw(path: Path, frame: int, words: str, boxes: Sequence[Edges]) -> PageImage:
    data, size = draw_thumbnail(read_slice(path, frame), annotated=boxes, side=SIDE)
    return PageImage(data, words, size)


def _describe(row: Row) -> str:
    label = row.class_name.replace("_", " ") or "no label"
    split = f"split {row.split}" if row.split else ""
    return " · ".join(filter(None, (label, row.source, row.sequence, split)))
