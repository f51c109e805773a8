"""A run on a terminal: its figures on the test, beside what its recipe's authors found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.text import Text

from tumorlens.evaluation.figures.intervals import Estimate
from tumorlens.evaluation.results import Evaluation, Subset
from tumorlens.finding import RESEARCH_USE
from tumorlens.report.evaluations.evaluation_tables import tabulate_confusion, word_seen
from tumorlens.report.tables import make_table

__all__ = ["print_run"]

_FIGURES = {
    "accuracy": "accuracy",
    "AUC": "auc",
    "loss": "loss",
    "precision tumor": "ppv",
    "recall tumor": "sensitivity",
    "F1 tumor": "f1_tumor",
    "precision no_tumor": "npv",
    "recall no_tumor": "specificity",
    "F1 no_tumor": "f1_no_tumor",
    "accuracy over classes": "class_accuracy",
}
"""As papers name a figure -> as an evaluation does, its predictive values stated at the
prevalence of the test; after these come F1 of each type of tumor."""
_VERDICTS = {
    "found (verdict)": "found",
    "false alarm (verdict)": "alarm",
    "unfamiliar": "unfamiliar",
}
"""Shares of the tumors and of the others that get the verdict tumor, and of all that get none for
being unfamiliar: the figures above count every picture at the middle threshold."""


def print_run(
    console: Console, evaluation: Evaluation, published: Mapping[str, float], copies: int
) -> None:
    """Print the figures of a run's test.

    Args:
        console: to print on.
        evaluation: of the test scores, at their own prevalence.
        published: figure -> value of the recipe's authors; may be empty.
        copies: test pictures that had a copy in training.
    """
    whole = evaluation.parts[0]
    columns = ["figure", "value", "95 % interval", "n", "groups"]
    rows = []
    for shown, one in _pick_figures(whole):
        row = [shown, *_show(one)]
        if published:
            row.append(f"{published[shown]:.4f}" if shown in published else "")
        rows.append(row)
    if published:
        columns.append("published")
    console.print(make_table(_title(evaluation), columns, rows))
    confusion = tabulate_confusion(whole)
    if confusion is not None:
        console.print(confusion)
    if evaluation.optimism:
        console.print(Text(f"Warning: {evaluation.optimism}."))
    if copies:
        console.print(Text(f"{copies} of the test pictures had a copy or a patient in training."))
    console.print(Text(RESEARCH_USE))


def _title(evaluation: Evaluation) -> str:
    """Which of the test pictures are counted: those that a model learned from before are not."""
    part = evaluation.parts[0]
    seen = word_seen(part)
    if part.seen != "without_seen":
        return f"Test pictures, {seen}" if seen else "Test pictures"
    whole = next(one for one in evaluation.parts if not one.by and one.seen == "as_is")
    return f"Test pictures {seen}: {part.slices:,} of {whole.slices:,}"


def _pick_figures(part: Subset) -> Iterator[tuple[str, Estimate]]:
    """The figures of a training's table, in its order, under the names that papers use."""
    measured = {one.name: one for one in part.estimates}
    types = {f"F1 {name.removeprefix('f1_')}": name for name in measured if name.startswith("f1_")}
    for shown, name in {**_FIGURES, **types, **_VERDICTS}.items():
        if name in measured:
            yield shown, measured[name]


def _show(one: Estimate) -> tuple[str, str, str, str]:
    between = "" if one.low is None else f"{one.low:.4f} to {one.high:.4f}"
    value = "" if one.value is None else f"{one.value:.4f}"
    return value, between, f"{one.n}", f"{one.groups}"
