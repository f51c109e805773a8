"""Records on their way to a file or a pipe, and back when a broken run goes on."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from tumorlens.errors import UsageError
from tumorlens.opening import open_regular

__all__ = [
    "ERROR_HANDLER",
    "PLACE",
    "CsvWriter",
    "JsonlWriter",
    "Key",
    "LineForm",
    "RecordWriter",
    "Written",
    "flatten_record",
    "key_of",
    "list_columns",
    "parse_record",
    "parse_row",
    "read_written",
    "whole_lines",
]

LineForm = Literal["jsonl", "csv"]
"""Forms that hold one record a line, so that a broken run can go on."""

ERROR_HANDLER: dict[LineForm, str] = {"jsonl": "backslashreplace", "csv": "surrogateescape"}
"""How a file's name that is no valid Unicode is written, so that it can be read back: with JSON's
own escapes, or as its bytes."""

Key = tuple[str, str, int, str]
"""Kind, path, frame and series: together they tell a record from all others of a run."""

PLACE = "place"
"""Last key of a record of a shard: where it stands among those of all shards."""

_OUTPUTS = ("unfamiliarity", "peak_xy", "boxes", "operating_point", "model")
_ORIGIN = ("series_instance_uid", "position_mm", "seconds", "error")
_QUESTIONS = ("plane", "sequence", "skull")
_LOOKS = ("brain_share", *(f"looks_{name}" for name in _QUESTIONS), "outside")
_COUNTS = ("slices", "tumor_slices", "largest_probability", "longest_run")
_PLACE = ("study_instance_uid", "patient", "sequence", "plane", "notes")
_UNANSWERED = ("uncertain_slices", "unfamiliar_slices", "not_judged")
_NESTED = ("run", "peak", "extent_mm", "first_slices", "verdicts", "series")
_CONCLUSION = ("volume", *_NESTED[:-1], "unfamiliar_share", "not_judged_share")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a text that a spreadsheet takes for a formula begins with (OWASP, CSV Injection)."""


class RecordWriter(Protocol):
    """Takes records one by one and writes each as whole lines."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record of kind ``slice`` or ``series``."""


class JsonlWriter:
    """One JSON object a line.

    Args:
        stream: UTF-8, with the error handler of `ERROR_HANDLER`.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, record: Mapping[str, Any]) -> None:
        self._stream.write(_escape(json.dumps(record, ensure_ascii=False)) + "\n")
        self._stream.flush()


class CsvWriter:
    """One row a record, after a row of column names.

    Args:
        stream: UTF-8, with the error handler of `ERROR_HANDLER` and ``newline=""``.
        columns: see `list_columns`.
        header: False to go on in a file that has its names already.
    """

    def __init__(self, stream: IO[str], columns: Sequence[str], *, header: bool = True) -> None:
        self._columns = columns
        self._stream = stream
        self._rows = csv.writer(stream, lineterminator="\n")
        self._quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self._header = header

    def write(self, record: Mapping[str, Any]) -> None:
        if self._header:
            self._rows.writerow(self._columns)
            self._header = False
        cells = flatten_record(record)
        row = [cells.get(name, "") for name in self._columns]
        # Python quotes for its own line end alone, and reads a bare carriage return as one, too.
        rows = self._quoted if any("\r" in cell for cell in row) else self._rows
        rows.writerow(row)
        self._stream.flush()


def list_columns(
    classes: Iterable[str], *, summary: bool = False, placed: bool = False
) -> tuple[str, ...]:
    """The CSV's columns: a record's keys, with one ``probability_<class>`` a class.

    Args:
        classes: of the model.
        summary: records of series and studies come, too.
        placed: each record tells its place in the run, of which this is a shard.
    """
    names = ["schema", "kind", "path", "frame", "verdict", "tumor_probability"]
    names += [f"probability_{name}" for name in classes]
    counts, more = (_COUNTS, (*_UNANSWERED, *_CONCLUSION)) if summary else ((), ())
    place = (PLACE,) if placed else ()
    return (*names, *_OUTPUTS, *_ORIGIN, *counts, *_PLACE, *more, *_LOOKS, *place)


def flatten_record(record: Mapping[str, Any]) -> dict[str, str]:
    """A record as cells of a CSV: ``peak_xy`` as ``x y``, ``boxes`` as ``x0 y0 x1 y1 score;…``.

    ``notes`` are joined by ``; ``. A text that a spreadsheet would run as a formula gets an
    apostrophe before it, and a path ``./``, so that it still names its file.
    """
    cells = {
        name: _shield(name, value)
        if isinstance(value, str)
        else ""
        if value is None
        else str(value)
        for name, value in record.items()
    }
    chances = record.get("probabilities") or {}
    cells |= {f"probability_{name}": str(value) for name, value in chances.items()}
    if record.get("peak_xy") is not None:
        cells["peak_xy"] = _join(record["peak_xy"])
    if record.get("boxes") is not None:
        cells["boxes"] = ";".join(map(_join, record["boxes"]))
    for name in _NESTED:
        if record.get(name) is not None:
            cells[name] = json.dumps(record[name], ensure_ascii=False)
    if "notes" in record:
        cells["notes"] = _shield("notes", "; ".join(record["notes"]))
    if "appearance" in record:
        del cells["appearance"]
        looks = record["appearance"] or {}
        cells |= {f"looks_{name}": looks.get(name, [""])[0] for name in _QUESTIONS}
    return cells


def key_of(record: Mapping[str, Any]) -> Key:
    """What tells a record from all others of a run."""
    uid = str(record.get("series_instance_uid") or "")
    return str(record["kind"]), str(record["path"]), int(record.get("frame") or 0), uid


@dataclass(frozen=True, slots=True)
class Written:
    """What a run has written, line by line.

    What could not be read is tried again. So its records do not count, nor those of studies, which
    come last and may change.

    Attributes:
        keys: of all whole records that count.
        places: path and series of all slices that do.
        last: path of the last slice; more of its series may be missing.
        counts: verdict -> number of slices.
        settings: operating point and model of the records.
        size: bytes of the whole lines; what follows is a torn one.
        columns: of a CSV; empty for JSON lines.
        lines: number of whole lines.
        failed: (number of the line, from 1; path) of records of an error.
        dropped: numbers of the lines that do not count.
    """

    keys: frozenset[Key] = frozenset()
    places: frozenset[tuple[str, str]] = frozenset()
    last: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    settings: tuple[str, str] | None = None
    size: int = 0
    columns: tuple[str, ...] = ()
    lines: int = 0
    failed: tuple[tuple[int, str], ...] = ()
    dropped: frozenset[int] = frozenset()
    again: frozenset[str] = field(init=False, default=frozenset())
    """Paths of ``failed``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "again", frozenset(path for _, path in self.failed))

    def holds(self, path: str, parts: Iterable[str], series: str | None) -> bool:
        """Whether a source need not be read again, because all its slices are written.

        Args:
            path: of the source.
            parts: paths of its files, by which its slices may be named instead.
            series: its Series Instance UID; several series may lie at one path.
        """
        names = set(parts)
        if not {self.last, *self.again}.isdisjoint(names | {path}):
            return False
        uid = series or ""
        return (path, uid) in self.places or {(name, uid) for name in names} <= self.places


