"""``tumorlens evaluate``: figures that can be believed, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import (
    choosing_options,
    open_detector,
    operating_point_option,
    tell_failures,
)
from tumorlens.cli.pace import Pulse
from tumorlens.cli.staged import fetch, stage
from tumorlens.errors import UsageError
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.version import list_versions
from tumorlens.writing import check_results, write_text

if TYPE_CHECKING:
    from tumorlens.data.choosing import Choice
    from tumorlens.detector import Detector
    from tumorlens.evaluation.evaluating import Measurement
    from tumorlens.remote.staging import Staging

__all__ = ["command"]


@click.command()
@click.argument("inputs", nargs=-1, metavar="MODEL DATA...")
@click.option(
    "--scores",
    "scores_files",
    multiple=True,
    type=words.FILE,
    metavar="FILE.csv",
    help="Measure these scores, in place of MODEL DATA: held-out scores of train, or one's own. "
    "Repeatable: several files are pooled, each a fold.",
)
@click.option(
    "--compare",
    metavar="OTHER",
    help="Another model, or its scores (.csv) of the same rows: adds paired differences.",
)
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    help="Also measure each value of a column. --by a,b measures each combination.  "
    "[default: source, sequence]",
)
@choosing_options
@click.option(
    "--prevalence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of slices with a tumor where the model is used; adds PPV and NPV.",
)
@operating_point_option
@click.option("--keep-all", is_flag=True, help="Also count rows noted as CT or doubtful.")
@click.option(
    "--replicates",
    type=click.IntRange(100, 100_000),
    default=1000,
    show_default=True,
    help="Bootstrap samples of groups for each interval.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Random seed of the bootstrap.",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Score only part I of N into --save-scores, e.g. 2/5; groups stay whole. Then measure "
    "with --scores, once for each part.",
)
@click.option(
    "--save-scores",
    type=words.FILE,
    metavar="FILE.csv",
    help="Also write the scores of each slice.",
)
@words.output_option
@words.report_option
@words.work_options
@click.pass_context
@stage(files=("output", "report", "run_log", "save_scores"))
def command(
    ctx: click.Context,
    staging: Staging,
    /,
    *,
    inputs: tuple[str, ...],
    scores_files: tuple[Path, ...],
    compare: str | None,
    by: tuple[str, ...],
    choice: Choice,
    prevalence: float | None,
    operating_point: str,
    keep_all: bool,
    replicates: int,
    seed: int,
    shard: str | None,
    save_scores: Path | None,
    output: Path | None,
    report: Path | None,
    overwrite: bool,
    threads: int | None,
    device: str,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Measure MODEL on the labelled slices of DATA..., or the scores of --scores.

    DATA is a folder of class folders, or a manifest (CSV). Every figure has a 95 % interval by
    bootstrap over groups (patients); under 20 groups the counts per group are listed instead.
    The summary goes to standard output, all figures to --output (JSON).
    """
    from tumorlens.evaluation.evaluating import Counting, measure_model
    from tumorlens.evaluation.score_files import write_scores
    from tumorlens.report.evaluations.evaluation_tables import print_evaluation
    from tumorlens.report.tables import open_console

    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose, staging.show)
    results = (output, save_scores, report, run_log)
    places = [staging.place(one) for one in (*inputs, *map(str, scores_files))]
    check_inputs_survive(places, *results)
    _check_places(staging, places[1 if inputs else 0 :], save_scores, shard)
    words.check_json(output)
    check_results(results, overwrite=overwrite)
    _check(inputs, scores_files, compare)
    if shard is not None:
        _check_shard(ctx, shard)
    inputs, scores_files, compare = fetch(staging, inputs, scores_files, compare)

    def find(name: str) -> Path | Detector:
        if Path(name).suffix.lower() == ".csv":
            return Path(name)
        return open_detector(name, operating_point=operating_point, threads=threads, device=device)

    if shard is not None:
        return _score_shard(ctx, inputs, choice, watch, voice)
    with Pulse(voice) as pulse:
        measurement = measure_model(
            scores_files or find(inputs[0]),
            inputs[1:],
            choice=choice,
            compare=None if compare is None else find(compare),
            counting=Counting(by, prevalence, keep_all, replicates, seed),
            operating_point=operating_point if words.was_given(ctx, "operating_point") else None,
            device=device if scores_files and words.was_given(ctx, "device") else None,
            progress=pulse.advance,
            notice=pulse.say,
        )
    evaluation, scored = measurement.evaluation, measurement.scored
    if save_scores is not None:
        write_scores(save_scores, scored.scores, overwrite=overwrite)
    if output is not None:
        write_text(output, staging.show(evaluation.to_json()), overwrite=overwrite)
    if report is not None:
        _write_page(report, ctx, measurement)
    if not quiet:
        print_evaluation(open_console(), evaluation)
    tell_failures(scored, voice)
    if run_log is not None:
        detector = measurement.detector
        session = None if detector is None else detector.session
        watch.write_log(run_log, "evaluate", ctx.params, counts=scored.counts, session=session)
    return 1 if scored.failures else 0


