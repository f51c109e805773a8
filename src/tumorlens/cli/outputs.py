"""Where the records of predict go: a file, a terminal or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import TextIOWrapper
from pathlib import Path
from shlex import quote
from typing import IO, TYPE_CHECKING, Literal, cast

from tumorlens.cli import words
from tumorlens.cli.pace import Pulse
from tumorlens.errors import UsageError
from tumorlens.model.registry import DEFAULT
from tumorlens.predicting.record_files import (
    check_output,
    guess_form,
    make_writer,
)
from tumorlens.predicting.records import ERROR_HANDLER, RecordWriter
from tumorlens.remote.addresses import is_address
from tumorlens.report.tables import RecordTable, open_console
from tumorlens.writing import check_writable, open_when_done

if TYPE_CHECKING:
    from tumorlens.predicting.prediction_run import PredictionRun
    from tumorlens.shards import Shard

__all__ = [
    "Form",
    "check_options",
    "choose_form",
    "name_next_steps",
    "open_writer",
]

Form = Literal["table", "jsonl", "csv"]
_FEW = 3  # paths that a command to copy may repeat


def choose_form(output: Path | None) -> Form:
    """The form where the command line names none."""
    if output is not None:
        return guess_form(output)
    return "table" if sys.stdout.isatty() else "jsonl"


def check_options(
    output: Path | None,
    form: Form,
    *,
    overwrite: bool,
    resume: bool,
    shard: Shard | None = None,
) -> None:
    """Refuse what contradicts itself before a model is loaded."""
    if shard is not None and (output is None or form == "table"):
        raise UsageError(
            f"`shard={shard}` writes records to be merged; name their file with --output, and "
            "give no --format table"
        )
    if output is None:
        if resume or overwrite:
            raise UsageError(
                "--resume and --overwrite are about a result file; name it with --output"
            )
        return
    if resume and form == "table":
        check_writable(output, overwrite=overwrite)
        raise UsageError("a table cannot be resumed; use --format jsonl or csv")
    check_output(output, overwrite=overwrite, resume=resume)


@contextmanager
def open_writer(
    form: Form, output: Path | None, run: PredictionRun, pulse: Pulse, *, resume: bool
) -> Iterator[RecordWriter]:
    """What takes the records and shows or writes them."""
    if output is not None and form != "table":
        from tumorlens.predicting.recording import open_records

        with open_records(run, output, form, resume=resume) as records:
            yield records
        return
    with _open_stream(form, output, pulse) as stream:
        if form == "table":
            table = RecordTable(pulse.console or open_console(stream))
            try:
                yield table
            finally:
                table.close()
        else:
            yield make_writer(stream, form, run.columns)


def _open_stream(form: Form, output: Path | None, pulse: Pulse) -> AbstractContextManager[IO[str]]:
    if output is not None:
        return open_when_done(output, overwrite=True)
    errors = "replace" if form == "table" else ERROR_HANDLER[form]
    stream = pulse.stream or _open_stdout(errors)
    shown = form == "csv" and sys.stdout.isatty()  # which has no escapes of its own
    return nullcontext(cast("IO[str]", _Printable(stream)) if shown else stream)


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


def name_next_steps(
    paths: tuple[str, ...],
    *,
    report: Path | None,
    heatmaps: Path | None,
    shard: Shard | None,
    model: str,
) -> Iterator[str]:
    """What to open of a run, and what to run next."""
    seen = [str(one) for one in (report, heatmaps) if one is not None]
    if seen:
        yield f"to look at: {', '.join(seen)}"
    if shard is not None:
        yield "to go on: tumorlens merge PART... --output FILE, once all parts are done"
        return
    is_short = len(paths) <= _FEW and "-" not in paths
    named = " ".join(map(quote, paths)) if is_short else "PATH..."
    named += "" if model == DEFAULT else f" --model {quote(model)}"
    steps = [] if any(map(is_address, paths)) else [f"view {named}"]
    if report is None:
        steps.insert(0, f"predict {named} --report report.html")
    for heading, step in zip(("to go on:", "         "), steps, strict=False):
        yield f"{heading} tumorlens {step}"
