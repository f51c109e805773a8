"""Prints an evaluation: all slices, each subset, and what to know before you rely on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from textwrap import fill

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tumorlens.digits import say_count
from tumorlens.evaluation.figures.intervals import Difference, Estimate, find_estimate
from tumorlens.evaluation.results import Evaluation, Subset
from tumorlens.finding import RESEARCH_USE
from tumorlens.report.evaluations.head_tables import (
    HEAD_WORDS,
    PART_COLUMNS,
    list_head_parts,
    list_head_tables,
)
from tumorlens.report.tables import make_table

__all__ = [
    "COUNTS",
    "DIFFERENCE_COLUMNS",
    "FIGURE_WORDS",
    "brief_estimate",
    "label_part",
    "list_counts",
    "list_differences",
    "list_notes",
    "name_figure",
    "print_estimates",
    "print_evaluation",
    "remark_on",
    "shorten_group",
    "tabulate_confusion",
    "word_seen",
    "write_span",
]

FIGURE_WORDS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "ece": "ECE",
    "mcc": "MCC",
    "ppv": "PPV",
    "npv": "NPV",
    "loss": "log loss",
    "class_loss": "log loss over classes",
    "class_accuracy": "accuracy over classes",
    "f1_tumor": "F1 tumor",
    "f1_no_tumor": "F1 no tumor",
    "found": "found (verdict tumor, of tumor slices)",
    "alarm": "false alarm (verdict tumor, of other slices)",
    "cleared": "cleared (any other verdict, of other slices)",
    "cleared_mean_of_groups": "cleared, mean over groups (each group's share)",
    "type_accuracy": "type accuracy (most probable type, of tumor slices)",
    "coverage": "coverage (verdict tumor or no tumor)",
    "found_at_99_cleared": "found at 99 % cleared (tumor slices over that threshold)",
    "found_at_95_cleared": "found at 95 % cleared (tumor slices over that threshold)",
    "series_with_alarm_at_99_cleared": "series with a false alarm at 99 % cleared (tumor-free)",
    "series_with_alarm_at_95_cleared": "series with a false alarm at 95 % cleared (tumor-free)",
    "level_matched_auc": "level-matched AUC",
    "within_patient_auc": "within-patient AUC",
    "within_patient_auc_of_position": "…of position alone",
    "pointing": "pointing game",
    "pointing_of_center": "…of the center of the head",
    "pointing_best_of_grid": "…best that the grid allows",
}
"""Name of a figure -> how it is shown, where the name itself is unclear."""

IN_PARTS = (
    "auc",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "found",
    "alarm",
    "cleared_mean_of_groups",
    "series_without_alarm",
    "class_accuracy",
    "type_accuracy",
    "ece",
)
LISTED = ("sensitivity", "specificity", "found", "alarm")


COUNTS = "There is no interval with fewer than 20 groups. Counts per group"
WIDTH_OF_FIGURE = 11
"""Width of a figure in the table of subsets: its interval with two digits, and a gap."""
WIDEST_LABEL = 26


def print_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Print all figures of all slices, a line for each subset, and the notes."""
    for part in evaluation.parts:
        if not part.by:
            _print_whole(console, evaluation, part)
    parts = [part for part in evaluation.parts if part.by]
    for table in _tabulate_parts(parts, console.width):
        console.print(table)
    of_series = list_head_parts(parts)
    if of_series:
        console.print(make_table("Whole series, part by part", PART_COLUMNS, of_series))
    for words in list_notes(evaluation):
        console.print(Text(words))
    console.print(Text(RESEARCH_USE))


def print_estimates(
    console: Console,
    title: str,
    estimates: Iterable[Estimate],
    words: Mapping[str, str] | None = None,
) -> None:
    """Print figures with interval, number and groups, one a line.

    Args:
        console: where to.
        title: title of the table.
        estimates: the figures.
        words: readable names of figures, if they differ from those of slices.
    """
    rows = [
        (_name_with_remark(one, words or {}), *_show(one), f"{one.n:,}", f"{one.groups:,}")
        for one in estimates
    ]
    if rows:
        table = make_table(title, ("figure", "value", "95 % interval", "n", "groups"), rows)
        for column in table.columns[1:]:
            column.no_wrap = True
        console.print(table)


