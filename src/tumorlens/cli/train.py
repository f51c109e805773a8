"""``tumorlens train``: from labelled slices and a recipe to one model file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import (
    folds_by_option,
    group_by_twins,
    groups_option,
    map_option,
    read_whole,
    twins_option,
)
from tumorlens.errors import UsageError
from tumorlens.writing import check_results, write_text

if TYPE_CHECKING:
    from tumorlens.data.rows import Manifest
    from tumorlens.data.splits import By
    from tumorlens.evaluation.assessment import Evaluation
    from tumorlens.evaluation.scores import Scores
    from tumorlens.training.run import Job

__all__ = ["command"]


@click.command(short_help="Train a model on labelled slices.")
@words.data_arguments
@click.option(
    "--recipe", default="seed", show_default=True, metavar="NAME|FILE", help="What is done."
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), required=True, metavar="RUN",
    help="Folder of the run; a broken run resumes there.",
)  # fmt: skip
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE",
    help="Change a value of the recipe, e.g. --set loss.cells=1.0.",
)  # fmt: skip
@click.option(
    "--weights", type=click.Path(path_type=Path), metavar="FILE",
    help="ImageNet weights, or a model of tumorlens to go on from (.onnx).  "
    "[default: TUMORLENS_WEIGHTS, else torchvision's published file]",
)  # fmt: skip
@click.option(
    "--teacher", "teachers", multiple=True, metavar="MODEL",
    help="A model whose judgement is learned beside the labels, as strongly as loss.teacher says; "
    "repeatable: their mean.",
)  # fmt: skip
@click.option(
    "--leave-out", "left_out", multiple=True, metavar="NAME",
    help="A source or set that is scored and never trained on; repeatable.",
)  # fmt: skip
@click.option(
    "--folds", type=click.IntRange(min=2), help="Train K times, each on all but one fold."
)
@folds_by_option
@map_option
@twins_option
@groups_option
@click.option(
    "--store", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
    help="Keep prepared pictures here, for further trainings on the same data.",
)  # fmt: skip
@click.option("--skip-unreadable", is_flag=True, help="Go on without pictures that cannot be read.")
@click.option("--drop-conflicts", is_flag=True, help="Go on without pictures with two labels.")
@words.device_option
@click.option(
    "--devices", type=click.IntRange(min=1), default=1, show_default=True,
    help="How many of them train together.",
)  # fmt: skip
@words.threads_option
@words.report_option
@words.run_log_option
@words.voice_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    data: tuple[Path, ...],
    output: Path,
    folds: int | None,
    report: Path | None,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Train on DATA...: a folder of class folders (yes/ and no/), or a manifest.

    RUN will hold model.onnx, which predict takes at once, the recipe and the data as used
    (run.json), learning curves, and the scores of what was held out. For research only, not a
    medical device.
    """
    from tumorlens.training.allocator import start_torch

    start_torch()
    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    if folds and options["left_out"]:
        raise UsageError("--folds and --leave-out contradict each other; give one of them")
    check_results((report, run_log))
    job = _make_job(data, output, voice, options)
    ended = _train_folds(job, folds, options["folds_by"]) if folds else _train_once(job, voice)
    scores = ended.scores
    if report is not None:
        _write_page(report, ctx, job, ended)
    if run_log is not None:
        counts = {"slices": len(job.manifest), "scored": 0 if scores is None else len(scores)}
        watch.write_log(run_log, "train", ctx.params, counts=counts)
    return 0


def _make_job(
    data: tuple[Path, ...], output: Path, voice: words.Voice, options: dict[str, Any]
) -> Job:
    from tumorlens.training.phases import Hardware
    from tumorlens.training.recipe import read_recipe
    from tumorlens.training.run import Job

    recipe = read_recipe(options["recipe"], options["changes"])
    merged = read_whole(data, classes=options["mapped"], shared_groups=options["shared_groups"])
    merged = group_by_twins(merged, options["twins"], options["threads"], voice)
    kept, held_out, counts = _leave_out(merged, options["left_out"])
    return Job(
        recipe=recipe,
        manifest=kept,
        held_out=held_out,
        folder=output,
        weights=options["weights"],
        teachers=options["teachers"],
        store=options["store"],
        skip_unreadable=options["skip_unreadable"],
        drop_conflicts=options["drop_conflicts"],
        left_out=counts,
        hardware=Hardware(
            device=options["device"],
            devices=options["devices"],
            threads=options["threads"],
            progress=not voice.quiet and sys.stderr.isatty(),
        ),
        notice=voice.say,
    )


