"""``tumorlens tune``: search a space of recipes for the one that does best on held-out slices."""

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
    from tumorlens.tuning.gains import Figure
    from tumorlens.tuning.outcome import Tuning
    from tumorlens.tuning.searches import Pruner

__all__ = ["command"]


@click.command()
@words.data_arguments
@click.option(
    "--space", type=words.FILE, required=True, metavar="FILE.toml",
    help="Keys of the recipe with their ranges or choices.",
)  # fmt: skip
@click.option("--trials", type=click.IntRange(min=1), required=True, help="How many, in all.")
@click.option(
    "--storage", type=words.FILE, required=True, metavar="FILE",
    help="Trials are written here. A broken search resumes; several processes may share the file.",
)  # fmt: skip
@click.option(
    "--recipe", default="release", show_default=True, metavar="NAME|FILE",
    help="What the space changes.",
)  # fmt: skip
@click.option(
    "--paper/--no-paper", default=True, show_default=True,
    help="Try the recipe of the paper first. On many data it takes hours.",
)  # fmt: skip
@click.option(
    "--figure", type=click.Choice(["auc", "loss"]), default="auc", show_default=True,
    help="What is searched for on held-out slices.",
)  # fmt: skip
@click.option(
    "--folds", type=click.IntRange(min=2), help="Models that a trial trains.  [default: 3]"
)
@folds_by_option
@click.option(
    "--leave-out", "left_out", multiple=True, metavar="NAME",
    help="A source or set to judge trials on, in place of folds. Repeatable.",
)  # fmt: skip
@click.option(
    "--nested", type=click.IntRange(min=0), metavar="K",
    help="Repeat the search without each of K folds, to tell its true gain.  [default: 5 under 300 "
    "slices, else 0]",
)  # fmt: skip
@click.option(
    "--pruner", type=click.Choice(["median", "hyperband", "none"]), default="median",
    show_default=True, help="Which rule ends a trial early.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True,
    help="Of the folds and of the values that are drawn.",
)  # fmt: skip
@material_options
@words.device_option
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
    space: Path,
    trials: int,
    storage: Path,
    recipe: str,
    paper: bool,
    figure: Figure,
    folds: int | None,
    folds_by: By,
    left_out: tuple[str, ...],
    nested: int | None,
    pruner: Pruner,
    seed: int,
    material: Material,
    device: str,
    threads: int | None,
    report: Path | None,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Search over DATA...: a folder of class folders (yes/ and no/), or a manifest.

    The recipe of the paper and --recipe are the first trials; --set changes all but the paper's.
    Test rows take no part. Beside --storage, a folder .runs gets best.toml, which train takes, and
    leaderboard.csv.
    """
    for one in data:
        find_data(one)  # before torch, which takes seconds to load
    from tumorlens.report.tables import open_console
    from tumorlens.report.tunings.tuning_tables import print_tuning
    from tumorlens.tuning.searching import tune

    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    check_results((report, run_log))
    with Pulse(voice, dated=True) as pulse:
        found = tune(
            *data,
            space=space,
            trials=trials,
            storage=storage,
            recipe=recipe,
            paper=paper,
            figure=figure,
            folds=folds,
            folds_by=folds_by,
            leave_out=left_out,
            nested=nested,
            pruner=pruner,
            seed=seed,
            **material,
            device=device,
            threads=threads,
            progress=pulse.advance,
            notice=pulse.say,
        )
    print_tuning(open_console(), found)
    if report is not None:
        _write_page(report, ctx, found)
    for line in _name_next_steps(found, data, report):
        voice.say(line)
    if run_log is not None:
        watch.write_log(run_log, "tune", ctx.params, counts={"trials": len(found.trials)})
    return 0


def _write_page(path: Path, ctx: click.Context, found: Tuning) -> None:
    from tumorlens.report.pages import write_page
    from tumorlens.report.tunings.tuning_pages import build_tuning_page

    page = build_tuning_page(found, command=words.repeat_command(ctx), versions=list_versions())
    write_page(path, page)


def _name_next_steps(found: Tuning, data: tuple[Path, ...], report: Path | None) -> Iterator[str]:
    pages = [str(report)] if report is not None else []
    yield f"to look at: {', '.join([*pages, str(found.folder / 'leaderboard.csv')])}"
    named = " ".join(quote(str(one)) for one in data)
    yield f"to go on: tumorlens train {named} --recipe {quote(str(found.best_file))} --output RUN"
