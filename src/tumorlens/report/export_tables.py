"""What an export says beside its original, and how fast models run, on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tumorlens.evaluation.comparison import Difference
from tumorlens.exporting.parity import ParityReport, SourceParity
from tumorlens.report.tables import make_table

__all__ = ["print_parity"]


def print_parity(console: Console, report: ParityReport) -> None:
    """Print a parity report: the whole, then source by source, then what is missed."""
    one = report.parity
    rows = [
        ("verdicts equal", f"{one.verdicts_equal:.2%}"),
        ("largest difference of a probability", f"{one.largest_difference:.2g}"),
        ("mean difference of a probability", f"{one.mean_difference:.2g}"),
        ("AUC", _show(report.auc)),
        ("pointing game", _show(report.pointing)),
        ("ECE of the export", "no labels" if one.ece is None else f"{one.ece:.3f}"),
    ]
    title = f"Parity on {one.slices} slices of {one.groups} groups"
    console.print(make_table(title, ("", ""), rows, header=False))
    columns = ("source", "slices", "verdicts equal", "largest difference", "AUC change")
    console.print(make_table("By source", columns, map(_show_source, report.sources)))
    for miss in report.misses:
        console.print(Text(f"Missed: {miss}.", style="bold red"))


def _show(difference: Difference | None) -> str:
    if difference is None:
        return "nothing to measure it by"
    words = f"{difference.difference:+.4f}  ({difference.other:.4f} → {difference.value:.4f})"
    if difference.low is None:
        return words
    return (
        f"{words}, 95 % interval of the difference {difference.low:+.4f} to {difference.high:+.4f}"
    )


def _show_source(one: SourceParity) -> tuple[str, ...]:
    change = "" if one.auc_difference is None else f"{one.auc_difference:+.4f}"
    equal, largest = f"{one.verdicts_equal:.1%}", f"{one.largest_difference:.2g}"
    return one.source, str(one.slices), equal, largest, change