def _leave_out(
    merged: Manifest, names: tuple[str, ...]
) -> tuple[Manifest, Manifest | None, dict[str, int]]:
    from tumorlens.data.splits import leave_out

    if not names:
        return merged, None, {}
    kept, held_out, neither = leave_out(merged, names)
    counts = {" + ".join(names): len(held_out)}
    if len(neither):
        counts["rows that share a group with them"] = len(neither)
    return kept, held_out, counts


@dataclass(frozen=True)
class _Ended:
    """What a training leaves for its page.

    Attributes:
        scores: of the held-out rows; None if there are none.
        evaluation: of these; None if they cannot be measured.
        runs: what a run is called -> its folder.
        model: the model file; None for folds, each of which has its own.
        copies: held-out pictures with a copy in training.
    """

    scores: Scores | None
    evaluation: Evaluation | None
    runs: dict[str, Path]
    model: Path | None = None
    copies: int = 0


def _train_folds(job: Job, folds: int, by: By) -> _Ended:
    from tumorlens.training.folds import train_folds

    scores = train_folds(job, folds, by)
    runs = {f"fold {name}": job.folder / f"fold-{name}" for name in sorted(set(scores.fold))}
    return _Ended(scores, _show(job, scores, copies=0), runs)


def _train_once(job: Job, voice: words.Voice) -> _Ended:
    from tumorlens.report.learning_plots import plot_curves
    from tumorlens.training.phases import CURVES
    from tumorlens.training.run import train_model

    outcome = train_model(job)
    plot_curves(job.folder / CURVES, job.folder / "curves.png")
    voice.say(f"{outcome.model} after {outcome.seconds:.0f} s")
    evaluation = None
    if outcome.scores is not None:
        evaluation = _show(job, outcome.scores, outcome.copies)
    runs = {"loss and learning rate": job.folder}
    return _Ended(outcome.scores, evaluation, runs, outcome.model, outcome.copies)


def _write_page(path: Path, ctx: click.Context, job: Job, ended: _Ended) -> None:
    from tumorlens.detector import Detector
    from tumorlens.evaluation.assessment import drop_unfit
    from tumorlens.report.evaluation_pages import build_evaluation_sections
    from tumorlens.report.galleries import show_mistakes
    from tumorlens.report.pages import Section, write_page
    from tumorlens.report.training_pages import build_training_page
    from tumorlens.training.journal import read_run
    from tumorlens.training.phases import CURVES

    held_out: list[Section] = []
    if ended.scores is not None and ended.evaluation is not None:
        counted = drop_unfit(ended.scores)[0]
        detector = None
        if ended.model is not None:
            detector = Detector(ended.model, threads=job.hardware.threads)
        mistakes = show_mistakes(counted, detector)
        held_out = build_evaluation_sections(ended.evaluation, counted, mistakes=mistakes)
    page = build_training_page(
        {name: folder / CURVES for name, folder in ended.runs.items()},
        read_run(next(iter(ended.runs.values()))),
        held_out=held_out,
        copies=ended.copies,
        command=words.repeat_command(ctx),
        versions=words.list_versions(),
    )
    write_page(path, page)


def _show(job: Job, scores: Scores, copies: int) -> Evaluation | None:
    """Figures of the held-out rows: on the terminal, and in the run's folder."""
    from tumorlens.evaluation.assessment import drop_unfit, evaluate_scores
    from tumorlens.report.tables import open_console
    from tumorlens.report.training_tables import print_run

    if len({row.label for row in scores.rows if row.label}) < 2:
        job.notice("the held-out rows hold one label only: tumorlens evaluate --scores shows them")
        return None
    counted, _ = drop_unfit(scores)
    # A precision is a predictive value at the share of tumors that the test happens to hold.
    share = float(counted.tumor[counted.labelled].mean())
    evaluation = evaluate_scores(scores, prevalence=share)
    write_text(job.folder / "figures.json", evaluation.to_json(), overwrite=True)
    print_run(open_console(), evaluation, job.recipe.published, copies)
    return evaluation
