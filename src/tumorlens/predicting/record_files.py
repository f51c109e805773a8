"""Files of records: from the start, or after what a broken run has written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tumorlens.errors import UsageError
from tumorlens.predicting.records import (
    CsvWriter,
    JsonlWriter,
    LineForm,
    RecordWriter,
    Written,
    continue_file,
    read_written,
)
from tumorlens.writing import WORKBOOKS, check_writable, partial_path

if TYPE_CHECKING:
    from tumorlens.detector import Detector

__all__ = [
    "check_output",
    "guess_form",
    "make_writer",
    "open_record_file",
    "own_files",
    "take_up",
]


_OTHER_FORMS = (*WORKBOOKS, ".gz", ".zip", ".html", ".pdf")


def guess_form(output: Path) -> LineForm:
    """The form that a file's name asks for: CSV for ``.csv``, else JSON lines.

    Raises:
        UsageError: it is the name of another kind of file, which no program could open.
    """
    suffix = output.suffix.lower()
    if suffix in _OTHER_FORMS:
        raise UsageError(
            f"{output}: records are written as JSON lines or CSV, and {suffix} is another kind of "
            "file; name it .jsonl or .csv"
        )
    return "csv" if suffix == ".csv" else "jsonl"


def check_output(output: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse a file of records that cannot be written, before a model is loaded.

    Args:
        output: the file.
        overwrite: it may exist; what a broken run has left of it is thrown away.
        resume: what a broken run has left is taken up.

    Raises:
        UsageError: names the file and what to do.
    """
    check_writable(output, overwrite=overwrite)
    if partial_path(output).exists() and not (resume or overwrite):
        raise UsageError(
            f"{partial_path(output)}: is left from a broken run; "
            "continue it with `resume=True`, or start again with `overwrite=True`"
        )


def own_files(*results: Path | None) -> frozenset[str]:
    """Real paths of what a run writes: no input, be it in a folder that is searched."""
    files = [path for path in results if path is not None]
    files += [partial_path(path) for path in files]
    return frozenset(map(os.path.realpath, files))


def take_up(output: Path, form: LineForm, detector: Detector, columns: tuple[str, ...]) -> Written:
    """What the broken run has written, if it was a run with the same options.

    Args:
        output: the file that the run was to write; its ``FILE.partial`` is read.
        form: of the records.
        detector: the model of this run.
        columns: of a CSV; see `records.list_columns`.

    Raises:
        UsageError: it was made with another model, operating point or set of columns.
    """
    partial = partial_path(output)
    if not partial.exists():
        return Written()
    written = read_written(partial, form)
    settings = (detector.operating_point, detector.name)
    if (written.settings or settings) != settings:
        theirs, ours = map(" and ".join, (written.settings or settings, settings))
        raise _refuse(partial, f"the operating point and model {theirs}; this run has {ours}")
    if (written.columns or columns) != columns:
        raise _refuse(partial, "other columns; `summary=` and the model's classes choose them")
    return written


def _refuse(partial: Path, difference: str) -> UsageError:
    return UsageError(
        f"{partial}: was written with other options: it has {difference}. Use the same options, or "
        "start again with `overwrite=True`"
    )


@contextmanager
def open_record_file(
    output: Path, form: LineForm, written: Written, columns: tuple[str, ...]
) -> Iterator[RecordWriter]:
    """A writer to ``FILE.partial``, which is renamed at the end.

    After an error or an interrupt the partial file stays, so that a run can go on with it.

    Raises:
        UsageError: the file cannot be written, or another run writes it.
    """
    with continue_file(output, form, written) as stream:
        yield make_writer(stream, form, columns, header=not written.columns)


def make_writer(
    stream: IO[str], form: LineForm, columns: tuple[str, ...], *, header: bool = True
) -> RecordWriter:
    """Writes records as lines to a stream, which stays open.

    Args:
        stream: see `records.JsonlWriter` and `records.CsvWriter`.
        form: of the records.
        columns, header: of a CSV.
    """
    return CsvWriter(stream, columns, header=header) if form == "csv" else JsonlWriter(stream)
