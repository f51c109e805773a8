"""`merge`: the files of all shards become the file that one run would have written."""

from __future__ import annotations

import heapq
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from tumorlens.arguments import check_arguments
from tumorlens.digits import say_count
from tumorlens.errors import UsageError
from tumorlens.predicting.options import RunSummary
from tumorlens.predicting.records import PLACE, LineForm, parse_row, whole_lines
from tumorlens.predicting.sharding.shard_notes import (
    NOTE_ENDING,
    ShardNote,
    note_path,
    read_note,
    tell_difference,
)
from tumorlens.progress import Notice, stay_silent
from tumorlens.remote.file_addresses import drop_host
from tumorlens.remote.staging import open_staging
from tumorlens.shards import Shard
from tumorlens.writing import check_writable, partial_path, replace_when_done

__all__ = ["merge"]

Path_ = str | os.PathLike[str]
Placed = tuple[float, int, bytes]
"""Place, number of the shard, and a whole line without the place."""

_LAST = {
    "jsonl": re.compile(rb', "place": ([0-9.]+)}\n\Z'),
    "csv": re.compile(rb',"?([0-9.]+)"?\n\Z'),
}
_END: dict[LineForm, bytes] = {"jsonl": b"}\n", "csv": b"\n"}


@dataclass(frozen=True, slots=True)
class _Part:
    """A file of records that is complete, and its note."""

    path: Path
    note: ShardNote

    @property
    def number(self) -> int:
        return self.note.part.number

    @property
    def form(self) -> LineForm:
        return "csv" if self.note.run.get("form") == "csv" else "jsonl"


@check_arguments()
def merge(
    shards: Path_ | Sequence[Path_],
    output: Path_,
    *,
    overwrite: bool = False,
    allow_missing: bool = False,
    notice: Notice | None = None,
) -> RunSummary:
    """Join the records of all shards of a run, in the order of one process.

    The result equals that of one run byte for byte, but for ``seconds``. One line of each shard is
    held at a time.

    Args:
        shards: files that `write_records` or ``tumorlens predict`` wrote with ``shard``, in any
            order. ``FILE.shard.json`` must stand beside each. A file may be an address
            (``s3://…``, ``gs://…``), or a pattern of addresses.
        output: where the records go, in the form of the shards: a file, or an address.
        overwrite: replace a file that exists already.
        allow_missing: merge what there is; what is missing is told.
        notice: takes sentences for a person.

    Returns:
        Counts of verdicts and of skipped files, of all shards together.

    Raises:
        UsageError: a shard is missing, was cut off or stands there twice; or shards are of
            different runs, models or inputs. It lists all of them, and nothing is written.
    """
    named = [shards] if isinstance(shards, (str, os.PathLike)) else shards
    tell = notice or stay_silent
    if not named:
        raise UsageError("no shard is named; name the file of each shard")
    with open_staging(tell) as staging:
        file = staging.expect(Path(drop_host(output)))
        assert file is not None

        def say(line: str) -> None:
            tell(staging.show(line))

        done = _merge(
            staging.fetch_records(named), file, say, overwrite=overwrite, partly=allow_missing
        )
        return replace(done, missing=tuple(map(staging.show, done.missing)))


def _merge(
    files: Sequence[Path], output: Path, say: Notice, *, overwrite: bool, partly: bool
) -> RunSummary:
    if os.path.realpath(output) in map(os.path.realpath, files):
        raise UsageError(f"{output}: is a shard; choose another name for the result")
    check_writable(output, overwrite=overwrite)
    parts, faults = _take_in(files)
    _check_one_run(parts)
    faults += _find_missing(parts, files)
    if faults and not (partly and parts):
        raise UsageError(_list_faults(faults, parts))
    for fault in faults:
        say(f"missing: {fault}")
    _check_form(output, parts[0].form)
    if len({part.note.inputs.order for part in parts}) > 1:
        say(
            "the shards were given their inputs in different orders, so that the records are "
            "complete, but in the order of no single run"
        )
    with replace_when_done(output, overwrite=overwrite) as partial, partial.open("wb") as stream:
        _write(stream, parts)
    return _sum_up(parts, faults)


def _take_in(files: Iterable[Path]) -> tuple[list[_Part], list[str]]:
    """The shards that are complete, and a sentence for each file that is not."""
    parts, faults = [], []
    for path in files:
        note = None if path.is_dir() else read_note(path)
        fault = _find_fault(path, note)
        if fault:
            faults.append(fault)
        elif note is not None:
            parts.append(_Part(path, note))
    return parts, faults


def _find_fault(path: Path, note: ShardNote | None) -> str:
    """What keeps a shard from being merged; empty if nothing does."""
    if note is None:
        if path.is_dir():
            return f"{path}: is a folder; name the files in it"
        if path.exists():
            return f"{path}: has no {note_path(path).name} beside it; copy that file, too"
        return f"{path}: there is no such file; its shard never started"
    if not path.exists() or note.state == "running":
        return _tell_broken(path, note)
    size = path.stat().st_size
    if size != note.bytes:
        return (
            f"{path}: has {size:,} bytes, and shard {note.shard} wrote {note.bytes:,}; it was "
            "changed or copied in part, so copy it again"
        )
    return ""


def _tell_broken(path: Path, note: ShardNote) -> str:
    partial = partial_path(path)
    lines = 0
    if partial.exists():
        lines = sum(1 for _ in whole_lines(partial, quoted=note.run.get("form") == "csv"))
    left = f"{partial} holds {lines:,} lines" if lines else "nothing is left of it"
    return (
        f"{path}: shard {note.shard} was cut off, or still runs, and {left}; run it again with "
        "`resume=True`"
    )


