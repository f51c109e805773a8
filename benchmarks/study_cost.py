"""How much time does the verdict of a study take, compared with reading and the network alone?

Takes a volume (NIfTI) and measures reading its slices, the network on as many pictures, and the way
from the file to the verdict of its study. Each round measures all of them one after the other, so
that other work on the machine slows all of them equally. Prints the medians, and of each round's
ratio of the last to the sum of the first two: the median with its 95 % interval (order statistic),
by the clock and by the time of the processor, all threads together. With --shape the volume is
enlarged first.

    python benchmarks/study_cost.py VOLUME.nii.gz [--shape 240 240 155] [--model M] [--rounds 15]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.stats import binom
from study_memory import enlarge

from tumorlens.detector import Detector
from tumorlens.imaging.readers import read_slices
from tumorlens.predicting.predictions import predict_studies

BATCH = 8
CLOCKS = {"clock": time.perf_counter, "processor": time.process_time}


def measure(work: Callable[[], object]) -> list[float]:
    """Seconds of the clock and of the processor."""
    start = [clock() for clock in CLOCKS.values()]
    work()
    return [clock() - since for clock, since in zip(CLOCKS.values(), start, strict=True)]


def bound_median(values: np.ndarray) -> tuple[float, float]:
    """Of the median, 95 %: the n-th lowest and the n-th highest value."""
    rank = int(binom.ppf(0.025, len(values), 0.5))
    ordered = np.sort(values)
    return float(ordered[max(rank - 1, 0)]), float(
        ordered[min(len(values) - rank, len(values) - 1)]
    )


def run_rounds(volume: Path, detector: Detector, rounds: int) -> tuple[int, np.ndarray]:
    """Number of slices, and (rounds, 3, 2) seconds: reading, network, study; by both clocks."""
    size = detector.card.preprocess.size
    images = np.random.default_rng(0).random((BATCH, 1, size, size), np.float32)
    count = len(list(read_slices(volume)))
    batches = -(-count // BATCH)
    works: list[Callable[[], object]] = [
        lambda: list(read_slices(volume)),
        lambda: [detector.session.run(images) for _ in range(batches)],
        lambda: predict_studies(volume, model=detector),
    ]
    for work in works:
        work()  # libraries are loaded once
    return count, np.array([[measure(work) for work in works] for _ in range(rounds)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volume", type=Path)
    parser.add_argument("--shape", type=int, nargs=3)
    parser.add_argument("--model", default="default")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    detector = Detector(options.model, threads=2)
    with tempfile.TemporaryDirectory() as folder:
        volume = options.volume
        if options.shape:
            volume = Path(folder) / "volume.nii.gz"
            nib.save(enlarge(options.volume, tuple(options.shape)), volume)
        count, seconds = run_rounds(volume, detector, options.rounds)
    for column, name in enumerate(CLOCKS):
        reading, network, study = seconds[:, :, column].T
        ratio = study / (reading + network)
        low, high = bound_median(ratio)
        print(
            f"{count} slices, {name}: reading {np.median(reading):.2f} s, network "
            f"{np.median(network):.2f} s, study {np.median(study):.2f} s; "
            f"{np.median(ratio):.2f} times ({low:.2f} to {high:.2f}) over {options.rounds} rounds"
        )


if __name__ == "__main__":
    main()
