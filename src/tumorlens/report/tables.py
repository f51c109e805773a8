"""Tables for a terminal, drawn by Rich."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["RecordTable", "count_words", "make_table", "open_console"]

_STYLES = {
    "tumor": "bold red",
    "no_tumor": "green",
    "uncertain": "yellow",
    "unfamiliar": "magenta",
    "error": "bold red reverse",
    "series": "bold",
}
_WIDTHS = {"verdict": 11, "tumor": 7, "unfamiliar": 11, "regions": 7}
_ROWS_AT_ONCE = 20
_NARROWEST_PATH = 24
_WIDTH_OF_FILES = 120


class RecordTable:
    """Records as rows that appear while the run goes on: widths are fixed, memory is flat.

    Args:
        console: where the rows go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._held: list[Mapping[str, Any]] = []
        self._headed = False

    def write(self, record: Mapping[str, Any]) -> None:
        self._held.append(record)
        if len(self._held) == _ROWS_AT_ONCE:
            self.close()

    def close(self) -> None:
        """Print the rows that are still held back."""
        if not self._held:
            return
        table = self._make_table()
        for record in self._held:
            table.add_row(*_cells(record))
        self._console.print(table)
        self._held, self._headed = [], True

    def _make_table(self) -> Table:
        width = self._console.width - sum(_WIDTHS.values()) - 2 * (len(_WIDTHS) + 1)
        table = Table(box=SIMPLE_HEAD, show_header=not self._headed, show_edge=False)
        table.add_column("verdict", width=_WIDTHS["verdict"])
        for name in ("tumor", "unfamiliar", "regions"):
            table.add_column(name, width=_WIDTHS[name], justify="right")
        table.add_column("file", width=max(_NARROWEST_PATH, width), overflow="fold")
        return table


def make_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, header: bool = True
) -> Table:
    """A plain table with a title; cells are shown as they are, without markup, lines kept."""
    table = Table(
        box=SIMPLE_HEAD,
        title=title,
        title_justify="left",
        title_style="bold",
        show_header=header,
    )
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text("\n").join(map(_printable, cell.split("\n"))) for cell in row))
    return table


def count_words(counts: Mapping[str, int], *, skipped: int = 0) -> str:
    """What a run found, in a line: ``8 slices: 3 tumor, 5 no tumor; 1 file skipped, no image``."""
    verdicts = {name: count for name, count in counts.items() if name != "error" and count}
    slices = sum(verdicts.values())
    words = f"{slices:,} slice{'' if slices == 1 else 's'}"
    if verdicts:
        shares = (f"{count:,} {name.replace('_', ' ')}" for name, count in verdicts.items())
        words += ": " + ", ".join(shares)
    if counts.get("error"):
        words += f"; {counts['error']:,} unreadable"
    if skipped:
        words += f"; {skipped:,} file{'' if skipped == 1 else 's'} skipped, no image"
    return words


def open_console(stream: IO[str] | None = None) -> Console:
    """A console on ``stream``: as wide as the terminal, or wide enough for paths in a file."""
    console = Console(file=stream)
    return console if console.is_terminal else Console(file=stream, width=_WIDTH_OF_FILES)


def _cells(record: Mapping[str, Any]) -> tuple[Text, ...]:
    if record["kind"] == "series":
        return _series_cells(record)
    verdict = record["verdict"] or "error"
    where = record["path"] + (f" [{record['frame']}]" if record["frame"] else "")
    regions = record["boxes"]
    return (
        Text(verdict.replace("_", " "), style=_STYLES[verdict]),
        Text(_percent(record["tumor_probability"])),
        Text("" if record["unfamiliarity"] is None else f"{record['unfamiliarity']:.2f}"),
        Text("" if regions is None else str(len(regions))),
        _printable(where if record["error"] is None else f"{where}: {record['error']}"),
    )


def _series_cells(record: Mapping[str, Any]) -> tuple[Text, ...]:
    words = (
        f"{record['path']}: {record['tumor_slices']} of {record['slices']} slices, "
        f"longest run {record['longest_run']}"
    )
    style = _STYLES["series"]
    chance = _percent(record["largest_probability"])
    return Text("series", style), Text(chance, style), Text(""), Text(""), _printable(words)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _printable(words: str) -> Text:
    """Control characters in a file's name must not reach the terminal."""
    return Text("".join(one if one.isprintable() else ascii(one)[1:-1] for one in words))
