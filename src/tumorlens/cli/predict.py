"""``tumorlens predict``: files in, records and heat maps out."""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import click

from tumorlens.cli import words
from tumorlens.errors import InputError, UsageError
from tumorlens.finding import Finding, SeriesFinding
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.sources import Skipped, Source, find_sources
from tumorlens.report.records import (
    ERROR_HANDLER,
    CsvWriter,
    JsonlWriter,
    RecordWriter,
    Written,
    continue_file,
    key_of,
    list_columns,
    name_place,
    read_written,
)
from tumorlens.report.tables import RecordTable, count_words, open_console
from tumorlens.writing import check_writable, open_when_done, partial_path

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.report.heatmaps import HeatmapFolder

__all__ = ["command"]

Form = Literal["table", "jsonl", "csv"]
Judged = tuple[Slice | None, Finding]


@click.command(short_help="Say of each slice whether it shows a tumor.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl", "csv"]),
    help="Of the records.  [default: by the name of --output; a table on a terminal, else jsonl]",
)
@words.output_option
@words.overwrite_option
@click.option("--resume", is_flag=True, help="Go on with the FILE.partial of a broken run.")
@click.option("--summary", is_flag=True, help="Add one record a series; it gives no verdict.")
@click.option(
    "--heatmaps",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Draw each slice with its heat map, boxes and verdict.",
)
@words.model_option
@click.option(
    "--operating-point",
    default="balanced",
    show_default=True,
    metavar="NAME",
    help="One of the model's sets of thresholds.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Slices given to the network at once.",
)
@words.threads_option
@words.device_option
@words.run_log_option
@words.voice_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    paths: tuple[str, ...],
    form: Form | None,
    output: Path | None,
    overwrite: bool,
    resume: bool,
    summary: bool,
    heatmaps: Path | None,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
    **model: Any,
) -> int:
    """Say of each slice in PATH... whether it shows a tumor, where, and how sure that is.

    A PATH is a file, a folder (searched to its depths), a pattern, or - for a list of paths on
    standard input, one a line. PNG, JPEG, TIFF, BMP, WebP, DICOM (files, series, DICOMDIR, zip)
    and NIfTI are read.

    A file that cannot be read gets a record with its error, the run goes on, and the exit code
    is 1; it is 2 where no file could be read. For research only, not a medical device.
    """
    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    form = form or _guess_form(output)
    _check_options(output, form, overwrite=overwrite, resume=resume)
    detector = _open_detector(**model)
    voice.detail(f"model {detector.name} ({detector.session.path}), {detector.threads} threads")
    columns = list_columns(detector.card.classes, summary=summary)
    written = _take_up(output, form, detector, columns) if resume else Written()
    pictures = _open_pictures(heatmaps, paths)
    place = "standard output" if output is None else str(output)
    job = _Job(detector, paths, place, written, voice, summary, pictures)
    try:
        with (
            _open_bar(voice, paths, output) as bar,
            _open_writer(form, output, written, columns, bar) as writer,
        ):
            job.run(writer, bar)
    except (KeyboardInterrupt, UsageError):
        if output is not None and job.counts and partial_path(output).exists():
            voice.say(f"{partial_path(output)} holds what was done; go on with --resume")
        raise
    voice.say(count_words(job.counts, skipped=job.skipped))
    if run_log is not None:
        counts = dict(job.counts) | {"skipped": job.skipped}
        watch.write_log(run_log, "predict", ctx.params, counts=counts, session=detector.session)
    return _conclude(job.counts)


def _conclude(counts: Counter[str]) -> int:
    """The exit code: 0 all good, 1 some inputs failed, 2 nothing was judged."""
    failed = counts["error"]
    return (2 if failed == counts.total() else 1) if failed else 0


@dataclass(slots=True)
class _Job:
    """One run over many files: what goes in, what comes out, and what was counted."""

    detector: Detector
    paths: tuple[str, ...]
    place: str
    written: Written
    voice: words.Voice
    summary: bool
    pictures: HeatmapFolder | None
    counts: Counter[str] = field(default_factory=Counter)
    skipped: int = 0

    def __post_init__(self) -> None:
        self.counts.update(self.written.counts)

    def run(self, writer: RecordWriter, bar: words.Bar) -> None:
        """Judge all files and write their records.

        Raises:
            UsageError: there was no image at all.
        """
        trail = _Trail(bar.advance)
        series = _Series() if self.summary else None
        for slice_, finding in self._judge(self._find(trail, bar)):
            trail.follow(finding.info.path)
            if series is not None and slice_ is not None:
                self._put(writer, *series.add(finding))
            self._put(writer, finding)
        if series is not None:
            self._put(writer, *series.close())
        if not self.counts:
            raise UsageError(
                f"{' '.join(self.paths)}: no image found; {self.skipped} files skipped"
            )

    def _judge(self, inputs: Iterator[Source | InputError]) -> Iterator[Judged]:
        """Slices with their findings, after their picture was saved, if pictures are wanted."""
        from tumorlens.detector import open_workers, run_ahead

        judged = self.detector.iterate(inputs, on_error="record")
        if self.pictures is None:
            yield from judged
            return
        threads = self.detector.threads
        with open_workers(threads) as pool:
            yield from run_ahead(pool, self._save, judged, 2 * threads)

    def _save(self, judged: Judged) -> Judged:
        slice_, finding = judged
        if self.pictures is not None and slice_ is not None and self._is_new(finding):
            self.pictures.save(slice_, finding)
        return judged

    def _find(self, trail: _Trail, bar: words.Bar) -> Iterator[Source | InputError]:
        """What is still to read."""
        for found in find_sources(_each_path(self.paths), limits=self.detector.limits):
            if isinstance(found, Skipped):
                self.skipped += 1
                self.voice.detail(f"skipped {found.path}: {found.reason}")
                bar.advance(1)
            elif isinstance(found, Source) and self._is_written(found):
                bar.advance(len(found.files))
            else:
                trail.hand_out(found)
                yield found

    def _put(self, writer: RecordWriter, *findings: Finding | SeriesFinding) -> None:
        for finding in findings:
            if self._is_new(finding):
                with words.hold_interrupts(), name_place(self.place):
                    writer.write(finding.to_record())
                    if isinstance(finding, Finding):
                        self.counts[finding.verdict or "error"] += 1

    def _is_written(self, source: Source) -> bool:
        if not self.written.keys:
            return False
        parts = (part.path for part in source.parts)
        return self.written.holds(source.path, parts, source.series_uid)

    def _is_new(self, finding: Finding | SeriesFinding) -> bool:
        return not self.written.keys or key_of(finding.to_record()) not in self.written.keys


