"""Tables for a terminal, drawn by Rich."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tumorlens.digits import say_count, say_share, show_apart, show_probability
from tumorlens.finding import VERDICTS

if TYPE_CHECKING:
    from tumorlens.model.card import OperatingPoint

__all__ = [
    "RecordTable",
    "count_studies",
    "count_words",
    "kind_of_note",
    "make_table",
    "name_slice",
    "open_console",
    "skipped_words",
    "threshold_words",
    "unanswered_words",
    "word_thresholds",
]

_STYLES = {
    "tumor": "bold red",
    "no_tumor": "green",
    "uncertain": "yellow",
    "unfamiliar": "magenta",
    "not_judged": "dim",
    "error": "bold red reverse",
    "series": "bold",
    "note": "yellow",
}
_WIDTHS = {"verdict": 11, "tumor": 7, "unfamiliar": 11, "boxes": 5}
_ROWS_AT_ONCE = 20
_NARROWEST_PATH = 24
_WIDTH_OF_FILES = 120
_REASONS = 4  # for skipped files that are told apart in a line
_NONE = "–"
_NO_CHANCE = ("unfamiliar", "not_judged")  # their probability is no answer


class RecordTable:
    """Records as rows that appear while the run goes on: widths are fixed, memory is flat.

    Args:
        console: where the rows go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._held: list[tuple[Text, ...]] = []
        self._headed = False
        self._series = ""
        self._noted: set[str] = set()

    def write(self, record: Mapping[str, Any]) -> None:
        self._held.append(_cells(record))
        self._held += map(_note_cells, self._find_news(record))
        if len(self._held) >= _ROWS_AT_ONCE:
            self.close()

    def _find_news(self, record: Mapping[str, Any]) -> list[str]:
        """Notes that were not yet shown for this series; alike ones are shown once."""
        series = record["series_instance_uid"] or record["path"]
        if series != self._series:
            self._series, self._noted = series, set()
        news = {kind_of_note(note): note for note in record["notes"]}
        shown = [note for kind, note in news.items() if kind not in self._noted]
        self._noted.update(news)
        return shown

    def close(self) -> None:
        """Print the rows that are still held back."""
        if not self._held:
            return
        table = self._make_table()
        for *cells, file in self._held:
            table.add_row(*cells, _break_paths(file, table.columns[-1].width or 0))
        self._console.print(table)
        self._held, self._headed = [], True

    def _make_table(self) -> Table:
        width = self._console.width - sum(_WIDTHS.values()) - 2 * (len(_WIDTHS) + 1)
        table = Table(box=SIMPLE_HEAD, show_header=not self._headed, show_edge=False)
        table.add_column("verdict", width=_WIDTHS["verdict"])
        for name in ("tumor", "unfamiliar", "boxes"):
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


def kind_of_note(note: str) -> str:
    """A note without its numbers, by which notes are alike."""
    return re.sub(r"\d+", "0", note)


def count_words(counts: Mapping[str, int], *, skipped: Mapping[str, int] | None = None) -> str:
    """What a run found, in a line: ``8 slices: 3 tumor, 5 no tumor; 1 file skipped (a web page)``.

    Args:
        counts: verdict, or ``error``, -> slices.
        skipped: reason -> files.
    """
    verdicts = {name: count for name, count in counts.items() if name != "error" and count}
    slices = sum(verdicts.values())
    words = say_count(slices, "slice")
    if verdicts:
        words += f": {_count_verdicts(verdicts)}"
    if counts.get("error"):
        words += f"; {counts['error']:,} unreadable"
    return f"{words}; {skipped_words(skipped)}" if skipped else words


def count_studies(verdicts: Iterable[str | None]) -> str:
    """What a run found in its studies, ``2 studies: 1 tumor, 1 no tumor``; empty without any.

    Args:
        verdicts: of each study; those without one are not counted.
    """
    counts = Counter(verdict for verdict in verdicts if verdict)
    if not counts:
        return ""
    return f"{say_count(counts.total(), 'study', 'studies')}: {_count_verdicts(counts)}"


def _count_verdicts(counts: Mapping[str, int]) -> str:
    """``3 tumor, 5 no tumor``: always in one order, whatever came first in the run."""
    order = sorted(counts, key=[*VERDICTS, *counts].index)
    return ", ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in order)


def skipped_words(skipped: Mapping[str, int]) -> str:
    """``3 files skipped (a text file: 2, a web page: 1)``, the most common reasons first."""
    total = sum(skipped.values())
    most = sorted(skipped.items(), key=lambda one: -one[1])[:_REASONS]
    rest = total - sum(count for _, count in most)
    reasons = [reason if total == 1 else f"{reason}: {count:,}" for reason, count in most]
    reasons += [f"other reasons: {rest:,}"] if rest else []
    return f"{say_count(total, 'file')} skipped ({', '.join(reasons)})"


def open_console(stream: IO[str] | None = None) -> Console:
    """A console on ``stream``: as wide as the terminal, or wide enough for paths in a file."""
    console = Console(file=stream)
    return console if console.is_terminal else Console(file=stream, width=_WIDTH_OF_FILES)


