"""Time and memory of `tumorlens evaluate --scores` at 1,000, 10,000 and 100,000 slices.

Each size runs in a process of its own on a table with four classes, positions and two sources,
20 slices a patient, and 1,000 bootstrap replicates. It prints seconds of the
processor, seconds by the clock (which depend on what else runs) and the largest memory of the
process, and both beside those of the first size.

    python benchmarks/evaluate_scale.py [--sizes 1000 10000 100000] [--alone]

With ``--alone`` every slice is its own group: the most groups that a size can have.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CLASSES = ("no_tumor", "glioma", "meningioma", "pituitary")
RUN = "import sys; from tumorlens.cli.main import run; sys.exit(run(sys.argv[1:]))"


def write_table(path: Path, size: int, slices: int) -> None:
    """A scores.csv as `train --folds` writes it."""
    rng = np.random.default_rng(0)
    chances = [f"probability_{name}" for name in CLASSES]
    header = ["path", "source", "group", "sequence", "label", "tumor_class", "position",
              "tumor_probability", *chances, "unfamiliarity", "low", "middle", "high"]  # fmt: skip
    shift = rng.normal(0, 1, size // slices + 1)
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(header)
        for i in range(size):
            group = i // slices
            ill = rng.random() < 0.4
            p = 1 / (1 + np.exp(-(3 * ill - 1.5 + shift[group] + rng.normal())))
            parts = rng.dirichlet((3, 1, 1)) * p
            kind = CLASSES[1 + int(rng.integers(3))] if ill else ""
            label = "tumor" if ill else "no_tumor"
            table.writerow(
                [f"{i}.png", "ab"[group % 2], f"patient-{group}", "FLAIR", label, kind,
                 f"{rng.random():.4f}", f"{p:.6f}", f"{1 - p:.6f}", *(f"{x:.6f}" for x in parts),
                 f"{rng.gamma(2, 0.2):.4f}", 0.3, 0.5, 0.7]
            )  # fmt: skip


def run_evaluate(table: Path) -> tuple[float, float, float]:
    """Seconds of the processor and of the clock, and MiB of the largest child so far."""
    start, used = time.perf_counter(), _processor_seconds()
    subprocess.run([sys.executable, "-c", RUN, "evaluate", "--scores", str(table), "--quiet",
                    "--output", str(table.with_suffix(".json"))], check=True)  # fmt: skip
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return _processor_seconds() - used, time.perf_counter() - start, memory


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--alone", action="store_true", help="every slice its own group")
    options = parser.parse_args()
    first: tuple[float, float] | None = None
    with tempfile.TemporaryDirectory() as folder:
        # Smallest first: the largest memory of all children is then that of the last.
        for size in sorted(options.sizes):
            table = Path(folder) / f"{size}.csv"
            write_table(table, size, 1 if options.alone else 20)
            seconds, clock, memory = run_evaluate(table)
            first = first or (seconds, memory)
            print(
                f"{size:7,} slices: {seconds:7.1f} s ({seconds / first[0]:5.1f} x), clock "
                f"{clock:6.1f} s, {memory:6.0f} MiB ({memory / first[1]:4.1f} x)",
                flush=True,
            )


if __name__ == "__main__":
    main()
