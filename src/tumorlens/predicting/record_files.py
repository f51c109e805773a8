"""Files of records: what they may be named, and what a run finds in them that goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tumorlens.errors import UsageError
from tumorlens.predicting.records import (
    CsvWriter,
    JsonlWriter,
    LineForm,
    RecordWriter,
    Written,
    read_written,
)
from tumorlens.writing import (
    WORKBOOKS,
    check_writable,
    name_place,
    partial_path,
    replace_when_done,
)

if TYPE_CHECKING:
    from tumorlens.detector import Detector

__all__ = [
    "check_output",
    "guess_form",
    "is_finished",
    "make_writer",
    "own_files",
    "reopen",
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
        resume: what a run has left is taken up, and goes on to ``output``.

    Raises:
        UsageError: names the file and what to do.
    """
    check_writable(output, overwrite=overwrite or resume)
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
    return _take_up(partial, form, detector, columns) if partial.exists() else Written()


def is_finished(output: Path) -> bool:
    """Whether a run has ended, and none has begun since to write its file anew."""
    return output.is_file() and not partial_path(output).exists()


def reopen(
    output: Path,
    form: LineForm,
    detector: Detector,
    columns: tuple[str, ...],
    results: Iterable[Path | None],
) -> Written | None:
    """Make the file of a run that has ended one that a run can go on with, if anything is left.

    Args:
        output: the file.
        form, detector, columns: see `take_up`.
        results: what else is made of the inputs.

    Returns:
        What the run has written, if nothing is left: all could be read, and all results are there.

    Raises:
        UsageError: as `take_up` raises it.
    """
    written = _take_up(output, form, detector, columns)
    if not written.failed and all(one is None or one.exists() for one in results):
        return written
    partial = partial_path(output)
    with name_place(partial), replace_when_done(partial, overwrite=True) as whole:
        shutil.copyfile(output, whole)
    return None


def _take_up(file: Path, form: LineForm, detector: Detector, columns: tuple[str, ...]) -> Written:
    written = read_written(file, form)
    settings = (detector.operating_point, detector.name)
    if (written.settings or settings) != settings:
        theirs, ours = map(" and ".join, (written.settings or settings, settings))
        raise _refuse(file, f"the operating point and model {theirs}; this run has {ours}")
    if (written.columns or columns) != columns:
        raise _refuse(file, "other columns; `summary=` and the model's classes choose them")
    return written


def _refuse(file: Path, difference: str) -> UsageError:
    return UsageError(
        f"{file}: was written with other options: it has {difference}. Use the same options, or "
        "start again with `overwrite=True`"
    )


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
