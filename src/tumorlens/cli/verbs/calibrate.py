"""``tumorlens calibrate``: fit scale, thresholds and the familiarity limit to a site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import choosing_options, open_detector, tell_failures
from tumorlens.cli.pace import Pulse
from tumorlens.errors import UsageError
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.writing import check_results

if TYPE_CHECKING:
    from tumorlens.data.choosing import Choice
    from tumorlens.evaluation.series_and_studies.study_calibration import StudyCalibration
    from tumorlens.evaluation.site_calibration import SiteCalibration

__all__ = ["command"]


class _Renamed(click.Option):
    """An option whose old flags still work, and stand in no help."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        flags, self.opts = self.opts, self.opts[:1]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = flags


RATE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@words.model_argument
@words.optional_data_arguments
@click.option("--sensitivity", type=RATE, help="Wanted at the middle threshold.")
@click.option("--specificity", type=RATE, help="Wanted at the middle threshold.")
@click.option(
    "--coverage",
    type=RATE,
    default=0.9,
    show_default=True,
    help="Share of familiar slices that must get an answer, tumor or no tumor.",
)
@click.option(
    "--misses",
    type=RATE,
    help="Set the threshold of studies alone, so that with 95 % confidence at most this share of "
    "tumor studies is missed.",
)
@click.option(
    "--scores",
    "scores_files",
    multiple=True,
    type=words.FILE,
    metavar="FILE.csv",
    help="Fit the numbers for series and studies alone, on held-out scores in place of DATA. "
    "Repeatable, each a fold.",
)
@click.option(
    "--operating-point",
    "--name",
    "operating_point",
    cls=_Renamed,
    default="balanced",
    show_default=True,
    metavar="NAME",
    help="Operating point to set; the others keep their decisions.",
)
@click.option(
    "--with-seen",
    is_flag=True,
    help="Also fit on slices that the model has seen in training, and say so in its card.",
)
@choosing_options
@words.output_option
@words.work_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    model: str,
    data: tuple[Path, ...],
    scores_files: tuple[Path, ...],
    sensitivity: float | None,
    specificity: float | None,
    coverage: float,
    misses: float | None,
    operating_point: str,
    with_seen: bool,
    choice: Choice,
    output: Path | None,
    overwrite: bool,
    threads: int | None,
    device: str,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Refit MODEL on the labelled slices of DATA... and write it to --output NEW.onnx.

    Set anew are scale and offset of the tumor logit, the thresholds of one operating point (the
    middle for a wanted sensitivity or specificity, equal ones without a wish; low and high as far
    apart as --coverage allows), the limit of what counts as familiar, and, where there are enough
    series, the numbers for series and studies. The network stays as it is. What that does to
    found, alarm and coverage is shown, each patient judged with numbers fitted on others. At least
    20 patients with and 20 without tumor are needed, more for a rate near 1. Slices that the model
    has seen in training are left out, and counted.

    With --misses only the threshold of studies is set, so that it can promise something; with
    --scores only the numbers for series and studies are fitted.
    """
    from tumorlens.evaluation.calibrating import calibrate_scores, score_site
    from tumorlens.evaluation.site_calibration import Wishes

    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    wishes = Wishes(sensitivity, specificity, coverage, misses, operating_point, with_seen)
    if output is None:
        raise UsageError("--output NEW.onnx is missing: where should the new model go?")
    if bool(data) == bool(scores_files):
        raise UsageError("expected MODEL and DATA..., or MODEL and --scores FILE.csv")
    check_inputs_survive(map(str, data), output, run_log)
    check_results((output, run_log), overwrite=overwrite)
    detector = open_detector(model, threads=threads, device=device)
    with Pulse(voice) as pulse:
        scored = score_site(
            detector,
            data,
            scores_files,
            choice=choice,
            progress=pulse.advance,
            notice=pulse.say,
        )
    calibrated = calibrate_scores(detector, scored.scores, wishes, held_out=bool(scores_files))
    calibrated.write(detector.session.path, output, overwrite=overwrite)
    if not quiet:
        _show(calibrated, operating_point)
    tell_failures(scored, voice)
    if run_log is not None:
        used = None if scores_files else detector.session
        watch.write_log(run_log, "calibrate", ctx.params, counts=scored.counts, session=used)
    return 1 if scored.failures else 0


def _show(calibrated: SiteCalibration | StudyCalibration, point: str) -> None:
    from tumorlens.evaluation.site_calibration import SiteCalibration
    from tumorlens.report.evaluations.calibration_tables import (
        print_calibration,
        print_study_calibration,
    )
    from tumorlens.report.tables import open_console

    if isinstance(calibrated, SiteCalibration):
        print_calibration(open_console(), calibrated, point)
    else:
        print_study_calibration(open_console(), calibrated)
