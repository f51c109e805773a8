"""``tumorlens predict``: files in, records and heat maps out."""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tumorlens.cli import words
from tumorlens.cli.judging import Job
from tumorlens.cli.measuring import open_detector, operating_point_option
from tumorlens.cli.outputs import (
    Form,
    check_inputs_survive,
    check_options,
    guess_form,
    open_writer,
    own_files,
    take_up,
)
from tumorlens.errors import UsageError
from tumorlens.report.records import Written, list_columns
from tumorlens.report.tables import count_studies, count_words
from tumorlens.writing import check_results, partial_path

if TYPE_CHECKING:
    from tumorlens.cli.views import Views
    from tumorlens.detector import Detector
    from tumorlens.report.pictures.heatmaps import HeatmapFolder

__all__ = ["command"]


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
@click.option("--summary", is_flag=True, help="Add one record a series, and one a study.")
@click.option("--slices", is_flag=True, help="Show the slices of a series in the table, too.")
@click.option(
    "--series-from",
    type=click.Choice(["folder"]),
    help="The pictures of a folder are the slices of one series, in the order of their names.",
)
@click.option(
    "--study-from",
    type=click.Choice(["folder"]),
    help="The series of a folder are one study, where no file says otherwise.",
)
@click.option(
    "--heatmaps",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Draw each slice with its heat map, boxes and verdict.",
)
@click.option(
    "--montage", is_flag=True, help="Draw a picture a series, not one a slice, into --heatmaps."
)
@click.option(
    "--activation-volume",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the evidence of each series as NIfTI, to lay over it in a viewer.",
)
@click.option("--mirror", is_flag=True, help="Judge the mirror image, too: steadier, and slower.")
@words.model_option
@operating_point_option
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Slices given to the network at once.",
)
@words.threads_option
@words.device_option
@words.report_option
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
    heatmaps: Path | None,
    report: Path | None,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Say of each slice in PATH... whether it shows a tumor, where, and how sure that is.

    A PATH is a file, a folder (searched to its depths), a pattern, or - for a list of paths on
    standard input, one a line. PNG, JPEG, TIFF, BMP, WebP, DICOM (files, series, DICOMDIR, zip)
    and NIfTI are read.

    A file that cannot be read gets a record with its error, the run goes on, and the exit code
    is 1; it is 2 where no file could be read. For research only, not a medical device.
    """
    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    form = form or guess_form(output)
    check_inputs_survive(paths, output, report, run_log)
    check_options(output, form, overwrite=overwrite, resume=resume)
    check_results((report,), overwrite=overwrite)
    check_results((output, run_log), overwrite=True)
    if options["montage"] and heatmaps is None:
        raise UsageError("--montage draws into the folder of --heatmaps; name one")
    detector = open_detector(**{name: options[name] for name in _MODEL})
    views = _open_views(detector, form, heatmaps, report, options)
    voice.detail(f"model {detector.name} ({detector.session.path}), {detector.threads} threads")
    columns = list_columns(detector.card.classes, summary=views.sums_up)
    written = take_up(output, form, detector, columns) if resume else Written()
    pictures = None if options["montage"] else _open_pictures(heatmaps, paths)
    place = "standard output" if output is None else str(output)
    own = own_files(output, report, run_log)
    job = Job(detector, paths, place, written, voice, views, pictures, own)
    try:
        with (
            _open_bar(voice, paths, output) as bar,
            open_writer(form, output, written, columns, bar) as writer,
        ):
            job.run(writer, bar)
    except (KeyboardInterrupt, UsageError):
        if output is not None and job.counts and partial_path(output).exists():
            voice.say(f"{partial_path(output)} holds what was done; go on with --resume")
        raise
    # A table on the terminal has just said it.
    said = "" if form == "table" and output is None else _count_studies(views)
    voice.say(said + count_words(job.counts, skipped=job.skipped))
    if report is not None:
        _write_page(ctx, report, detector, views, overwrite=overwrite)
    if run_log is not None:
        skipped = {"skipped": job.skipped.total(), "skipped_for": dict(job.skipped)}
        counts = dict(job.counts) | skipped
        watch.write_log(run_log, "predict", ctx.params, counts=counts, session=detector.session)
    return _conclude(job.counts)


_MODEL = ("model", "operating_point", "batch_size", "threads", "device", "mirror")


def _open_views(
    detector: Detector,
    form: Form,
    heatmaps: Path | None,
    report: Path | None,
    options: dict[str, Any],
) -> Views:
    """What is made of series and studies; a table shows them in place of their slices."""
    from tumorlens.cli.views import Views
    from tumorlens.studies.prediction import find_study_model

    album = volumes = None
    if report is not None or options["montage"]:
        from tumorlens.report.pictures.albums import Album

        album = Album()
    if options["activation_volume"] is not None:
        from tumorlens.report.pictures.heat_volumes import EvidenceVolumes

        volumes = EvidenceVolumes(options["activation_volume"])
    if options["montage"] and heatmaps is not None:
        heatmaps.mkdir(parents=True, exist_ok=True)
    table = form == "table"
    return Views(
        find_study_model(detector),
        sums_up=options["summary"] or table,
        shows_slices=options["slices"] or not table,
        series_from=options["series_from"],
        study_from=options["study_from"],
        album=album,
        montages=heatmaps if options["montage"] else None,
        volumes=volumes,
        keeps_findings=report is not None,
    )


def _write_page(
    ctx: click.Context, report: Path, detector: Detector, views: Views, *, overwrite: bool
) -> None:
    from tumorlens.report.pages import write_page
    from tumorlens.report.predictions.study_pages import build_study_page

    assert views.album is not None
    page = build_study_page(
        views.studies, detector.card, views.album,
        command=words.repeat_command(ctx), versions=words.list_versions(),
    )  # fmt: skip
    write_page(report, page, overwrite=overwrite)


def _count_studies(views: Views) -> str:
    told = count_studies(study.verdict for study in views.studies)
    return f"{told}; " if told else ""


def _conclude(counts: Counter[str]) -> int:
    """The exit code: 0 all good, 1 some inputs failed, 2 nothing was judged."""
    failed = counts["error"]
    return (2 if failed == counts.total() else 1) if failed else 0


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


def _open_pictures(folder: Path | None, paths: tuple[str, ...]) -> HeatmapFolder | None:
    if folder is None:
        return None
    from tumorlens.report.pictures.heatmaps import HeatmapFolder, common_folder

    return HeatmapFolder(folder, common_folder(path for path in paths if path != "-"))


def _open_bar(
    voice: words.Voice, paths: tuple[str, ...], output: Path | None
) -> AbstractContextManager[words.Bar]:
    on_output = output is None and sys.stdout.isatty()
    return words.open_bar(
        voice, "predict", lambda: _count_files(paths), unit="files", on_output=on_output
    )
