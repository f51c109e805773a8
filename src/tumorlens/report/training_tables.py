"""A run on a terminal: its figures on held-out pictures, beside what its recipe's authors found."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from tumorlens.evaluation.assessment import Evaluation
from tumorlens.evaluation.intervals import Estimate
from tumorlens.finding import RESEARCH_USE
from tumorlens.report.tables import make_table

__all__ = ["print_run"]

_FIGURES = {
    "accuracy": "accuracy",
    "AUC": "auc",
    "loss": "loss",
    "precision tumor": "precision_tumor",
    "recall tumor": "recall_tumor",
    "F1 tumor": "f1_tumor",
    "precision no_tumor": "precision_no_tumor",
    "recall no_tumor": "recall_no_tumor",
    "F1 no_tumor": "f1_no_tumor",
}


def print_run(
    console: Console, evaluation: Evaluation, published: Mapping[str, float], copies: int
) -> None:
    """Print the figures of a run's held-out pictures.

    Args:
        console: to print on.
        evaluation: of the held-out scores.
        published: figure -> value of the recipe's authors; may be empty.
        copies: held-out pictures that had a copy in training.
    """
    whole = evaluation.parts[0]
    columns = ["figure", "value", "95 % interval", "n", "groups"]
    rows = []
    for shown, name in _FIGURES.items():
        found = next((one for one in whole.estimates if one.name == name), None)
        if found is not None:
            row = [shown, *_show(found)]
            if published:
                row.append(f"{published[shown]:.4f}" if shown in published else "")
            rows.append(row)
    if published:
        columns.append("published")
    console.print(make_table("Held-out pictures", columns, rows))
    if copies:
        console.print(
            Text(f"{copies} of the held-out pictures had a copy or a patient in training.")
        )
    console.print(Text(RESEARCH_USE))


def _show(one: Estimate) -> tuple[str, str, str, str]:
    between = "" if one.low is None else f"{one.low:.4f} to {one.high:.4f}"
    value = "" if one.value is None else f"{one.value:.4f}"
    return value, between, f"{one.n}", f"{one.groups}"