def read_written(path: Path, form: LineForm) -> Written:
    """Read the whole records of a broken run; a torn last line is left out of ``size``.

    Raises:
        UsageError: the file holds something else; names the line.
    """
    keys: set[Key] = set()
    studies: dict[int, Key] = {}
    counts: dict[str, int] = {}
    failed: list[tuple[int, str]] = []
    settings, last, size, number = None, None, 0, 0
    columns: tuple[str, ...] = ()
    for number, line in enumerate(whole_lines(path, quoted=form == "csv"), start=1):
        size += len(line)
        if form == "csv" and not columns:
            columns = tuple(parse_row(line))
            continue
        record = parse_record(line, columns, f"{path}, line {number}")
        if record["kind"] == "slice":
            last = str(record["path"])
            settings = settings or (str(record["operating_point"]), str(record["model"]))
            if not record["verdict"]:
                failed.append((number, last))
                continue
            counts[record["verdict"]] = counts.get(record["verdict"], 0) + 1
        if record["kind"] == "study":
            studies[number] = key_of(record)
        keys.add(key_of(record))
    dropped = {line for line, _ in failed}
    if dropped:
        dropped |= studies.keys()
        keys -= set(studies.values())
    places = frozenset((path, uid) for kind, path, _, uid in keys if kind == "slice")
    return Written(
        frozenset(keys), places, last, counts, settings, size, columns, number, tuple(failed),
        frozenset(dropped),
    )  # fmt: skip


def parse_record(line: bytes, columns: Sequence[str], where: str) -> dict[str, Any]:
    """A record of a line; of a CSV, whose ``columns`` are given, as text.

    Raises:
        UsageError: it is none; names ``where``.
    """
    try:
        if columns:
            cells = zip(columns, parse_row(line), strict=True)
            return _check_keys({name: _unshield(name, cell) for name, cell in cells})
        return _check_keys(json.loads(line))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(
            f"{where}: is not a record in this format; "
            "give `form=` as in the broken run, or remove the file"
        ) from None


def _check_keys(record: dict[str, Any]) -> dict[str, Any]:
    for name in ("kind", "path"):
        record[name]
    if record["kind"] == "slice":
        int(record["frame"]), record["verdict"], record["operating_point"], record["model"]
    return record


def whole_lines(path: Path, *, quoted: bool) -> Iterator[bytes]:
    """Lines that end; inside a CSV's quotes a line break is text.

    Raises:
        UsageError: the file cannot be read.
    """
    held = b""
    try:
        stream = open_regular(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); remove it") from None
    with stream:
        for line in stream:
            held += line
            if line.endswith(b"\n") and not (quoted and held.count(b'"') % 2):
                yield held
                held = b""


def parse_row(line: bytes) -> list[str]:
    """The cells of a whole row of a CSV."""
    return next(csv.reader([line.decode("utf-8", "surrogateescape")]))


def _shield(name: str, text: str) -> str:
    """The text, with one shield more before it if it begins like a formula behind those it has."""
    shield = _shield_of(name)
    bare = text
    while bare.startswith(shield):
        bare = bare.removeprefix(shield)
    return shield + text if bare.startswith(_FORMULA) else text


def _unshield(name: str, cell: str) -> str:
    """What `_shield` made the cell of."""
    bare = cell.removeprefix(_shield_of(name))
    return bare if _shield(name, bare) == cell else cell


def _shield_of(name: str) -> str:
    return "./" if name == "path" else "'"


def _escape(line: str) -> str:
    """Characters that command a terminal or break a line, in JSON's own escapes."""
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in line)


def _join(values: Iterable[float]) -> str:
    return " ".join(map(str, values))
