"""A picture of a benchmark: what one slice takes, beside what the processor could do."""

from __future__ import annotations

from pathlib import Path

from tumorlens.digits import say_count
from tumorlens.exporting.benchmarking.speed import Benchmark, Result
from tumorlens.report.drawing import TRAINING, VALIDATION, open_picture, save_picture

__all__ = ["plot_benchmark"]


def plot_benchmark(benchmark: Benchmark, picture: Path, *, overwrite: bool = False) -> None:
    """Draw the latency of each trial, from the median to the 95th percentile, over its roofline.

    Args:
        benchmark: at least one result.
        picture: PNG to write.
        overwrite: replace it.
    """
    results = benchmark.results
    figure = open_picture(8, 1.8 + 0.42 * len(results))
    axes = figure.subplots()
    for line, one in enumerate(results):
        network = one.measured.network
        axes.barh(line, 1e3 * network.median, 0.6, color=TRAINING, alpha=0.85)
        axes.plot([1e3 * network.median, 1e3 * network.p95], [line, line], color=TRAINING)
        axes.plot([1e3 * one.roofline] * 2, [line - 0.3, line + 0.3], color=VALIDATION, lw=3)
        axes.text(1e3 * network.p95, line, f"  {1e3 * network.median:.1f} ms", va="center")
    axes.set_yticks(range(len(results)), [_name(one) for one in results])
    axes.set(
        ylim=(len(results) - 0.5, -0.5),
        xlim=(0, 1.25e3 * max(one.measured.network.p95 for one in results)),
        xlabel="ms a slice",
    )
    figure.suptitle(
        f"{benchmark.machine.processor}, {', '.join(benchmark.machine.instructions)}\n"
        "network alone: bar to the median, line to the 95th percentile; red: roofline",
        fontsize=10,
    )
    axes.spines[["top", "right"]].set_visible(False)
    save_picture(figure, picture, overwrite=overwrite)


def _name(one: Result) -> str:
    threads, size = say_count(one.threads, "thread"), one.measured.bytes / 1e6
    return f"{one.model}\n{one.runtime}, {threads}, {size:.2f} MB"
