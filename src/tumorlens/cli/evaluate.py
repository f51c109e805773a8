"""``tumorlens evaluate``: figures that can be believed, each with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import (
    Scoring,
    choose_data,
    choosing_options,
    fill_pointing,
    open_detector,
    operating_point_option,
    score,
)
from tumorlens.cli.outputs import check_inputs_survive
from tumorlens.errors import UsageError
from tumorlens.writing import check_results, write_text

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.evaluation.results import Evaluation
    from tumorlens.evaluation.scores import Judged, Scores
    from tumorlens.report.pages import Page

__all__ = ["command"]


@click.command(short_help="Measure a model on labelled slices.")
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
    help="Also measure each value of a column; a,b: of both at once.  [default: source, sequence]",
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
    help="Draws of groups behind an interval.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of these draws."
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
def command(
    ctx: click.Context,
    /,
    *,
    inputs: tuple[str, ...],
    scores_files: tuple[Path, ...],
    compare: str | None,
    save_scores: Path | None,
    output: Path | None,
    report: Path | None,
    overwrite: bool,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Measure MODEL on the labelled slices of DATA..., or the scores of --scores.

    DATA is a folder of class folders, or a manifest (CSV). Every figure has a 95 % interval by
    bootstrap over groups (patients); under 20 groups the counts per group are listed instead.
    The summary goes to standard output, all figures to --output (JSON).
    """
    from tumorlens.evaluation.assessment import evaluate_scores

    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    results = (output, save_scores, report, run_log)
    check_inputs_survive((*inputs, *map(str, scores_files)), *results)
    check_results(results, overwrite=overwrite)
    asking = _Asking(inputs, scores_files, voice, options)
    scoring = asking.answer()
    other = None if compare is None else _Asking(inputs, (), voice, options).other(compare)
    heads, notes = _judge_heads(scoring, asking.detector, options["operating_point"])
    evaluation = evaluate_scores(
        scoring.scores,
        by=options["by"],
        prevalence=options["prevalence"],
        other=other,
        heads=heads,
        keep_all=options["keep_all"],
        replicates=options["replicates"],
        seed=options["seed"],
        notes=[*scoring.notes, *notes],
    )
    if save_scores is not None:
        _save(save_scores, scoring.scores, overwrite)
    if output is not None:
        write_text(output, evaluation.to_json(), overwrite=overwrite)
    if report is not None:
        page = _build_page(ctx, evaluation, scoring.scores, asking.detector)
        _write_page(report, page, overwrite)
    if not quiet:
        _show(evaluation)
    scoring.report_failures(voice)
    if run_log is not None:
        watch.write_log(
            run_log, "evaluate", ctx.params, counts=scoring.counts, session=scoring.session
        )
    return 1 if scoring.failures else 0


class _Asking:
    """Where scores come from: a file, or a model and data."""

    def __init__(
        self,
        inputs: tuple[str, ...],
        scores_files: tuple[Path, ...],
        voice: words.Voice,
        options: dict[str, Any],
    ) -> None:
        self.inputs, self.files, self.voice, self.options = inputs, scores_files, voice, options
        self.detector: Detector | None = None

    def answer(self) -> Scoring:
        if self.files:
            if self.inputs:
                raise UsageError("give either MODEL DATA... or --scores FILE, not both")
            if self.options["mapped"]:
                raise UsageError(
                    "--map says what class folders mean and --scores has none; change the labels "
                    "in the table"
                )
            return self._read(self.files)
        if len(self.inputs) < 2:
            raise UsageError("expected MODEL and DATA..., or --scores FILE")
        return self._run(self.inputs[0])

    def other(self, name: str) -> Scores:
        """The scores to compare with: of a file, or of another model on the same data."""
        if Path(name).suffix.lower() == ".csv":
            return self._read((Path(name),)).scores
        if not self.inputs:
            raise UsageError(
                "--compare with a model needs MODEL DATA...; beside --scores it takes a scores file"
            )
        return self._run(name).scores

    def _run(self, model: str) -> Scoring:
        self.detector = open_detector(
            model,
            operating_point=self.options["operating_point"],
            threads=self.options["threads"],
            device=self.options["device"],
        )
        manifest, twins = choose_data(self.inputs[1:], self.voice, self.options)
        return score(self.detector, manifest, self.voice, twins=twins)

    def _read(self, files: tuple[Path, ...]) -> Scoring:
        from tumorlens.evaluation.score_files import pool_scores

        scores = pool_scores(files)
        split = self.options["split"]
        if split is not None:
            chosen = scores.column("split") == split
            if not chosen.any():
                known = ", ".join(sorted(set(scores.column("split")) - {""})) or "none"
                raise UsageError(
                    f"{scores.name}: no row has the split {split!r}; its splits are {known}"
                )
            scores = scores.take(chosen)
        return fill_pointing(scores, self.voice)


def _judge_heads(
    scoring: Scoring, detector: Detector | None, point: str
) -> tuple[Judged | None, tuple[str, ...]]:
    """Whole series and studies, and what to say where there are none."""
    from tumorlens.evaluation.heads.study_fitting import judge_heads
    from tumorlens.studies.prediction import find_study_model

    model = None if detector is None else find_study_model(detector)
    judged = judge_heads(scoring.scores, model, point)
    if isinstance(judged, str):
        return None, (judged,) if judged else ()
    return judged, ()


def _save(path: Path, scores: Scores, overwrite: bool) -> None:
    from tumorlens.evaluation.score_files import write_scores

    write_scores(path, scores, overwrite=overwrite)


def _build_page(
    ctx: click.Context, evaluation: Evaluation, scores: Scores, detector: Detector | None
) -> Page:
    from tumorlens.evaluation.scores import drop_unfit
    from tumorlens.report.evaluations.evaluation_pages import build_evaluation_page
    from tumorlens.report.evaluations.galleries import show_mistakes

    keep_all = ctx.params["keep_all"]
    counted = scores if keep_all else drop_unfit(scores)[0]
    return build_evaluation_page(
        evaluation,
        counted,
        mistakes=show_mistakes(counted, detector),
        command=words.repeat_command(ctx),
        versions=words.list_versions(),
    )


def _write_page(path: Path, page: Page, overwrite: bool) -> None:
    from tumorlens.report.pages import write_page

    write_page(path, page, overwrite=overwrite)


def _show(evaluation: Any) -> None:
    from tumorlens.report.evaluations.evaluation_tables import print_evaluation
    from tumorlens.report.tables import open_console

    print_evaluation(open_console(), evaluation)
