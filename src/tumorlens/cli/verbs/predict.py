"""``tumorlens predict``: files in, records and heat maps out."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from tumorlens.cli import words
from tumorlens.cli.distribution import distribute, engine_options, refuse_with_engine
from tumorlens.cli.measuring import open_detector, operating_point_option
from tumorlens.cli.outputs import (
    Form,
    check_options,
    choose_form,
    name_next_steps,
    open_writer,
)
from tumorlens.cli.pace import Pulse
from tumorlens.cli.staged import fetch_named, stage
from tumorlens.errors import UsageError
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.predicting.fetching import name_addresses
from tumorlens.predicting.options import Listener, RunOptions
from tumorlens.predicting.record_files import is_finished, own_files
from tumorlens.remote.addresses import spell_address
from tumorlens.report.tables import count_studies, count_words, threshold_words
from tumorlens.shards import Shard
from tumorlens.writing import check_results, partial_path

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.integration.dicom.object_folder import DicomFolder
    from tumorlens.integration.dicom.object_options import DicomOptions, ObjectKind
    from tumorlens.predicting.prediction_run import PredictionRun
    from tumorlens.remote.staging import Staging

__all__ = ["command"]


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "jsonl", "csv"]),
    help="Format of the records.  [default: by the name of --output; else a table on a terminal, "
    "jsonl elsewhere]",
)
@words.output_option
@words.overwrite_option
@click.option(
    "--resume",
    is_flag=True,
    help="Continue a broken run from its FILE.partial. What could not be read is tried again, in a "
    "run that has ended, too.",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Judge only part I of N, e.g. 2/5. A series is whole in one part. Join with merge.",
)
@engine_options
@click.option("--summary", is_flag=True, help="Add a record for each series and each study.")
@click.option("--slices", is_flag=True, help="Also show the slices of a series in the table.")
@click.option(
    "--series-from",
    type=click.Choice(["folder"]),
    help="Read the images of a folder as the slices of one series, in the order of their names.",
)
@click.option(
    "--study-from",
    type=click.Choice(["folder"]),
    help="Join the series of a folder to one study, unless a file says otherwise.",
)
@click.option(
    "--heatmaps",
    type=words.FOLDER,
    metavar="DIR",
    help="Draw each slice with its heat map, boxes and verdict.",
)
@click.option(
    "--montage",
    is_flag=True,
    help="Draw one picture for each series into --heatmaps, instead of one for each slice.",
)
@click.option(
    "--activation-volume",
    type=words.FOLDER,
    metavar="DIR",
    help="Write the evidence of each series as NIfTI, as an overlay for a viewer.",
)
@click.option(
    "--dicom-out",
    type=words.FOLDER,
    metavar="DIR",
    help="Write the verdict of each DICOM study as DICOM objects (needs the extra dicom).",
)
@click.option(
    "--objects",
    metavar="KINDS",
    help="Which objects: sr (report), seg (evidence), sc (picture), joined by commas.  "
    "[default: sr,seg,sc]",
)
@click.option(
    "--deidentified",
    is_flag=True,
    help="Leave names, IDs and dates of the patient and the visit out of the DICOM objects.",
)
@click.option("--uid-root", metavar="UID", help="New UIDs of DICOM objects begin with it.")
@click.option(
    "--mirror",
    is_flag=True,
    help="Also judge the mirror image and take the mean. Slower, but steadier.",
)
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
@stage(
    records="output",
    files=("report", "run_log"),
    folders=("heatmaps", "activation_volume", "dicom_out"),
)
def command(
    ctx: click.Context,
    staging: Staging,
    /,
    *,
    paths: tuple[str, ...],
    form: Form | None,
    output: Path | None,
    overwrite: bool,
    resume: bool,
    shard: str | None,
    engine: str | None,
    shards: int | None,
    at_once: int | None,
    job: tuple[str, ...],
    summary: bool,
    slices: bool,
    series_from: Literal["folder"] | None,
    study_from: Literal["folder"] | None,
    heatmaps: Path | None,
    montage: bool,
    activation_volume: Path | None,
    dicom_out: Path | None,
    objects: str | None,
    deidentified: bool,
    uid_root: str | None,
    mirror: bool,
    model: str,
    operating_point: str,
    batch_size: int,
    threads: int | None,
    device: str,
    report: Path | None,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Say of each slice in PATH... whether it shows a tumor, where, and how sure that is.

    A PATH is a file, a folder (searched to its depths), a pattern, or - for a list of paths on
    standard input, one a line. PNG, JPEG, TIFF, BMP, WebP, DICOM (files, series, DICOMDIR, zip)
    and NIfTI are read.

    A file that cannot be read gets a record with its error, and the run goes on. The exit code is
    then 1, or 2 if no file could be read. For research only, not a medical device.
    """
    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose, staging.show)
    refuse_with_engine(ctx.params, paths)
    if engine is not None:
        done = distribute(voice, ctx.params)
        voice.say(count_words(done.counts, skipped=done.skipped))
        return _conclude(Counter(done.counts), short=False)
    is_chosen, form = form is not None or output is not None, form or choose_form(output)
    check_inputs_survive(map(staging.place, paths), output, report, run_log)
    part = None if shard is None else Shard.parse(shard)
    if resume and _is_complete(output, part):
        voice.say(f"{output} is complete already: shard {part}")
        return 0
    check_options(output, form, overwrite=overwrite, resume=resume, shard=part)
    ended = resume and not overwrite and output is not None and is_finished(output)
    _check_results(output, report, run_log, overwrite=overwrite or ended)
    dicom = _plan_dicom(dicom_out, objects, deidentified, uid_root, overwrite or resume)
    table = form == "table"  # which shows series and studies in place of their slices
    options = RunOptions(
        summary=summary or table, slices=slices or not table,
        series_from=series_from, study_from=study_from, heatmaps=heatmaps, montage=montage,
        activation_volume=activation_volume, report=report, shard=part,
    )  # fmt: skip
    detector = open_detector(
        model, operating_point=operating_point, threads=threads, device=device,
        batch_size=batch_size, mirror=mirror,
    )  # fmt: skip
    if ended and _is_done(voice, output, form, detector, options, dicom_out):
        return 0
    taker = None if dicom is None else _open_folder(dicom, detector)
    options = options if taker is None else replace(options, takers=(taker,))
    if form == "jsonl" and not is_chosen:
        voice.say(
            "the records are JSON lines, because standard output is no terminal; --format table "
            "shows a table"
        )
    voice.detail(f"model {detector.name} ({detector.session.path}), {detector.threads} threads")
    inputs = fetch_named(staging, paths, again=taker is not None)
    on_output = output is None and sys.stdout.isatty()
    with Pulse(voice, unit="files", on_output=on_output) as pulse:
        listener = _listen(pulse, inputs, staging)
        run = _begin(ctx.params, detector, inputs, options=options, listener=listener, by=staging)
        try:
            with open_writer(form, output, run, pulse, resume=resume) as writer:
                run.run(writer)
        except (KeyboardInterrupt, UsageError):
            _tell_of_rest(voice, run, output)
            raise
        finally:
            if taker is not None:
                taker.discard()
    _tell_counts(voice, run, operating_point, form=form, on_terminal=table and output is None)
    if report is not None:
        _write_page(ctx, report, run, overwrite=overwrite or ended)
    if run_log is not None:
        _write_log(watch, run_log, ctx, run)
    if taker is not None:
        voice.say(f"{len(taker.files)} DICOM objects written to {dicom_out}")
    if table or output or report or heatmaps:
        _tell_next_steps(voice, run, paths, model)
    if part is not None and not run.counts:
        voice.say(f"shard {part} has no inputs; its records are complete")
        return 0
    return _conclude(run.counts, short=taker is not None and not taker.files)