def _name_with_remark(one: Estimate, words: Mapping[str, str]) -> str:
    """The name of a figure, and below it what it counts."""
    name, _, counts = words.get(one.name, name_figure(one.name)).partition(" (")
    remark = one.note if one.method == "counts" else remark_on(one)  # `COUNTS` says it once
    below = "; ".join(filter(None, (counts.removesuffix(")"), remark)))
    return f"{name}\n  {below}" if below else name


def _print_whole(console: Console, evaluation: Evaluation, part: Subset) -> None:
    seen = word_seen(part)
    name = f"{evaluation.data}, {seen}" if seen else evaluation.data
    if not part.estimates:
        console.print(Text(f"{name}: {part.note}" if part.slices else f"{name}: no slice is left"))
        return
    title = (
        f"{name}: {part.slices:,} slices ({part.tumor:,} tumor, {part.no_tumor:,} no tumor), "
        f"{part.groups:,} groups; {evaluation.model or 'scores'}"
    )
    # What one label cannot tell is said once, in a note.
    print_estimates(console, title, [one for one in part.estimates if one.value is not None])
    for title, estimates in list_head_tables(part):
        print_estimates(console, title, estimates, HEAD_WORDS)
    for table in (tabulate_confusion(part), _tabulate_reliability(part)):
        if table is not None:
            console.print(table)
    counts = list_counts(part)
    if counts is not None:
        console.print(make_table(COUNTS, *counts))
    elif any(one.method == "counts" for one in part.estimates):
        console.print(Text("Figures without an interval have fewer than 20 groups."))
    if part.differences:
        rows = list_differences(part.differences)
        console.print(make_table(f"Against {evaluation.other}", DIFFERENCE_COLUMNS, rows))


def word_seen(part: Subset) -> str:
    """Which slices of a subset were in training; empty if none was, or if it is unknown."""
    if part.seen == "without_seen":
        return "not seen in training"
    if not part.slices_seen:
        return ""
    share = "all" if part.slices_seen == part.slices else f"{part.slices_seen:,} of"
    return f"{share} {part.slices:,} SEEN in training, so too optimistic"


def label_part(part: Subset) -> str:
    """The values of a subset, and whether its slices were in training."""
    words = " ".join(value or "(none)" for value in part.by.values())
    if part.seen == "without_seen":
        return f"{words}, not seen"
    return f"{words}, {part.slices_seen:,} SEEN" if part.slices_seen else words


