"""What does a verdict of a study cost, against bare reading and bare network?

Takes a volume (NIfTI) and prints the time of the processor for reading its slices, for the network
on as many pictures, and for the way from the file to the verdict of its study, the least of some
rounds each; and the ratio of the last to the sum of the first two. Time of the processor and not of
the clock, so that other work on the machine counts less.

    python benchmarks/study_cost.py VOLUME.nii.gz [--model M] [--rounds 5]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tumorlens.detector import Detector
from tumorlens.imaging.readers import read_slices
from tumorlens.studies.prediction import predict_studies

BATCH = 8


def measure(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the processor, all threads together: the least of the rounds."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volume", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    detector = Detector(options.model, threads=2)
    size = detector.card.preprocess.size
    images = np.random.default_rng(0).random((BATCH, 1, size, size), np.float32)
    count = len(list(read_slices(options.volume)))
    predict_studies(options.volume, model=detector)  # libraries are loaded once
    reading = measure(lambda: list(read_slices(options.volume)), options.rounds)
    network = measure(
        lambda: [detector.session.run(images) for _ in range(-(-count // BATCH))], options.rounds
    )
    slices = measure(lambda: detector.predict(options.volume), options.rounds)
    study = measure(lambda: predict_studies(options.volume, model=detector), options.rounds)
    print(
        f"{count} slices: reading {reading:.2f} s, network {network:.2f} s, slices {slices:.2f} s"
    )
    print(f"study {study:.2f} s: {study / (reading + network):.2f} times reading and network")


if __name__ == "__main__":
    main()