def _check_one_run(parts: Sequence[_Part]) -> None:
    """Refuse shards of different runs, and one that stands there twice.

    Raises:
        UsageError: names both files, and what differs.
    """
    known: dict[int, _Part] = {}
    for part in parts:
        first, note = parts[0], part.note
        difference = tell_difference(note.run, first.note.run)
        if note.part.of != first.note.part.of:
            difference = f"{note.part.of} shards in place of {first.note.part.of}"
        elif not difference and note.inputs.fingerprint != first.note.inputs.fingerprint:
            difference = (
                f"other inputs ({note.inputs.count:,} in place of {first.note.inputs.count:,}), "
                "so that its part is another"
            )
        if difference:
            raise UsageError(
                f"{part.path}: is of another run than {first.path}: it has {difference}; nothing "
                "was merged"
            )
        twin = known.setdefault(part.number, part)
        if twin is not part:
            raise UsageError(
                f"{part.path}: is shard {note.shard}, as {twin.path} is; name each shard once"
            )


def _find_missing(parts: Sequence[_Part], files: Sequence[Path]) -> Iterator[str]:
    """A sentence for each shard of which no file was named."""
    if not parts:
        return
    of = parts[0].note.part.of
    named = {read.part.number for path in files if (read := read_note(path)) is not None}
    unnamed = {}
    for folder in dict.fromkeys(part.path.parent for part in parts):
        for beside in sorted(folder.glob(f"*{NOTE_ENDING}")):
            path = beside.with_name(beside.name.removesuffix(NOTE_ENDING))
            note = read_note(path)
            if note is not None and note.part.of == of:
                unnamed[note.part.number] = path, note
    missing = sorted(set(range(1, of + 1)) - named)
    for number in (one for one in missing if one in unnamed):
        path, note = unnamed[number]
        yield _find_fault(path, note) or f"{path}: shard {note.shard} was not named"
    lost = [number for number in missing if number not in unnamed]
    nameless = sum(read_note(path) is None for path in files)  # told already, each as a file
    for number in lost if len(lost) > nameless else ():
        yield f"shard {Shard(number, of)}: never started, or its file was not named"


def _list_faults(faults: Sequence[str], parts: Sequence[_Part]) -> str:
    """One message for all of them."""
    of = f" of {parts[0].note.part.of}" if parts else ""
    shards = say_count(len(faults), "shard")
    rest = "; `allow_missing=True` merges the others" if parts else ""
    lines = "".join(f"\n  {fault}" for fault in faults)
    return f"{shards}{of} cannot be merged, and nothing was written{rest}:{lines}"


def _check_form(output: Path, form: LineForm) -> None:
    other = {"jsonl": ".csv", "csv": ".jsonl"}[form]
    if output.suffix.lower() == other:
        raise UsageError(
            f"{output}: the shards were written as {form}, which the name {other} contradicts; "
            f"name a .{form} file"
        )


def _write(stream: IO[bytes], parts: Sequence[_Part]) -> None:
    """All records in their order, under one row of names if they are a CSV."""
    form = parts[0].form
    columns: tuple[str, ...] = ()
    if form == "csv":
        header = _read_header(parts)
        stream.write(header)
        columns = tuple(parse_row(header)) if header else ()
    lines = heapq.merge(*(_read_placed(part) for part in parts))
    for line in _delay_series(lines, columns):
        stream.write(line)


def _read_header(parts: Iterable[_Part]) -> bytes:
    """The row of names without that of the place; empty if no shard has any record."""
    for part in parts:
        for line in whole_lines(part.path, quoted=True):
            return line.removesuffix(f",{PLACE}\n".encode()) + b"\n"
    return b""


def _read_placed(part: _Part) -> Iterator[Placed]:
    """The lines of a shard, each with its place, and without its key."""
    pattern, end = _LAST[part.form], _END[part.form]
    lines = whole_lines(part.path, quoted=part.form == "csv")
    if part.form == "csv":
        next(lines, None)
    for number, line in enumerate(lines, start=1):
        found = pattern.search(line)
        if found is None:
            raise UsageError(f"{part.path}, record {number}: tells no place; run the shard again")
        yield float(found[1]), part.number, line[: found.start()] + end


def _delay_series(lines: Iterable[Placed], columns: Sequence[str]) -> Iterator[bytes]:
    """Lines in the order of one process.

    Hold a series' record back until the next readable slice: unreadable files of other shards in
    between come first, as in a single run.
    """
    held: list[Placed] = []
    for one in lines:
        place, _, line = one
        if held and place != held[0][0] and not (place.is_integer() and _is_error(line, columns)):
            yield from (line for _, _, line in held)
            held = []
        if place.is_integer():
            yield line
        else:
            held.append(one)
    yield from (line for _, _, line in held)


def _is_error(line: bytes, columns: Sequence[str]) -> bool:
    """Whether a record is of a slice that could not be read."""
    record: Mapping[str, object] = (
        dict(zip(columns, parse_row(line), strict=True)) if columns else json.loads(line)
    )
    return record["kind"] == "slice" and bool(record["error"])


def _sum_up(parts: Iterable[_Part], faults: Iterable[str]) -> RunSummary:
    counts: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for part in parts:
        counts.update(part.note.counts)
        skipped.update(part.note.skipped)
    return RunSummary(dict(counts), dict(skipped), missing=tuple(faults))
