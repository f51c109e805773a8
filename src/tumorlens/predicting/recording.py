"""From inputs to a file of records, with what is drawn on the way: `write_records`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tumorlens.arguments import PATH, check_arguments
from tumorlens.detector import Detector, open_detector
from tumorlens.imaging.files.sources import is_hidden
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.predicting.fetching import expect_results, fetch_paths, name_addresses
from tumorlens.predicting.options import Listener, RunOptions, RunSummary
from tumorlens.predicting.partial_records import continue_file, settle_records
from tumorlens.predicting.prediction_run import PredictionRun
from tumorlens.predicting.record_files import (
    check_output,
    guess_form,
    is_finished,
    make_writer,
    own_files,
    reopen,
)
from tumorlens.predicting.records import (
    LineForm,
    RecordWriter,
    Written,
    list_columns,
)
from tumorlens.predicting.sharding.shard_notes import check_resumed, keep_note
from tumorlens.progress import Notice, Progress, count_up, stay_silent
from tumorlens.remote.addresses import spell_address
from tumorlens.remote.file_addresses import drop_host
from tumorlens.remote.staging import open_staging
from tumorlens.shards import Shard
from tumorlens.studies.assembling import FolderRule
from tumorlens.version import list_versions
from tumorlens.writing import check_page_name, check_results, partial_path

__all__ = [
    "count_files",
    "count_judged",
    "list_inputs",
    "open_records",
    "reopen_run",
    "write_records",
    "write_study_page",
]

Path_ = str | os.PathLike[str]


@check_arguments()
def write_records(
    paths: Path_ | Iterable[Path_],
    output: Path_,
    *,
    model: Path_ | Detector = "default",
    operating_point: str | None = None,
    form: LineForm | None = None,
    overwrite: bool = False,
    resume: bool = False,
    summary: bool = False,
    slices: bool = True,
    series_from: FolderRule = None,
    study_from: FolderRule = None,
    heatmaps: Path_ | None = None,
    montage: bool = False,
    activation_volume: Path_ | None = None,
    report: Path_ | None = None,
    shard: str | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> RunSummary:
    """Judge everything in files and folders, and write a record a slice.

    It does what ``tumorlens predict PATH... --output FILE`` does. A file that cannot be read gets
    a record with its error, and the run goes on. Records go to ``FILE.partial``, which is renamed
    at the end; after a break it stays, and ``resume=True`` goes on with it.

    Args:
        paths: a file, a folder or a pattern, or several of them. An iterator is read as it comes;
            the files of a series are not put together then. A path may be an address (``s3://…``,
            ``gs://…``): what lies there is fetched first, which needs the extra ``remote``.
        output: where the records go: a file, or an address. Then ``FILE.partial`` is stored there
            now and then, and at a break. Other results may be addresses, too.
        model: name of the registry, an ``.onnx`` file, or a `Detector`, which also says threads,
            providers, batch size and limits.
        operating_point: name of one of the model's operating points, by default ``balanced``.
        form: ``"jsonl"`` or ``"csv"``; by default what the name of ``output`` says.
        overwrite: replace files that exist already, and what a broken run has left.
        resume: go on with what a broken run has left, if it has left anything. What could not be
            read is tried again, also of a run that has ended.
        summary: add a record a series, and one a study.
        slices: False leaves out the records of slices that belong to a series.
        series_from: ``"folder"``: the pictures of a folder are the slices of one series, in the
            order of their names.
        study_from: ``"folder"``: the series of a folder are one study, where no file says
            otherwise.
        heatmaps: folder for a picture a slice, with heat map, boxes and verdict.
        montage: draw a picture a series into ``heatmaps``, not one a slice.
        activation_volume: folder for the evidence of each series as NIfTI.
        report: HTML file, a page for people.
        shard: ``"2/5"`` judges the second of five parts of the inputs; `tumorlens.merge` joins
            their files. A series is always whole in one part, and a study is where studies are
            judged. ``FILE.shard.json`` beside the output says which part it is.
        progress: told of the files that are done, and of the files in all; where nobody knows
            these (an iterator, a pattern), of those that are done.
        notice: takes sentences for a person: what was mended, left out or is doubtful.

    Returns:
        Counts of verdicts and of skipped files, and the studies; of a run that had ended before
        and has nothing left to do, the counts of verdicts alone.

    Raises:
        UsageError: the parameters contradict each other, a result exists already or cannot be
            written, or there was no image at all.
        ModelFileError: the model is unknown, or its file breaks the contract.
    """
    options = RunOptions(
        summary=summary, slices=slices, series_from=series_from, study_from=study_from,
        heatmaps=_as_path(heatmaps), montage=montage,
        activation_volume=_as_path(activation_volume), report=_as_path(report),
        shard=None if shard is None else Shard.parse(shard),
    )  # fmt: skip
    inputs, named = list_inputs(paths)
    results = (Path(drop_host(output)), options.report)
    if options.report is not None:
        check_page_name(options.report)
    with open_staging(notice) as staging:
        file, options = expect_results(staging, results[0], options, resume=resume)
        page, form = options.report, form or guess_form(file)
        own = own_files(*results, file, page)
        check_inputs_survive([staging.place(path) for path in named], file, page)
        check_output(file, overwrite=overwrite, resume=resume)
        ended = resume and not overwrite and is_finished(file)
        check_results((file, page), overwrite=True)
        check_results((page,), overwrite=overwrite or ended)
        detector = open_detector(model, operating_point=operating_point)
        done = reopen_run(file, form, detector, options) if ended else None
        if done is not None:
            return RunSummary(dict(done.counts), {}, ())
        staging.results.claim()
        inputs = fetch_paths(staging, inputs)
        advance = staging.follow(count_judged(progress, inputs))
        named_anew = staging.is_used or isinstance(inputs, Iterator)
        run = PredictionRun(
            detector, inputs, named, options, place=staging.show(str(file)), own=own,
            listener=Listener(say=notice or stay_silent, advance=advance),
            rename=partial(name_addresses, staging) if named_anew else None,
        )  # fmt: skip
        with open_records(run, file, form, resume=resume) as writer:
            run.run(writer)
        if page is not None:
            write_study_page(page, run, overwrite=overwrite or ended)
    return RunSummary(dict(run.counts), dict(run.skipped), tuple(run.studies))


def reopen_run(
    output: Path, form: LineForm, detector: Detector, options: RunOptions, *others: Path | None
) -> Written | None:
    """See `reopen`; ``others`` are results that ``options`` do not name."""
    named = (options.report, options.heatmaps, options.activation_volume, *others)
    placed = options.shard is not None
    columns = list_columns(detector.card.classes, summary=options.summary, placed=placed)
    return reopen(output, form, detector, columns, named)


@contextmanager
def open_records(
    run: PredictionRun, output: Path, form: LineForm, *, resume: bool
) -> Iterator[RecordWriter]:
    """A writer of a run's records, with the note of its shard beside them.

    Args:
        run: what is written.
        output: the file; until the end it is ``FILE.partial``.
        form: of the records.
        resume: go on with what a broken run has left.

    Raises:
        UsageError: a broken run had other options, or the file cannot be written.
    """
    if resume:
        check_resumed(output, form, run)
        run.resume(output, form)
    written = run.written
    with continue_file(output, form, written) as stream, keep_note(output, form, run):
        yield make_writer(stream, form, run.columns, header=not written.columns)
        if written.failed:
            stream.close()
            settle_records(partial_path(output), form, written)


def write_study_page(
    path: Path,
    run: PredictionRun,
    *,
    command: str = "",
    overwrite: bool = False,
) -> None:
    """The page of a run that has ended, whose options named a ``report``.

    Args:
        path: HTML file.
        run: with its studies.
        command: the command line, for the end of the page; empty for a call from Python.
        overwrite: replace a file that exists already.
    """
    from tumorlens.report.pages import write_page
    from tumorlens.report.predictions.study_pages import build_study_page

    assert run.views.album is not None
    page = build_study_page(
        run.studies, run.detector.card, run.views.album, points=run.points, command=command,
        versions=list_versions(),
    )  # fmt: skip
    write_page(path, page, overwrite=overwrite)


def list_inputs(paths: Any) -> tuple[Iterable[str], tuple[str, ...]]:
    """The inputs, and their names for messages."""
    if isinstance(paths, Iterator):
        return map(_name, paths), ("the inputs",)
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    named = tuple(spell_address(os.fspath(path)) for path in listed)
    return named, named


def _name(path: Path_) -> str:
    PATH.check("paths", path)
    return os.fspath(path)


def count_files(paths: Iterable[str]) -> int | None:
    """Files to go through; None if an iterator or a pattern leaves it open."""
    if isinstance(paths, Iterator):
        return None
    total = 0
    for path in map(Path, paths):
        if path.is_dir():
            total += _count_below(path)
        elif path.exists():
            total += 1
        else:
            return None
    return total


def _count_below(folder: Path) -> int:
    """Files in a folder and below, and the hidden folders that are passed over."""
    count = 0
    for _, folders, files in os.walk(folder):
        kept = [name for name in folders if not is_hidden(name)]
        count += len(files) + len(folders) - len(kept)
        folders[:] = kept
    return count


def count_judged(progress: Progress | None, paths: Iterable[str]) -> Callable[[int], None]:
    """What tells ``progress`` of the files that are done, for a `Listener`."""
    if progress is None:
        return stay_silent
    return count_up(progress, "judging", count_files(paths))


def _as_path(path: Path_ | None) -> Path | None:
    return None if path is None else Path(drop_host(path))