def _check_results(
    output: Path | None, report: Path | None, *others: Path | None, overwrite: bool
) -> None:
    check_results((output, report, *others), overwrite=True)  # a record file may be resumed
    check_results((report,), overwrite=overwrite)


def _is_complete(output: Path | None, shard: Shard | None) -> bool:
    from tumorlens.predicting.sharding.shard_notes import is_complete

    return output is not None and shard is not None and is_complete(output, shard)


def _is_done(
    voice: words.Voice,
    output: Path | None,
    form: Form,
    detector: Detector,
    options: RunOptions,
    *others: Path | None,
) -> bool:
    """Whether a run that has ended has nothing left to do; says so."""
    from tumorlens.predicting.recording import reopen_run

    assert output is not None
    assert form != "table"
    written = reopen_run(output, form, detector, options, *others)
    if written is None:
        return False
    voice.say(f"{output} is complete, and nothing is left to do: {count_words(written.counts)}")
    return True


def _begin(
    asked: Mapping[str, Any],
    detector: Detector,
    inputs: Iterable[str],
    *,
    options: RunOptions,
    listener: Listener,
    by: Staging,
) -> PredictionRun:
    from tumorlens.predicting.prediction_run import PredictionRun

    results = [asked[name] for name in ("output", "report", "run_log")]
    place = "standard output" if results[0] is None else spell_address(str(results[0]))
    staged = (None if one is None else Path(by.place(one)) for one in results)
    named = by.is_used or isinstance(inputs, Iterator)
    rename = partial(name_addresses, by) if named else None
    return PredictionRun(
        detector, inputs, asked["paths"], options, place, own_files(*results, *staged), listener,
        rename,
    )  # fmt: skip