class _Trail:
    """Which file the findings have come to: the detector takes sources ahead of their turn."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._ahead: deque[tuple[set[str], int]] = deque()

    def hand_out(self, found: Source | InputError) -> None:
        names, files = {found.path}, 1
        if isinstance(found, Source):
            names.update(part.path for part in found.parts)
            files = len(found.files)
        self._ahead.append((names, files))

    def follow(self, path: str) -> None:
        """Files before the ones that ``path`` lies in are done."""
        for place, (names, _) in enumerate(self._ahead):
            if path in names:
                self._advance(sum(self._ahead.popleft()[1] for _ in range(place)))
                return


class _Series:
    """Gathers findings until their series ends; a picture alone is no series."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []

    def add(self, finding: Finding) -> Iterator[SeriesFinding]:
        """The series that ended before ``finding``, if one did."""
        if self._findings and _series_of(self._findings[-1]) != _series_of(finding):
            yield from self.close()
        self._findings.append(finding)

    def close(self) -> Iterator[SeriesFinding]:
        findings, self._findings = self._findings, []
        if len(findings) > 1 or (findings and findings[0].info.plane is not None):
            paths = {finding.info.path for finding in findings}
            folder = str(Path(findings[0].info.path).parent)
            yield SeriesFinding.of(findings, path=folder if len(paths) > 1 else None)


def _series_of(finding: Finding) -> str:
    return finding.info.series_instance_uid or finding.info.path


def _each_path(paths: tuple[str, ...]) -> Iterator[str]:
    """The named paths; ``-`` stands for a list on standard input."""
    for path in paths:
        if path == "-":
            yield from (name for line in _open_stdin() if (name := line.rstrip("\r\n")))
        else:
            yield path


def _count_files(paths: tuple[str, ...]) -> int | None:
    """Files to go through; None if a list on standard input or a pattern leaves it open."""
    total = 0
    for path in map(Path, paths):
        if path.is_dir():
            total += sum(len(files) for _, _, files in os.walk(path))
        elif path.exists():
            total += 1
        else:
            return None
    return total


def _guess_form(output: Path | None) -> Form:
    if output is not None:
        return "csv" if output.suffix.lower() == ".csv" else "jsonl"
    return "table" if sys.stdout.isatty() else "jsonl"


def _check_options(output: Path | None, form: Form, *, overwrite: bool, resume: bool) -> None:
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


def _open_detector(
    *, model: str, operating_point: str, batch_size: int, threads: int | None, device: str
) -> Detector:
    from tumorlens.detector import Detector

    with words.hold_interrupts():  # libraries that are interrupted while they load raise anything
        return Detector(
            model,
            operating_point=operating_point,
            threads=threads,
            providers=words.PROVIDERS[device],
            batch_size=batch_size,
        )


def _open_pictures(folder: Path | None, paths: tuple[str, ...]) -> HeatmapFolder | None:
    if folder is None:
        return None
    from tumorlens.report.heatmaps import HeatmapFolder, common_folder

    return HeatmapFolder(folder, common_folder(path for path in paths if path != "-"))


def _open_bar(
    voice: words.Voice, paths: tuple[str, ...], output: Path | None
) -> AbstractContextManager[words.Bar]:
    on_output = output is None and sys.stdout.isatty()
    return words.open_bar(
        voice, "predict", lambda: _count_files(paths), unit="files", on_output=on_output
    )


@contextmanager
def _open_writer(
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
        return nullcontext(bar.stream or _open_stdout(errors))
    if form == "table":
        return open_when_done(output, overwrite=True)
    return continue_file(output, form, written)


def _open_stdin() -> IO[str]:
    """Standard input, in which a name may hold any bytes."""
    if sys.stdin is None:
        raise UsageError("-: standard input is closed; give it a list of paths, one a line")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    return sys.stdin


def _open_stdout(errors: str) -> IO[str]:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors=errors, newline="\n")
    return sys.stdout


def _take_up(
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
