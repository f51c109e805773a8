"""``tumorlens calibrate``: a site's own cases set scale, thresholds and the familiarity limit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import (
    Scoring,
    choose_data,
    choosing_options,
    open_detector,
    score,
)
from tumorlens.cli.outputs import check_inputs_survive
from tumorlens.errors import UsageError
from tumorlens.writing import check_results

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.evaluation.adoption import Adoption
    from tumorlens.evaluation.heads.study_adoption import StudyAdoption

__all__ = ["command"]

RATE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command(short_help="Fit a model's thresholds to a site's own labelled cases.")
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
    apart as --coverage allows), the limit of what counts as familiar, and, where there are enough
    series, the numbers for series and studies. The network stays as it is. What that does to
    found, alarm and coverage is shown, each patient judged with numbers fitted on others. At least
    20 patients with and 20 without tumor are needed, more for a rate near 1. Cases that the model
    has seen in training are left out, and counted.

    With --misses only the threshold of studies is set, so that it can promise something; with
    --scores only the numbers for series and studies are fitted.
    """
    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    _check(data, output, options)
    assert output is not None
    check_inputs_survive(map(str, data), output, run_log)
    check_results((output, run_log), overwrite=overwrite)
    detector = open_detector(
        model, operating_point="balanced", threads=options["threads"], device=options["device"]
    )
    scoring = _score(detector, data, voice, options)
    adoption = _adopt(detector, scoring, options)
    adoption.write(detector.session.path, output, overwrite=overwrite)
    if not quiet:
        _show(adoption, options["point"])
    scoring.report_failures(voice)
    if run_log is not None:
        watch.write_log(
            run_log, "calibrate", ctx.params, counts=scoring.counts, session=scoring.session
        )
    return 1 if scoring.failures else 0


def _check(data: tuple[Path, ...], output: Path | None, options: dict[str, Any]) -> None:
    """Refuse what contradicts itself, before any work."""
    if output is None:
        raise UsageError("--output NEW.onnx is missing: where should the new model go?")
    if not options["point"].strip():
        raise UsageError("--name: an operating point needs a name")
    if bool(data) == bool(options["scores_files"]):
        raise UsageError("expected MODEL and DATA..., or MODEL and --scores FILE.csv")
    if options["misses"] is not None:
        for wish in ("sensitivity", "specificity"):
            if options[wish] is not None:
                raise UsageError(
                    f"give --misses or --{wish}, not both: --misses sets the threshold of studies "
                    f"and leaves the slices as they are, --{wish} is wanted of slices"
                )


def _score(
    detector: Detector, data: tuple[Path, ...], voice: words.Voice, options: dict[str, Any]
) -> Scoring:
    if options["scores_files"]:
        from tumorlens.evaluation.score_files import pool_scores

        return Scoring(pool_scores(options["scores_files"]))
    manifest, twins = choose_data(data, voice, options)
    return score(detector, manifest, voice, twins=twins)


def _adopt(
    detector: Detector, scoring: Scoring, options: dict[str, Any]
) -> Adoption | StudyAdoption:
    from tumorlens.evaluation.adoption import adopt_model, set_seen_aside
    from tumorlens.evaluation.heads.study_adoption import adopt_held_out, adopt_misses
    from tumorlens.studies.prediction import find_study_model

    numbers = find_study_model(detector)
    if options["misses"] is not None:
        scores, notes = set_seen_aside(scoring.scores, options["with_seen"])
        return adopt_misses(
            detector.card,
            numbers,
            scores,
            options["misses"],
            point=options["point"],
            notes=notes,
        )
    if options["scores_files"]:
        return adopt_held_out(detector.card, scoring.scores)
    return adopt_model(
        detector.card,
        scoring.scores,
        point=options["point"],
        sensitivity=options["sensitivity"],
        specificity=options["specificity"],
        coverage=options["coverage"],
        with_seen=options["with_seen"],
        numbers=numbers,
    )


def _show(adoption: Adoption | StudyAdoption, point: str) -> None:
    from tumorlens.evaluation.adoption import Adoption
    from tumorlens.report.evaluations.adoption_tables import print_adoption, print_study_adoption
    from tumorlens.report.tables import open_console

    if isinstance(adoption, Adoption):
        print_adoption(open_console(), adoption, point)
    else:
        print_study_adoption(open_console(), adoption)
