"""``FILE.partial``: held by one run, continued, and in order when inputs were tried again."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tumorlens.errors import UsageError
from tumorlens.predicting.records import (
    ERROR_HANDLER,
    Key,
    LineForm,
    Written,
    key_of,
    parse_record,
    parse_row,
    whole_lines,
)
from tumorlens.writing import (
    follow_link,
    lock_file,
    name_place,
    partial_path,
    replace_when_done,
)

__all__ = ["continue_file", "settle_records"]

Line = tuple[int, int]
"""Where a line begins, in bytes, and its length."""


@contextmanager
def continue_file(path: Path, form: LineForm, written: Written) -> Iterator[IO[str]]:
    """Write to ``FILE.partial`` after its whole lines, and rename it at the end.

    After an error or an interrupt the partial file stays, so that a run can go on with it.

    Raises:
        UsageError: the file cannot be written, or another run writes it.
    """
    partial = partial_path(path)
    with name_place(partial):
        stream = _open_partial(partial, form)
        stream.truncate(written.size)
        if written.dropped:
            stream.close()
            _drop_lines(partial, form, written.dropped)
            stream = _open_partial(partial, form)
    try:
        yield stream
    except BaseException:
        with suppress(OSError):  # what went wrong first is what counts
            stream.close()
            if not partial.stat().st_size:
                partial.unlink()
        raise
    with name_place(partial):
        stream.close()
        partial.replace(follow_link(path))


def _open_partial(partial: Path, form: LineForm) -> IO[str]:
    """Open a file of records for this run alone, to go on at its end.

    Raises:
        UsageError: another run writes it.
    """
    stream = partial.open("a", encoding="utf-8", errors=ERROR_HANDLER[form], newline="")
    _claim(stream, partial)
    return stream


def _drop_lines(path: Path, form: LineForm, numbers: frozenset[int]) -> None:
    """Rewrite a file without some of its lines, counted from 1."""
    lines = enumerate(whole_lines(path, quoted=form == "csv"), start=1)
    with replace_when_done(path, overwrite=True) as partial, partial.open("wb") as stream:
        stream.writelines(line for number, line in lines if number not in numbers)


def _claim(stream: IO[str], partial: Path) -> None:
    """Hold the partial file for this run alone, where the system knows such locks.

    Raises:
        UsageError: another run holds it, or has just made it its result.
    """
    free = True
    with suppress(OSError):  # disks of a network without locks
        free = lock_file(stream)
    if free and _is_open(stream, partial):
        return
    stream.close()
    raise UsageError(
        f"{partial}: another run is writing this file; wait until it ends, or name another file"
    )


def _is_open(stream: IO[str], path: Path) -> bool:
    """Whether ``path`` still names the file that is open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(stream.fileno()))
    except OSError:
        return False


def settle_records(partial: Path, form: LineForm, written: Written) -> None:
    """Order the records of a run that has tried some inputs again.

    Slices of such an input come to the place where its error stood. A series that has changed
    takes the place of what was said of it before.

    Args:
        partial: file of the records: lines that count of what was ``written``, then the new ones.
        form: of the records.
        written: what the run went on with.
    """
    slots, kept = _find_slots(written), written.lines - len(written.dropped)
    moved, rest = defaultdict[int, list[Line]](list), list[Line]()
    series: dict[Key, Line] = {}
    for number, key, where in _read(partial, form):
        if number <= kept or key is None:
            continue
        if key[0] == "slice" and key[1] in slots:
            moved[slots[key[1]]].append(where)
        elif key[0] == "series" and key in written.keys:
            series[key] = where
        else:
            rest.append(where)
    with (
        replace_when_done(partial, overwrite=True) as temporary,
        temporary.open("wb") as target,
        partial.open("rb") as source,
    ):

        def copy(lines: list[Line]) -> None:
            for start, size in lines:
                source.seek(start)
                target.write(source.read(size))

        for number, key, where in _read(partial, form):
            if number > kept:
                break
            copy(moved[number - 1])
            copy([series.get(key, where) if key is not None else where])
        copy(moved[kept])
        copy(rest)


def _find_slots(written: Written) -> dict[str, int]:
    """Path -> number of lines that count before its first error."""
    slots: dict[str, int] = {}
    dropped = sorted(written.dropped)
    before = 0
    for number, path in written.failed:
        while before < len(dropped) and dropped[before] < number:
            before += 1
        slots.setdefault(path, number - 1 - before)
    return slots


def _read(partial: Path, form: LineForm) -> Iterator[tuple[int, Key | None, Line]]:
    """Number, key and place of each line; the row of names of a CSV has no key."""
    columns: tuple[str, ...] = ()
    start = 0
    for number, line in enumerate(whole_lines(partial, quoted=form == "csv"), start=1):
        if form == "csv" and number == 1:
            columns, key = tuple(parse_row(line)), None
        else:
            key = key_of(parse_record(line, columns, f"{partial}, line {number}"))
        yield number, key, (start, len(line))
        start += len(line)
