"""``tumorlens train``: from labelled slices and a recipe to one model file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import (
    folds_by_option,
    groups_option,
    map_option,
    parse_map,
    twins_option,
)
from tumorlens.cli.pace import Pulse
from tumorlens.errors import UsageError
from tumorlens.writing import check_results, write_text

if TYPE_CHECKING:
    from tumorlens.data.rows import Manifest
    from tumorlens.data.splits import By
    from tumorlens.evaluation.results import Evaluation
    from tumorlens.evaluation.scores import Scores
    from tumorlens.training.familiarity import FamiliarityCheck
    from tumorlens.training.job import Job

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
    with Pulse(voice) as pulse:
        job = _make_job(data, output, pulse, options)
        ended = _train_folds(job, folds, options["folds_by"]) if folds else _train_once(job)
    scores = ended.scores
    if report is not None:
        _write_page(report, ctx, job, ended)
    for line in _name_next_steps(job, ended, data, report):
        voice.say(line)
    if run_log is not None:
        counts = {"slices": len(job.manifest), "scored": 0 if scores is None else len(scores)}
        watch.write_log(run_log, "train", ctx.params, counts=counts)
    return 0


def _make_job(data: tuple[Path, ...], output: Path, pulse: Pulse, options: dict[str, Any]) -> Job:
    from tumorlens.data.choosing import group_copies, read_sets
    from tumorlens.training.hardware import Hardware
    from tumorlens.training.job import Job
    from tumorlens.training.recipe import read_recipe

    recipe = read_recipe(options["recipe"], options["changes"])
    # Before anything is read: what is not there is said at once.
    hardware = Hardware(options["device"], options["devices"], options["threads"])
    merged = read_sets(
        data, classes=parse_map(options["mapped"]), shared_groups=options["shared_groups"]
    )
    merged = group_copies(
        merged,
        options["twins"],
        threads=options["threads"],
        progress=pulse.advance,
        notice=pulse.say,
    )
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
        hardware=hardware,
        notice=pulse.say,
        progress=pulse.advance,
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
        familiarity: how many held-out pictures of known sources are called unfamiliar.
        model: the model file; None for folds, each of which has its own.
        copies: held-out pictures with a copy in training.
    """

    scores: Scores | None
    evaluation: Evaluation | None
    runs: dict[str, Path]
    familiarity: FamiliarityCheck
    model: Path | None = None
    copies: int = 0


def _train_folds(job: Job, folds: int, by: By) -> _Ended:
    from tumorlens.training.delivery import measure_held_out
    from tumorlens.training.familiarity import check_familiarity
    from tumorlens.training.folds import train_folds

    scores = train_folds(job, folds, by)
    runs = {f"fold {name}": job.folder / f"fold-{name}" for name in sorted(set(scores.fold))}
    # A fold of whole sources is new to its model, and may be unfamiliar.
    check = check_familiarity([scores], () if by == "source" else job.manifest.sources)
    evaluation = measure_held_out(scores)
    _show(job, scores, evaluation)
    return _Ended(scores, evaluation, runs, check)


def _train_once(job: Job) -> _Ended:
    from tumorlens.report.trainings.learning_plots import plot_curves
    from tumorlens.training.learning.phases import CURVES
    from tumorlens.training.run import train_model

    outcome = train_model(job)
    plot_curves(job.folder / CURVES, job.folder / "curves.png")
    job.notice(f"{outcome.model} after {outcome.seconds:.0f} s")
    if outcome.scores is not None:
        _show(job, outcome.scores, outcome.evaluation, outcome.copies)
    runs = {"loss and learning rate": job.folder}
    return _Ended(
        outcome.scores,
        outcome.evaluation,
        runs,
        outcome.familiarity,
        outcome.model,
        outcome.copies,
    )


def _name_next_steps(
    job: Job, ended: _Ended, data: tuple[Path, ...], report: Path | None
) -> Iterator[str]:
    """What to open and what to run next."""
    folder = str(job.folder)
    pages = [str(report)] if report is not None else []
    curves = "fold-*/curves.csv" if ended.model is None else "curves.png (learning curves)"
    if not ended.familiarity.passed:
        yield f"warning: {ended.familiarity.words}"
    yield f"to look at: {', '.join([*pages, f'{folder}/{curves}'])}"
    if ended.model is None:
        yield f"to go on: tumorlens evaluate --scores {quote(f'{folder}/scores.csv')}"
        return
    model = quote(str(ended.model))
    yield f"to go on: tumorlens predict PATH --model {model} --heatmaps FOLDER"
    yield f"          tumorlens card {model} --output card.html"
    if ended.scores is not None:
        yield f"          {_tell_calibration(ended, ended.model, data)}"


def _tell_calibration(ended: _Ended, model: Path, data: tuple[Path, ...]) -> str:
    """Thresholds for one's own pictures, where the test part has as many groups as it takes."""
    from tumorlens.evaluation.figures.intervals import FEW_GROUPS
    from tumorlens.training.rows.selection import count_label_groups

    counts = count_label_groups(ended.scores.rows if ended.scores else ())
    command = f"tumorlens calibrate {quote(str(model))}"
    output = f"--output {quote(str(model.with_name('calibrated.onnx')))}"
    if min(counts.values()) >= FEW_GROUPS:
        named = " ".join(quote(str(one)) for one in data)
        return f"{command} {named} {output}"
    return (
        f"{command} MORE_DATA {output}, with at least {FEW_GROUPS} new patients "
        f"of each label (the test part has {counts['tumor']} with a tumor and "
        f"{counts['no_tumor']} without)"
    )


def _write_page(path: Path, ctx: click.Context, job: Job, ended: _Ended) -> None:
    from tumorlens.detector import Detector
    from tumorlens.evaluation.scores import drop_unfit
    from tumorlens.report.evaluations.evaluation_pages import build_evaluation_sections
    from tumorlens.report.evaluations.galleries import show_mistakes
    from tumorlens.report.pages import Section, write_page
    from tumorlens.report.trainings.training_pages import build_training_page
    from tumorlens.training.journal import read_run
    from tumorlens.training.learning.phases import CURVES

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
        unfamiliar="" if ended.familiarity.passed else ended.familiarity.words,
        command=words.repeat_command(ctx),
        versions=words.list_versions(),
    )
    write_page(path, page)


def _show(job: Job, scores: Scores, evaluation: Evaluation | None, copies: int = 0) -> None:
    """Figures of the held-out rows: on the terminal, and in the run's folder."""
    from tumorlens.report.tables import open_console
    from tumorlens.report.trainings.training_tables import print_run

    if evaluation is None:
        shown = quote(str(job.folder / "scores.csv"))
        job.notice(
            f"the {len(scores)} held-out rows hold one label only: "
            f"tumorlens evaluate --scores {shown} shows them"
        )
        return
    write_text(job.folder / "figures.json", evaluation.to_json(), overwrite=True)
    print_run(open_console(), evaluation, job.recipe.published, copies)
