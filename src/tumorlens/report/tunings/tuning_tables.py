"""A search for a recipe as tables: for the terminal, and as rows for a page."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tumorlens.finding import RESEARCH_USE
from tumorlens.report.tables import make_table
from tumorlens.tuning.outcome import Gain, Trial, Tuning

__all__ = ["FIGURE_NAMES", "GAIN_COLUMNS", "print_tuning", "tabulate_gain", "tabulate_trial"]

FIGURE_NAMES = {"auc": "AUC", "loss": "log loss"}
GAIN_COLUMNS = ("over", "chosen", "known", "gain", "95 % interval", "groups", "on")
_SHOWN = 10  # trials on a terminal


def print_tuning(console: Console, found: Tuning) -> None:
    """Print the first trials of the leaderboard, and the gains.

    Args:
        console: to print on.
        found: the search.
    """
    rows = [tabulate_trial(one) for one in found.ranked[:_SHOWN]]
    console.print(make_table("Leaderboard", ("trial", FIGURE_NAMES[found.figure], "what"), rows))
    gains = [tabulate_gain(one) for one in (*found.nested_gains, *found.gains)]
    console.print(make_table(f"Gain in {FIGURE_NAMES[found.figure]}", GAIN_COLUMNS, gains))
    if found.warning:
        console.print(Text(f"Warning: {found.warning}."))
    console.print(Text(RESEARCH_USE))


def tabulate_trial(one: Trial) -> tuple[str, str, str]:
    """Number from 1, figure or state, and what was tried."""
    return f"{one.number + 1}", one.state if one.value is None else f"{one.value:.4f}", _say(one)


def tabulate_gain(one: Gain) -> tuple[str, ...]:
    """A row under `GAIN_COLUMNS`."""
    between = "" if one.low is None else f"{one.low:+.4f} to {one.high:+.4f}"
    where = "rows that took no part" if one.nested else "rows it was chosen by"
    values = (f"{one.value:.4f}", f"{one.other:.4f}", f"{one.difference:+.4f}")
    return one.over, *values, between, f"{one.groups}", where


def _say(one: Trial) -> str:
    if one.recipe:
        return f"recipe {one.recipe}"
    told = ", ".join(f"{key} {_shorten(value)}" for key, value in one.values.items())
    return f"{told} ({one.note})".strip() if one.note else told


def _shorten(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
