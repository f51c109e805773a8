"""What an export says beside its original, and how fast models run, on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from tumorlens.digits import say_count, say_share
from tumorlens.evaluation.figures.intervals import Difference
from tumorlens.exporting.benchmarking.speed import Benchmark, Result
from tumorlens.exporting.parity import ParityReport, SourceParity
from tumorlens.report.tables import make_table

__all__ = ["print_benchmark", "print_parity"]


def print_parity(console: Console, report: ParityReport) -> None:
    """Print a parity report: the whole, then source by source, then what is missed."""
    one = report.parity
    rows = [
        ("verdicts equal", say_share(one.verdicts_equal, 2)),
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


_BUSY = 1.5
"""Median over best from which other programs must have disturbed a measurement."""


def print_benchmark(console: Console, benchmark: Benchmark) -> None:
    """Print the machine, what each model costs there, and how far the network is from the roof."""
    machine = benchmark.machine
    sets = ", ".join(machine.instructions) or "unknown instruction sets"
    cores = say_count(machine.cores, "core")
    console.print(Text(f"{machine.processor}, {cores}, {machine.system}: {sets}."))
    console.print(Text(machine.integers))
    for numbers, peaks in benchmark.peaks.items():
        told = ", ".join(
            f"{peak / 1e9:.0f} on {say_count(number, 'thread')}" for number, peak in peaks.items()
        )
        console.print(Text(f"Peak of {numbers}: {told}, in 10⁹ multiply-adds a second."))
    results = benchmark.results
    names = [f"{one.model}\n{one.runtime}, {say_count(one.threads, 'thread')}" for one in results]
    rows = [(name, *_show_network(one)) for name, one in zip(names, results, strict=True)]
    title = "The network: one prepared slice"
    _print_figures(console, title, ("MB", "load\nms", "network\nms", "best", "p95"), rows)
    rows = [(name, *_show_limits(one)) for name, one in zip(names, results, strict=True)]
    title = "The network beside its roofline; slices/s in batches of 8"
    _print_figures(console, title, ("roofline\nms", "of\nroofline", "slices/s", "MB\nRAM"), rows)
    if any(one.measured.network.median > _BUSY * one.measured.network.best for one in results):
        console.print(
            Text(
                "Medians lie far above the best: this machine is busy with something else. Compare "
                "the best, or measure again when it is quiet.",
                style="yellow",
            )
        )
    title = "A slice in ONNX Runtime on one thread: from the bytes of a picture to a verdict"
    models = {one.file: one for one in reversed(results)}
    parts = (
        "prepare\nms",
        "decode +\nnetwork ms",
        "whole\nms",
        "whole /\n(decode + network)",
        "mJ",
    )
    _print_figures(console, title, parts, map(_show_whole, reversed(models.values())))


def _print_figures(
    console: Console, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """A table of models by figures, in which the name of the model gives way, not the figures."""
    table = make_table(title, ("", *columns), rows)
    for column in table.columns[1:]:
        column.no_wrap = True
    console.print(table)


def _show_network(one: Result) -> tuple[str, ...]:
    measured, network = one.measured, one.measured.network
    return (
        f"{one.measured.bytes / 1e6:.2f}",
        f"{1e3 * measured.load:.0f}",
        f"{1e3 * network.median:.2f}",
        f"{1e3 * network.best:.2f}",
        f"{1e3 * network.p95:.2f}",
    )


def _show_limits(one: Result) -> tuple[str, ...]:
    measured = one.measured
    memory = "" if measured.memory is None else f"{measured.memory / 1e6:.0f}"
    return (
        f"{1e3 * one.roofline:.2f}",
        say_share(one.roofline / measured.network.median),
        f"{measured.throughput:.0f}",
        memory,
    )


def _show_whole(one: Result) -> tuple[str, ...]:
    measured = one.measured
    seconds = (measured.prepare, measured.bare, measured.whole)
    energy = "" if measured.joules is None else f"{1e3 * measured.joules:.1f}"
    return one.model, *(f"{1e3 * s.median:.2f}" for s in seconds), f"{one.overhead:.2f}", energy


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
    equal, largest = say_share(one.verdicts_equal, 1), f"{one.largest_difference:.2g}"
    return one.source, str(one.slices), equal, largest, change
