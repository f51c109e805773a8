"""``tumorlens export``: the same answers from a smaller file, or in another backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import choosing_options, open_detector
from tumorlens.cli.pace import Pulse
from tumorlens.errors import UsageError
from tumorlens.exporting.targets import TARGETS, find_target
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.writing import check_results

if TYPE_CHECKING:
    from tumorlens.data.choosing import Choice
    from tumorlens.exporting.parity import ParityReport

__all__ = ["command"]

COUNT = click.IntRange(min=20)


@click.command()
@words.model_argument
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Choice(list(TARGETS)),
    help="; ".join(f"{one.name}: {one.summary}" for one in TARGETS.values()) + ".",
)
@click.option(
    "--data",
    multiple=True,
    type=words.DATA,
    metavar="DATA",
    help="Labelled slices to calibrate on, and others to compare on. Repeatable.",
)
@click.option(
    "--calibration-slices",
    type=COUNT,
    default=256,
    show_default=True,
    help="Slices that int8 is fitted on, balanced by source.",
)
@click.option(
    "--parity-slices",
    type=COUNT,
    default=1000,
    show_default=True,
    help="Slices of other groups that export and original are compared on, at most.",
)
@click.option("--force", is_flag=True, help="Write it though it misses a bar; its card says so.")
@choosing_options
@words.output_option
@words.overwrite_option
@words.threads_option
@words.run_log_option
@words.voice_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    model: str,
    target: str,
    data: tuple[Path, ...],
    calibration_slices: int,
    parity_slices: int,
    force: bool,
    choice: Choice,
    output: Path | None,
    overwrite: bool,
    threads: int | None,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Write MODEL for another place to --output FILE.

    The export is compared with MODEL on slices of --data. It is refused if too many answers
    differ: all targets must keep 99 % of the verdicts. Those in float32 may differ by 1e-4 in a
    probability, the others by 0.003 in the AUC. The comparison stands in the export's card. The
    list of training pictures (tumorlens seen) stays behind.
    """
    from tumorlens.exporting.conversion import draw_for_target, export_model
    from tumorlens.progress import count_up, stay_silent

    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    if output is None:
        raise UsageError("--output FILE is missing: where should the export go?")
    check_inputs_survive((), output, run_log)
    check_results((output, run_log), overwrite=overwrite)
    aim = find_target(target)
    aim.find_convert()
    detector = open_detector(model, threads=threads)
    with Pulse(voice) as pulse:
        samples = draw_for_target(
            aim,
            data,
            choice=choice,
            calibration=calibration_slices,
            parity=parity_slices,
            threads=threads,
            progress=pulse.advance,
            notice=pulse.say,
        )
        steps = 0 if samples is None else samples.steps
        export = export_model(
            detector,
            aim,
            output,
            samples=samples,
            force=force,
            overwrite=overwrite,
            progress=count_up(pulse.advance, "exporting", steps),
            show=stay_silent if quiet else _show,
        )
    if not quiet:
        names = ", ".join(map(str, export.files))
        size = sum(file.stat().st_size for file in export.files) / 1e6
        click.echo(words.make_printable(f"{names}: {export.card.full_name}, {size:.2f} MB"))
    if run_log is not None:
        counts = {"slices": steps}
        watch.write_log(run_log, "export", ctx.params, counts=counts, session=detector.session)
    return 0


def _show(report: ParityReport) -> None:
    from tumorlens.report.exports.export_tables import print_parity
    from tumorlens.report.tables import open_console

    print_parity(open_console(), report)
