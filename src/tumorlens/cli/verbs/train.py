"""``tumorlens train``: from labelled slices and a recipe to one model file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from tumorlens.cli import words
from tumorlens.cli.making import Material, material_options
from tumorlens.cli.measuring import folds_by_option
from tumorlens.cli.pace import Pulse
from tumorlens.data.manifest import find_data
from tumorlens.version import list_versions
from tumorlens.writing import check_results

if TYPE_CHECKING:
    from tumorlens.data.splits import By
    from tumorlens.training.result import TrainingResult
    from tumorlens.training.tracking.experiment_logs import LoggerName

__all__ = ["command"]


@click.command()
@words.data_arguments
@click.option(
    "--recipe", default="seed", show_default=True, metavar="NAME|FILE", help="What is done."
)
@click.option(
    "--output", "-o", type=words.FOLDER, required=True, metavar="RUN",
    help="Folder of the run; a broken run resumes there.",
)  # fmt: skip
@click.option(
    "--teacher", "teachers", multiple=True, metavar="MODEL",
    help="A model to learn from beside the labels; loss.teacher of the recipe is its weight. "
    "Repeatable: the mean of all is learned.",
)  # fmt: skip
@click.option(
    "--leave-out", "left_out", multiple=True, metavar="NAME",
    help="A source or set to test the model on; it is never trained on. Repeatable.",
)  # fmt: skip
@click.option(
    "--folds", type=click.IntRange(min=2), help="Train K times, each on all but one fold."
)
@folds_by_option
@material_options
@click.option(
    "--logger", "loggers", multiple=True, type=click.Choice(["csv", "tensorboard", "mlflow"]),
    help="Also log the learning curves and the recipe with it, into RUN/logs or where "
    "MLFLOW_TRACKING_URI says. Repeatable.",
)  # fmt: skip
@words.device_option
@click.option(
    "--devices", type=click.IntRange(min=1), default=1, show_default=True,
    help="How many of them train together, on each node.",
)  # fmt: skip
@click.option(
    "--nodes", type=click.IntRange(min=1), default=1, show_default=True,
    help="How many machines train together; torchrun or srun starts this command on each.",
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
    recipe: str,
    output: Path,
    teachers: tuple[str, ...],
    left_out: tuple[str, ...],
    folds: int | None,
    folds_by: By,
    material: Material,
    loggers: tuple[LoggerName, ...],
    device: str,
    devices: int,
    nodes: int,
    threads: int | None,
    report: Path | None,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Train on DATA...: a folder of class folders (yes/ and no/), or a manifest.

    RUN will hold model.onnx, which predict takes at once, the recipe and the data as used
    (run.json), learning curves, and the scores of the test. For research only, not a
    medical device.
    """
    for one in data:
        find_data(one)  # before torch, which takes seconds to load
    from tumorlens.training.workflow import train

    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    check_results((report, run_log))
    with Pulse(voice, dated=True) as pulse:
        result = train(
            *data,
            output=output,
            recipe=recipe,
            teachers=teachers,
            leave_out=left_out,
            folds=folds,
            folds_by=folds_by,
            loggers=loggers,
            **material,
            device=device,
            devices=devices,
            nodes=nodes,
            threads=threads,
            progress=pulse.advance,
            notice=pulse.say,
        )
        if result.rank:  # the first process shows and writes what there is
            return 0
        _show(result, pulse)
    if report is not None:
        _write_page(report, ctx, result)
    for line in _name_next_steps(result, data, report):
        voice.say(line)
    if run_log is not None:
        scored = 0 if result.test is None else len(result.test)
        counts = {"slices": result.slices, "scored": scored}
        watch.write_log(run_log, "train", ctx.params, counts=counts)
    return 0


def _name_next_steps(
    result: TrainingResult, data: tuple[Path, ...], report: Path | None
) -> Iterator[str]:
    """What to open and what to run next."""
    folder = str(result.folder)
    pages = [str(report)] if report is not None else []
    curves = "fold-*/curves.csv" if result.model is None else "curves.png"
    if any(result.folder.glob(curves)):
        pages.append(f"{folder}/{curves}" + " (learning curves)" * (result.model is not None))
    if not result.familiarity.passed:
        yield f"warning: {result.familiarity.words}"
    if pages:
        yield f"to look at: {', '.join(pages)}"
    if (logs := result.folder / "logs/tensorboard").exists():
        yield f"            tensorboard --logdir {quote(str(logs))}"
    if result.model is None:
        yield f"to go on: tumorlens evaluate --scores {quote(f'{folder}/scores.csv')}"
        return
    model = quote(str(result.model))
    yield f"to go on: tumorlens predict PATH --model {model} --heatmaps FOLDER"
    yield f"          tumorlens card {model} --output card.html"
    if result.test is not None:
        yield f"          {_tell_calibration(result, result.model, data)}"


def _tell_calibration(result: TrainingResult, model: Path, data: tuple[Path, ...]) -> str:
    """Thresholds for one's own pictures, where the test part has as many groups as it takes."""
    from tumorlens.evaluation.figures.intervals import FEW_GROUPS

    command = f"tumorlens calibrate {quote(str(model))}"
    output = f"--output {quote(str(model.with_name('calibrated.onnx')))}"
    if result.test_can_calibrate:
        named = " ".join(quote(str(one)) for one in data)
        return f"{command} {named} {output}"
    counts = result.test_groups
    return (
        f"{command} MORE_DATA {output}, with at least {FEW_GROUPS} new patients "
        f"of each label (the test part has {counts['tumor']} with a tumor and "
        f"{counts['no_tumor']} without)"
    )


def _write_page(path: Path, ctx: click.Context, result: TrainingResult) -> None:
    from tumorlens.detector import Detector
    from tumorlens.evaluation.scores import drop_unfit
    from tumorlens.report.evaluations.evaluation_pages import build_evaluation_sections
    from tumorlens.report.evaluations.galleries import show_mistakes
    from tumorlens.report.pages import Section, write_page
    from tumorlens.report.trainings.training_pages import build_training_page
    from tumorlens.training.journal import CURVES, read_run

    test: list[Section] = []
    if result.test is not None and result.evaluation is not None:
        counted = drop_unfit(result.test)[0]
        detector = None
        if result.model is not None:
            detector = Detector(result.model, threads=ctx.params["threads"])
        mistakes = show_mistakes(counted, detector)
        test = build_evaluation_sections(result.evaluation, counted, mistakes=mistakes)
    runs = {f"fold {name}": folder for name, folder in result.folds.items()}
    runs = runs or {"loss and learning rate": result.folder}
    page = build_training_page(
        {name: folder / CURVES for name, folder in runs.items()},
        read_run(next(iter(runs.values()))),
        test=test,
        copies=result.copies,
        unfamiliar="" if result.familiarity.passed else result.familiarity.words,
        command=words.repeat_command(ctx),
        versions=list_versions(),
    )
    write_page(path, page)


def _show(result: TrainingResult, pulse: Pulse) -> None:
    """The learning curves as a picture in the run's folder, and the test's figures in a table."""
    from tumorlens.report.tables import open_console
    from tumorlens.report.trainings.learning_plots import plot_curves
    from tumorlens.report.trainings.training_tables import print_run
    from tumorlens.training.journal import CURVES

    if result.model is not None:
        if (result.folder / CURVES).exists():  # a mean of models has none
            plot_curves(result.folder / CURVES, result.folder / "curves.png")
        pulse.say(f"{result.model} after {result.seconds:.0f} s")
    if result.evaluation is not None:
        print_run(open_console(), result.evaluation, result.recipe.published, result.copies)