def _tabulate_parts(parts: Sequence[Subset], width: int) -> Iterator[Table]:
    """Tables of subsets: several with few columns on a narrow terminal, so that no word breaks."""
    names = [name for name in IN_PARTS if any(_get(part, name) for part in parts)]
    at_once = max(1, (width - WIDEST_LABEL - 4) // WIDTH_OF_FIGURE)
    for start in range(0, len(names), at_once):
        shown = names[start : start + at_once]
        rows = [_list_part(part, shown) for part in parts if part.estimates or not start]
        heads = (fill(name_figure(name).split(" (")[0], WIDTH_OF_FIGURE) for name in shown)
        table = make_table("Subset by subset", ("subset", *heads), rows)
        table.columns[0].max_width = WIDEST_LABEL
        for column in table.columns[1:]:
            column.no_wrap = True
        yield table


def _list_part(part: Subset, names: Sequence[str]) -> tuple[str, ...]:
    size = f"{part.slices:,} in {say_count(part.groups, 'group')}" if part.slices else part.note
    return (f"{label_part(part)}\n{size}", *(brief_estimate(_get(part, name)) for name in names))


def tabulate_confusion(part: Subset) -> Table | None:
    """True classes as rows, predicted classes as columns; None if nothing is labelled."""
    if not part.confusion:
        return None
    columns = list(next(iter(part.confusion.values())))
    rows = [
        (truth, *(f"{called[name]:,}" for name in columns))
        for truth, called in part.confusion.items()
    ]
    return make_table("True class (rows), called at the middle threshold", ("", *columns), rows)


def _tabulate_reliability(part: Subset) -> Table | None:
    rows = [
        (
            one.source,
            f"{one.n:,}",
            f"{one.groups:,}",
            f"{one.predicted:.3f}",
            f"{one.observed:.3f}",
            write_span(one.low, one.high),
        )
        for one in part.reliability
    ]
    columns = ("source", "n", "groups", "predicted", "observed", "95 % interval")
    return (
        make_table("Reliability: tumor probability against tumors", columns, rows) if rows else None
    )


def list_counts(part: Subset) -> tuple[tuple[str, ...], list[tuple[str, ...]]] | None:
    """Columns and rows of the counts per group, which stand where groups are too few."""
    few = {
        name: counts
        for name in LISTED
        if (one := _get(part, name)) is not None and (counts := one.counts)
    }
    if not few:
        return None
    cells = {
        name: {group: f"{a:g} of {b:g}" for group, a, b in counts} for name, counts in few.items()
    }
    groups = sorted({group for counts in cells.values() for group in counts})
    rows = [
        (shorten_group(group), *(counts.get(group, "") for counts in cells.values()))
        for group in groups
    ]
    return ("group", *(name_figure(name).split(" (")[0] for name in few)), rows


def shorten_group(group: str) -> str:
    """A file that is its own group is shown by its name."""
    return PurePath(group).name if group.startswith("file:") else group


DIFFERENCE_COLUMNS = ("figure", "this", "other", "difference", "95 % interval, paired")


def list_differences(differences: Sequence[Difference]) -> list[tuple[str, ...]]:
    """A line each, under `DIFFERENCE_COLUMNS`."""
    return [
        (
            name_figure(one.name),
            f"{one.value:.3f}",
            f"{one.other:.3f}",
            f"{one.difference:+.3f}",
            "" if one.low is None or one.high is None else f"{one.low:+.3f} to {one.high:+.3f}",
        )
        for one in differences
    ]


def list_notes(evaluation: Evaluation) -> Iterator[str]:
    """What to know before you rely on a figure, one sentence each."""
    if evaluation.left_out:
        counts = "; ".join(f"{why}: {n:,}" for why, n in evaluation.left_out.items())
        yield f"Left out of every figure: {counts}"
    if evaluation.heads:
        yield f"Whole series and studies: {evaluation.heads}"
    lacking = [part.note for part in evaluation.parts if not part.by and part.estimates]
    yield from (f"Note: {note}" for note in dict.fromkeys([*evaluation.notes, *lacking]) if note)


def _get(part: Subset, name: str) -> Estimate | None:
    found = find_estimate(part.estimates, name)
    return found if found is not None and found.value is not None else None


def name_figure(name: str) -> str:
    """The readable name of a figure."""
    words = FIGURE_WORDS.get(name, name.replace("_", " "))
    for prefix in ("f1 ", "mcc "):
        words = words.replace(prefix, prefix.upper(), 1) if words.startswith(prefix) else words
    words = re.sub(r"\bat (\d+) cleared\b", r"at \1 % cleared,", words)
    head, _, percent = words.rpartition(" ")
    return f"{head} {percent} %" if percent.isdecimal() else words


def _show(one: Estimate) -> tuple[str, str]:
    if one.value is None:
        return "–", ""
    return f"{one.value:.3f}", write_span(one.low, one.high)


def brief_estimate(one: Estimate | None, *, digits: int = 2) -> str:
    if one is None or one.value is None:
        return "–"
    span = write_span(one.low, one.high, digits=digits)
    return f"{one.value:.3f}\n{span}" if span else f"{one.value:.3f}"


def write_span(low: float | None, high: float | None, *, digits: int = 3) -> str:
    """An interval as ``0.924–0.989``; empty where there is none."""
    return "" if low is None or high is None else f"{low:.{digits}f}–{high:.{digits}f}"


def remark_on(one: Estimate) -> str:
    """How the interval was made, and what to know about the figure."""
    if one.value is None:
        return one.note
    words = {"exact": "exact, on groups", "counts": "under 20 groups"}.get(one.method, "")
    return "; ".join(filter(None, (words, one.note)))
