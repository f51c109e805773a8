"""``tumorlens calibrate``: a site's own cases set scale, thresholds and the familiarity limit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import (
    choose_data,
    choosing_options,
    open_detector,
    score,
)
from tumorlens.errors import UsageError
from tumorlens.writing import check_results

if TYPE_CHECKING:
    from tumorlens.evaluation.adoption import Adoption

__all__ = ["command"]

RATE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command(short_help="Fit a model's thresholds to a site's own labelled cases.")
@words.model_argument
@words.data_arguments
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
    "--name",
    "point",
    default="balanced",
    show_default=True,
    metavar="POINT",
    help="Operating point to set; the others keep their decisions.",
)
@click.option(
    "--with-seen",
    is_flag=True,
    help="Also fit on cases that the model has seen in training, and say so in its card.",
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
    output: Path | None,
    overwrite: bool,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Refit MODEL on the labelled slices of DATA... and write it to --output NEW.onnx.

    Set anew are scale and offset of the tumor logit, the thresholds of one operating point (the
    middle for a wanted sensitivity or specificity, equal ones without a wish; low and high as far
    apart as --coverage allows), and the limit of what counts as familiar. The network stays as it
    is. What that does to found, alarm and coverage is shown, each patient judged with numbers
    fitted on others. At least 20 patients with and 20 without tumor are needed, more for a rate
    near 1. Cases that the model has seen in training are left out, and counted.
    """
    from tumorlens.evaluation.adoption import adopt_model

    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    if output is None:
        raise UsageError("--output NEW.onnx is missing: where should the new model go?")
    if not options["point"].strip():
        raise UsageError("--name: an operating point needs a name")
    check_results((output, run_log), overwrite=overwrite)
    detector = open_detector(
        model, operating_point="balanced", threads=options["threads"], device=options["device"]
    )
    manifest, twins = choose_data(data, voice, options)
    scoring = score(detector, manifest, voice, twins=twins)
    adoption = adopt_model(
        detector.card,
        scoring.scores,
        point=options["point"],
        sensitivity=options["sensitivity"],
        specificity=options["specificity"],
        coverage=options["coverage"],
        with_seen=options["with_seen"],
    )
    adoption.write(detector.session.path, output, overwrite=overwrite)
    if not quiet:
        _show(adoption, options["point"])
    scoring.report_failures(voice)
    if run_log is not None:
        watch.write_log(
            run_log, "calibrate", ctx.params, counts=scoring.counts, session=scoring.session
        )
    return 1 if scoring.failures else 0


def _show(adoption: Adoption, point: str) -> None:
    from tumorlens.report.evaluation_tables import print_adoption
    from tumorlens.report.tables import open_console

    print_adoption(open_console(), adoption, point)
