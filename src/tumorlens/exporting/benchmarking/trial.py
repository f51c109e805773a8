"""One model in one backend, timed in a process of its own with its own memory and caches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.detector import Detector
from tumorlens.exporting.benchmarking.backends import BACKENDS, Runner
from tumorlens.exporting.benchmarking.timing import (
    WARM_UP,
    Timing,
    read_energy,
    read_peak_memory,
    time_calls,
)
from tumorlens.imaging.codecs.serving import Answer, Handler
from tumorlens.imaging.files.encoding import decode_bare
from tumorlens.imaging.preprocess import prepare
from tumorlens.imaging.readers import read_object

__all__ = ["Measured", "Trial", "make_handler", "run_trial"]

BATCH = 8


class Trial(msgspec.Struct, frozen=True):
    """What to measure.

    Attributes:
        model: file of the contract.
        file: that runs: the model itself, or an export of it.
        runtime: the backend, one of `BACKENDS`.
        threads: of the network.
        picture: an encoded picture.
        seconds: for each timing, about.
    """

    model: str
    file: str
    runtime: str
    threads: int
    picture: bytes
    seconds: float


class Measured(msgspec.Struct, frozen=True):
    """What was measured. Seconds, bytes, slices a second.

    Attributes:
        bytes: size of the file that ran.
        load: to open the file, its library already imported.
        network: one prepared image.
        prepare: one decoded slice.
        bare: decoding the picture plainly, then the network in ONNX Runtime, on one thread.
        whole: from the bytes of the picture to a finding, likewise.
        throughput: prepared images a second, in batches of 8.
        memory: peak of the process after single slices; None where unknown.
        joules: a slice, of the whole processor; None where unknown.
    """

    bytes: int
    load: float
    network: Timing
    prepare: Timing
    bare: Timing
    whole: Timing
    throughput: float
    memory: int | None
    joules: float | None


def run_trial(trial: Trial) -> Measured:
    """Measure in this process.

    Raises:
        TumorlensError: the model or the picture cannot be used.
    """
    file, open_ = Path(trial.file), BACKENDS[trial.runtime].open
    open_(file, trial.threads)  # imports the library, fills the system's file cache
    start = perf_counter()
    runner = open_(file, trial.threads)
    loaded = perf_counter() - start
    detector = Detector(trial.model, threads=1)
    slice_ = next(iter(read_object(trial.picture, limits=detector.limits)))
    spec = detector.card.preprocess
    image = prepare(slice_, spec).image[None]

    def run_bare() -> None:
        decode_bare(trial.picture)
        detector.session.run(image)

    network, preparing, bare, whole = time_calls(
        lambda: runner.run(image),
        lambda: prepare(slice_, spec),
        run_bare,
        lambda: detector.predict(trial.picture),
        seconds=trial.seconds,
    )
    memory = read_peak_memory()
    throughput, joules = _run_batches(runner, np.repeat(image, BATCH, axis=0), trial.seconds)
    return Measured(
        file.stat().st_size, loaded, network, preparing, bare, whole, throughput, memory, joules
    )


def _run_batches(
    runner: Runner, images: npt.NDArray[np.float32], seconds: float
) -> tuple[float, float | None]:
    before = read_energy()
    (timing,) = time_calls(lambda: runner.run(images), seconds=seconds)
    after = read_energy()
    slices = len(images) * (timing.calls + WARM_UP)
    joules = None if before is None or after is None else max(0.0, after - before) / slices
    return len(images) / timing.median, joules


def make_handler() -> Handler:
    """What a `Sandbox` answers with: trials in, what was measured out."""
    return _answer


def _answer(_: Mapping[str, Any], request: bytes) -> Answer:
    return {}, msgspec.json.encode(run_trial(msgspec.json.decode(request, type=Trial)))
