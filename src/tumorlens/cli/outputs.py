"""Where the records of predict go: a file, a terminal or a pipe, from the start or resumed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, cast

from tumorlens.cli import words
from tumorlens.errors import InputError, UsageError
from tumorlens.imaging.files.contents import HEAD_BYTES, open_file, sniff
from tumorlens.report.records import (
    ERROR_HANDLER,
    CsvWriter,
    JsonlWriter,
    RecordWriter,
    Written,
    continue_file,
    read_written,
)
from tumorlens.report.tables import RecordTable, open_console
from tumorlens.writing import check_writable, open_when_done, partial_path

if TYPE_CHECKING:
    from tumorlens.detector import Detector

__all__ = [
    "Form",
    "check_inputs_survive",
    "check_options",
    "guess_form",
    "open_writer",
    "own_files",
    "take_up",
]

Form = Literal["table", "jsonl", "csv"]


def guess_form(output: Path | None) -> Form:
    if output is not None:
        return "csv" if output.suffix.lower() == ".csv" else "jsonl"
    return "table" if sys.stdout.isatty() else "jsonl"


def check_inputs_survive(paths: Iterable[str], *results: Path | None) -> None:
    """Refuse to write a result over an input, or over any image.

    Args:
        paths: as named by the caller; a folder may hold the image, so that all are refused.
        results: files that will be written.

    Raises:
        UsageError: names the file.
    """
    inputs = {os.path.realpath(path) for path in paths if path != "-"}
    for result in filter(None, results):
        if result.exists() and (os.path.realpath(result) in inputs or _holds_image(result)):
            raise UsageError(
                f"{result}: is an image or another input, and would be replaced; "
                "give the result another name"
            )


def _holds_image(path: Path) -> bool:
    try:
        with open_file(path, str(path)) as stream:
            return sniff(stream.read(HEAD_BYTES)) is not None
    except (InputError, OSError):
        return False  # what is wrong with it is said when it is written


def check_options(output: Path | None, form: Form, *, overwrite: bool, resume: bool) -> None:
    """Refuse what contradicts itself before a model is loaded."""
    if output is None:
        if resume or overwrite:
            raise UsageError("--resume and --overwrite speak of a result file; name it: --output")
        return
    check_writable(output, overwrite=overwrite)
    if resume and form == "table":
        raise UsageError("a table cannot be resumed; use --format jsonl or csv")
    if partial_path(output).exists() and not (resume or overwrite):
        raise UsageError(
            f"{partial_path(output)}: is left of a broken run; "
            "go on with it by --resume, or begin anew with --overwrite"
        )


def own_files(*results: Path | None) -> frozenset[str]:
    """Real paths of what a run writes: no input, be it in a folder that is searched."""
    files = [path for path in results if path is not None]
    files += [partial_path(path) for path in files]
    return frozenset(map(os.path.realpath, files))


@contextmanager
def open_writer(
    form: Form, output: Path | None, written: Written, columns: tuple[str, ...], bar: words.Bar
) -> Iterator[RecordWriter]:
    with _open_stream(form, output, written, bar) as stream:
        writer: RecordWriter
        if form == "table":
            writer = RecordTable(bar.console or open_console(stream))
        elif form == "csv":
            writer = CsvWriter(stream, columns, header=not written.columns)
        else:
            writer = JsonlWriter(stream)
        try:
            yield writer
        finally:
            writer.close()


def _open_stream(
    form: Form, output: Path | None, written: Written, bar: words.Bar
) -> AbstractContextManager[IO[str]]:
    if output is None:
        errors = "replace" if form == "table" else ERROR_HANDLER[form]
        stream = bar.stream or _open_stdout(errors)
        shown = form == "csv" and sys.stdout.isatty()  # which has no escapes of its own
        return nullcontext(cast("IO[str]", _Printable(stream)) if shown else stream)
    if form == "table":
        return open_when_done(output, overwrite=True)
    return continue_file(output, form, written)


class _Printable:
    """A terminal that control characters in a file's name do not reach."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        self._stream.write(words.make_printable(text))

    def flush(self) -> None:
        self._stream.flush()


def _open_stdout(errors: str) -> IO[str]:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors=errors, newline="\n")
    return sys.stdout


def take_up(
    output: Path | None, form: Form, detector: Detector, columns: tuple[str, ...]
) -> Written:
    """What the broken run has written, if it was a run with the same options.

    Raises:
        UsageError: it was made with another model, operating point or set of columns.
    """
    if output is None or form == "table" or not partial_path(output).exists():
        return Written()
    partial = partial_path(output)
    written = read_written(partial, form)
    settings = (detector.operating_point, detector.name)
    if (written.settings or settings) != settings or (written.columns or columns) != columns:
        raise UsageError(
            f"{partial}: was written with other options (operating point and model "
            f"{written.settings}, now {settings}); give the same, or begin anew with --overwrite"
        )
    return written