def _tell_of_rest(voice: words.Voice, run: PredictionRun, output: Path | None) -> None:
    if output is not None and run.counts and partial_path(output).exists():
        voice.say(f"{partial_path(output)} holds the finished records; continue with --resume")


def _listen(pulse: Pulse, paths: Iterable[str], staging: Staging) -> Listener:
    from tumorlens.predicting.recording import count_files

    advance = staging.follow(pulse.count("predict", lambda: count_files(paths)))
    if pulse.voice.verbose:
        return Listener(say=pulse.say, detail=pulse.say, advance=advance)
    return Listener(say=pulse.say, advance=advance)


def _tell_counts(
    voice: words.Voice, run: PredictionRun, operating_point: str, *, form: Form, on_terminal: bool
) -> None:
    if form == "table":
        voice.say(threshold_words(run.points, operating_point))
    voice.say(_tell(run, on_terminal=on_terminal))


def _tell_next_steps(
    voice: words.Voice, run: PredictionRun, paths: tuple[str, ...], model: str
) -> None:
    if run.counts.total() == run.counts["error"]:
        return
    asked = run.options
    for line in name_next_steps(
        paths, report=asked.report, heatmaps=asked.heatmaps, shard=asked.shard, model=model
    ):
        voice.say(line)


def _write_page(ctx: click.Context, report: Path, run: PredictionRun, *, overwrite: bool) -> None:
    from tumorlens.predicting.recording import write_study_page

    write_study_page(report, run, command=words.repeat_command(ctx), overwrite=overwrite)


def _write_log(
    watch: words.Stopwatch, run_log: Path, ctx: click.Context, run: PredictionRun
) -> None:
    skipped = {"skipped": run.skipped.total(), "skipped_for": dict(run.skipped)}
    counts, session = dict(run.counts) | skipped, run.detector.session
    watch.write_log(run_log, "predict", ctx.params, counts=counts, session=session)


def _tell(run: PredictionRun, *, on_terminal: bool) -> str:
    """What came of the run; a table on the terminal has just told of the studies."""
    studies = "" if on_terminal else count_studies(study.verdict for study in run.studies)
    slices = count_words(run.counts, skipped=run.skipped)
    return f"{studies}; {slices}" if studies else slices


def _conclude(counts: Counter[str], *, short: bool) -> int:
    """The exit code: 0 all good, 1 some inputs failed or objects are missing, 2 none was judged."""
    failed = counts["error"]
    if failed == counts.total():
        return 2
    return 1 if failed or short else 0


def _plan_dicom(
    folder: Path | None,
    objects: str | None,
    deidentified: bool,
    uid_root: str | None,
    overwrite: bool,
) -> DicomOptions | None:
    """What is asked for, checked before a model is loaded; None if nothing is."""
    if folder is None:
        if objects is not None or deidentified or uid_root is not None:
            raise UsageError("--objects, --deidentified and --uid-root need --dicom-out DIR")
        return None
    from tumorlens.integration.dicom.object_options import OBJECTS, DicomOptions

    kinds = OBJECTS if objects is None else tuple(filter(None, objects.split(",")))
    return DicomOptions(
        folder=folder, objects=cast("tuple[ObjectKind, ...]", kinds), deidentified=deidentified,
        uid_root=uid_root, overwrite=overwrite,
    )  # fmt: skip


def _open_folder(options: DicomOptions, detector: Detector) -> DicomFolder:
    from tumorlens.integration.dicom.object_folder import DicomFolder

    return DicomFolder(options, detector)