def _check(inputs: tuple[str, ...], scores_files: tuple[Path, ...], compare: str | None) -> None:
    """Refuse what contradicts itself, before a model is opened."""
    if scores_files and inputs:
        raise UsageError("give either MODEL DATA... or --scores FILE, not both")
    if not scores_files and len(inputs) < 2:
        raise UsageError("expected MODEL and DATA..., or --scores FILE")
    if scores_files and compare is not None and Path(compare).suffix.lower() != ".csv":
        raise UsageError(
            "--compare with a model needs MODEL DATA...; beside --scores it takes a scores file"
        )


def _check_places(
    staging: Staging, data: Sequence[str], save_scores: Path | None, shard: str | None
) -> None:
    """Scores name pictures as seen from their own file, and shards depend on these names.

    Raises:
        UsageError: no such name leads from a disk to a store, or back.
    """
    staged = staging.holds(data)
    if staged and shard is not None:
        raise UsageError(f"--shard {shard} needs DATA that all machines see as files")
    if save_scores is not None and staged != staging.holds([str(save_scores)]):
        raise UsageError(
            "--save-scores names each picture as seen from its file, so both must lie on this "
            "machine, or both in a store"
        )


def _check_shard(ctx: click.Context, shard: str) -> None:
    """A shard has scores, and no figures yet.

    Raises:
        UsageError: names the option that contradicts it.
    """
    from tumorlens.shards import Shard

    Shard.parse(shard)
    options = ctx.params
    if options["scores_files"] or options["save_scores"] is None:
        raise UsageError(
            f"--shard {shard} scores a part of DATA...; give MODEL DATA... and --save-scores FILE"
        )
    for name in ("compare", "by", "output", "report", "prevalence"):
        if options[name]:
            raise UsageError(
                f"--{name} does not go with --shard: figures are made of all parts; give it to "
                "evaluate --scores FILE for each part"
            )


def _score_shard(
    ctx: click.Context,
    inputs: tuple[str, ...],
    choice: Choice,
    watch: words.Stopwatch,
    voice: words.Voice,
) -> int:
    """Write the scores of one part of the rows; gives the exit code."""
    from tumorlens.evaluation.evaluating import score_data
    from tumorlens.evaluation.score_files import write_scores
    from tumorlens.shards import Shard

    options = ctx.params
    names = ("operating_point", "threads", "device")
    detector = open_detector(inputs[0], **{name: options[name] for name in names})
    with Pulse(voice) as pulse:
        scored = score_data(
            detector, inputs[1:], choice, shard=Shard.parse(options["shard"]),
            threads=options["threads"], progress=pulse.advance, notice=pulse.say,
        )  # fmt: skip
    write_scores(options["save_scores"], scored.scores, overwrite=options["overwrite"])
    tell_failures(scored, voice)
    voice.say(f"{options['save_scores']}: {len(scored.scores):,} slices, shard {options['shard']}")
    if options["run_log"] is not None:
        session, counts = detector.session, scored.counts
        watch.write_log(options["run_log"], "evaluate", options, counts=counts, session=session)
    return 1 if scored.failures else 0


def _write_page(path: Path, ctx: click.Context, measurement: Measurement) -> None:
    from tumorlens.evaluation.scores import drop_unfit
    from tumorlens.report.evaluations.evaluation_pages import build_evaluation_page
    from tumorlens.report.evaluations.galleries import show_mistakes
    from tumorlens.report.pages import write_page

    scores = measurement.scored.scores
    counted = scores if ctx.params["keep_all"] else drop_unfit(scores)[0]
    page = build_evaluation_page(
        measurement.evaluation,
        counted,
        mistakes=show_mistakes(counted, measurement.detector),
        command=words.repeat_command(ctx),
        versions=list_versions(),
    )
    write_page(path, page, overwrite=ctx.params["overwrite"])
