"""A search as a page: the gain and what it is worth, the leaderboard, what mattered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tumorlens.report.pages import (
    Block,
    Fact,
    Facts,
    Page,
    Section,
    Table,
    Text,
    limit_rows,
)
from tumorlens.report.tunings.tuning_plots import plot_history, plot_importances
from tumorlens.report.tunings.tuning_tables import (
    FIGURE_NAMES,
    GAIN_COLUMNS,
    tabulate_gain,
    tabulate_trial,
)
from tumorlens.tuning.outcome import Gain, Tuning

__all__ = ["build_tuning_page"]


def build_tuning_page(
    found: Tuning, *, command: str = "", versions: Mapping[str, str] | None = None
) -> Page:
    """The page of ``tumorlens tune``.

    Args:
        found: the search.
        command, versions: for the end of the page.
    """
    lead = (
        f"{len(found.trials)} trials on {found.slices:,} slices of {found.groups:,} groups. The "
        f"best is trial {found.best_number + 1}."
    )
    warned = (Section("Before you believe a figure", (Text((f"{found.warning}.",)),)),)
    gains = Table(
        f"Gain in {FIGURE_NAMES[found.figure]} over the recipes that were known",
        GAIN_COLUMNS,
        tuple(tabulate_gain(one) for one in (*found.nested_gains, *found.gains)),
    )
    sections = (
        *(warned if found.warning else ()),
        Section("Gain", (Facts(tuple(_pick_facts(found))), gains)),
        Section("Trials", (plot_history(found), _rank(found))),
        Section("What mattered", tuple(_show_importances(found))),
    )
    return Page("Search for a recipe", lead, sections, command, dict(versions or {}))


def _pick_facts(found: Tuning) -> Iterator[Fact]:
    """The gain over the paper's recipe: where it was chosen, and where it took no part."""
    for heading, gains in (
        ("Gain on rows that took no part", found.nested_gains),
        ("Gain on the rows it was chosen by", found.gains),
    ):
        if gains:
            one = gains[0]
            warning = "" if one.nested else "too good: these rows chose the recipe"
            yield Fact(heading, f"{one.difference:+.4f}", tuple(_remark(found, one)), warning)


def _remark(found: Tuning, one: Gain) -> Iterator[str]:
    yield f"{FIGURE_NAMES[found.figure]} {one.value:.4f}, recipe {one.over} {one.other:.4f}"
    if one.low is not None:
        yield f"95 % interval {one.low:+.4f} to {one.high:+.4f}"


def _rank(found: Tuning) -> Table:
    rows = limit_rows(map(tabulate_trial, found.ranked), more="leaderboard.csv has them all")
    return Table("Leaderboard", ("trial", FIGURE_NAMES[found.figure], "what"), rows)


def _show_importances(found: Tuning) -> Iterator[Block]:
    if found.importances:
        yield plot_importances(found)
    else:
        yield Text(
            ("Too few complete trials to tell which keys mattered: at least 10 are needed.",)
        )