def _cells(record: Mapping[str, Any]) -> tuple[Text, ...]:
    if record["kind"] in ("series", "study"):
        return _series_cells(record) if record["verdict"] is None else _concluded_cells(record)
    verdict = record["verdict"] or "error"
    where = record["path"] + (f" [{record['frame']}]" if record["frame"] else "")
    return (
        Text(verdict.replace("_", " "), style=_STYLES[verdict]),
        Text(_NONE if verdict in _NO_CHANCE else _percent(record["tumor_probability"])),
        Text(_show_unfamiliarity(record["unfamiliarity"])),
        Text(_count_boxes(record)),
        _printable(where if record["error"] is None else f"{where}: {record['error']}"),
    )


def _count_boxes(record: Mapping[str, Any]) -> str:
    """Boxes only where the verdict asks to look: beside ``no tumor`` they would contradict it."""
    if record["boxes"] is None:
        return ""
    return str(len(record["boxes"])) if record["verdict"] in ("tumor", "uncertain") else _NONE


def _note_cells(note: str) -> tuple[Text, ...]:
    return Text("note", _STYLES["note"]), Text(""), Text(""), Text(""), _printable(note)


def _series_cells(record: Mapping[str, Any]) -> tuple[Text, ...]:
    words = (
        f"{record['path']}: tumor in {record['tumor_slices']} of {record['slices']} slices, "
        f"longest run {record['longest_run']}"
    )
    words += "".join(f", {more}" for more in unanswered_words(record))
    style = _STYLES["series"]
    odd = record["unfamiliar_slices"] + record["not_judged"]
    chance = _percent(record["largest_probability"]) if odd < record["slices"] else _NONE
    return Text("series", style), Text(chance, style), Text(""), Text(""), _printable(words)


def _concluded_cells(record: Mapping[str, Any]) -> tuple[Text, ...]:
    """The verdict of a series or a study, and the slice to open first."""
    verdict = record["verdict"]
    chance = _NONE if verdict in _NO_CHANCE else _percent(record["tumor_probability"])
    named = [record["path"], *filter(None, (record.get("sequence"), record.get("plane")))]
    words = f"{record['kind']} {', '.join(named)}: {record['slices']:,} slices"
    words += f" ({_count_verdicts(record['verdicts'])})" if record["verdicts"] else ""
    if record["first_slices"]:
        first = record["first_slices"][0]
        asks = "open first" if verdict in ("tumor", "uncertain") else "strongest slice"
        words += f"; {asks}: {name_slice(first['path'], first)}"
    style = _STYLES[verdict] + (" bold" if record["kind"] == "study" else "")
    cells = Text(verdict.replace("_", " "), style), Text(chance), Text(""), Text("")
    return (*cells, _printable(words))


def name_slice(file: str, key_slice: Mapping[str, Any]) -> str:
    """A slice to open: its file, and which slice of it, as DICOM viewers count or as records do.

    Args:
        file: as it shall be named.
        key_slice: the record of a :class:`KeySlice`.
    """
    if key_slice["instance_number"] is not None:
        return f"{file}, instance {key_slice['instance_number']}"
    if key_slice["frame"] == 0 and key_slice["position_mm"] is None:
        return file  # a picture: there is nothing to count in it
    return f"{file}, slice {key_slice['frame']} (counted from 0)"


def threshold_words(points: Mapping[str, OperatingPoint], name: str) -> str:
    """What a probability is compared with, in a line.

    Args:
        points: ``slice``, ``series``, ``study`` -> their thresholds.
        name: of the operating point.
    """
    levels = (f"{level}: {word_thresholds(point)}" for level, point in points.items())
    return f"thresholds ({name}): {'; '.join(levels)}"


def word_thresholds(point: OperatingPoint) -> str:
    """``tumor from 60.0 %, no tumor below 40.0 %``."""
    return f"tumor from {say_share(point.high, 1)}, no tumor below {say_share(point.low, 1)}"


def unanswered_words(record: Mapping[str, Any]) -> list[str]:
    """``5 uncertain``, ``48 unfamiliar`` and ``1 not judged``, of those that a series has."""
    names = {
        "uncertain_slices": "uncertain",
        "unfamiliar_slices": "unfamiliar",
        "not_judged": "not judged",
    }
    return [f"{record[key]:,} {words}" for key, words in names.items() if record[key]]


def _show_unfamiliarity(value: float | None) -> str:
    """Never 1.00 for what is above the limit of 1 or below it."""
    return "" if value is None else show_apart(value, (1.0,), 2)[0]


def _percent(value: float | None) -> str:
    return "" if value is None else show_probability(value)


def _break_paths(words: Text, width: int) -> Text:
    """Words too long for a line, broken behind the last slash that fits in place of anywhere."""
    lines = []
    for word in words.plain.split(" "):
        rest = word
        while len(rest) > width and (end := rest.rfind("/", 0, width) + 1):
            lines.append(f"{rest[:end]}\n")
            rest = rest[end:]
        lines.append(f"{rest} ")
    return Text("".join(lines)[:-1])


def _printable(words: str) -> Text:
    """Control characters in a file's name must not reach the terminal."""
    return Text("".join(one if one.isprintable() else ascii(one)[1:-1] for one in words))
