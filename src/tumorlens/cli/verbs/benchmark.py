"""``tumorlens benchmark``: how fast models run on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tumorlens.cli import words
from tumorlens.cli.pace import Pulse
from tumorlens.exporting.benchmarking.backends import BACKENDS
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.writing import check_results, write_text

if TYPE_CHECKING:
    pass

__all__ = ["command"]

MOST_THREADS, MOST_SECONDS = 256, 60.0


@click.command()
@click.argument("models", nargs=-1, metavar="[MODEL...]")
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    type=click.Choice(list(BACKENDS)),
    help="Only this one. Repeatable.  [default: every one that is installed]",
)
@click.option(
    "--threads",
    "threads",
    multiple=True,
    type=click.IntRange(min=1, max=MOST_THREADS),
    help="Threads of the network. Repeatable.  [default: one, and one for each core]",
)
@click.option(
    "--picture",
    type=words.FILE,
    metavar="FILE",
    help="A picture to judge.  [default: a painted JPEG of 512 x 512]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.05, max=MOST_SECONDS),
    default=1.0,
    show_default=True,
    help="For each timing, about.",
)
@click.option("--plot", type=words.FILE, metavar="FILE.png", help="Also draw a picture.")
@words.output_option
@words.overwrite_option
@words.voice_options
def command(
    *,
    models: tuple[str, ...],
    runtimes: tuple[str, ...],
    threads: tuple[int, ...],
    picture: Path | None,
    seconds: float,
    plot: Path | None,
    output: Path | None,
    overwrite: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Measure MODEL... (the bundled one if none is named) on this machine, for each backend.

    Each is measured in a process of its own: size, time to load, latency of one slice (median and
    95th percentile), slices a second in batches of 8, peak memory, and the whole way from the bytes
    of a JPEG to a verdict against bare decoding and the network alone. "Roofline" is the time that
    the network's multiply-adds would take at this machine's measured peak. For LiteRT and
    ExecuTorch the model is exported first; ExecuTorch always takes all cores.
    """
    from tumorlens.exporting.benchmarking import speed
    from tumorlens.report.exports.export_tables import print_benchmark
    from tumorlens.report.exports.speed_plots import plot_benchmark
    from tumorlens.report.tables import open_console

    voice = words.Voice(quiet, verbose)
    check_inputs_survive((), output, plot)
    words.check_json(output)
    check_results((output, plot), overwrite=overwrite)
    with Pulse(voice) as pulse:
        benchmark = speed.benchmark(
            *models,
            runtimes=runtimes,
            threads=threads,
            picture=picture,
            seconds=seconds,
            progress=pulse.advance,
        )
    if output is not None:
        write_text(output, benchmark.to_json(), overwrite=overwrite)
    if plot is not None:
        plot_benchmark(benchmark, plot, overwrite=overwrite)
    if not quiet:
        print_benchmark(open_console(), benchmark)
    return 0
