"""How fast models run on this machine, and how far that is from what it could do."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np

from tumorlens.arguments import LISTED_COUNTS, check_arguments
from tumorlens.errors import InputError, UsageError
from tumorlens.exporting.benchmarking.arithmetic import count_multiply_adds
from tumorlens.exporting.benchmarking.backends import BACKENDS, find_backends
from tumorlens.exporting.benchmarking.processors import Machine, describe_machine, measure_peak
from tumorlens.exporting.benchmarking.trial import Measured, Trial
from tumorlens.imaging.codecs.sandbox import Lost, Sandbox, Unavailable
from tumorlens.imaging.files.encoding import decode_bare, encode_jpeg
from tumorlens.imaging.readers import read_object
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session
from tumorlens.opening import open_regular
from tumorlens.optional import load
from tumorlens.progress import Progress, count_up, stay_silent
from tumorlens.version import __version__
from tumorlens.workers import available_cores

__all__ = [
    "Benchmark",
    "Result",
    "benchmark",
    "benchmark_models",
    "paint_picture",
    "plan_trials",
    "read_picture",
]

BENCHMARK_SCHEMA = 1
_ADVICE = "give a JPEG, PNG, TIFF, BMP or WebP of a slice"
_HANG = 600.0  # seconds after which a trial counts as hanging


class Result(msgspec.Struct, frozen=True):
    """One model in one backend with a number of threads.

    Attributes:
        model: its name and version.
        file: that was measured, or exported to be measured.
        sha256: of it.
        runtime: the backend that ran it.
        threads: of the network.
        multiply_adds: for one slice, by the numbers computed with.
        roofline: seconds that these take at the measured peak of this machine.
        measured: what was measured.
    """

    model: str
    file: str
    sha256: str
    runtime: str
    threads: int
    multiply_adds: dict[str, int]
    roofline: float
    measured: Measured

    @property
    def overhead(self) -> float:
        """The whole slice over bare decoding and the network alone."""
        return self.measured.whole.median / self.measured.bare.median


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """All results, and what they were measured on.

    Attributes:
        machine: where.
        peaks: ``float32`` and ``int8`` -> threads -> multiply-adds a second.
        results: in the order measured.
    """

    schema: int = BENCHMARK_SCHEMA
    kind: str = "benchmark"
    tumorlens: str = __version__
    machine: Machine
    peaks: dict[str, dict[int, float]]
    results: list[Result]

    def to_json(self) -> str:
        """Readable JSON, keys in the order of the schema."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode() + "\n"


@check_arguments(threads=LISTED_COUNTS)
def benchmark(
    *models: str | os.PathLike[str],
    runtimes: Sequence[str] = (),
    threads: Sequence[int] = (),
    picture: str | os.PathLike[str] | None = None,
    seconds: float = 1.0,
    progress: Progress | None = None,
) -> Benchmark:
    """Measure how fast models run on this machine, each in a process of its own.

    Args:
        models: names of the registry or ``.onnx`` files; ``default`` if none is given.
        runtimes: names of backends, as in `exporting.benchmarking.backends.BACKENDS`; by default
            all that are installed.
        threads: numbers of threads for the network; by default one, and one for each core.
        picture: a file to judge; by default a painted JPEG of 512 x 512 pixels.
        seconds: for each timing, about.
        progress: called with (what is going on, trials done, trials in all).

    Returns:
        Size, seconds to load and to judge, slices a second and memory of each model, with each
        backend and number of threads.

    Raises:
        ModelFileError: a model is unknown, or its file breaks the contract.
        UsageError: nothing is left to measure, or a backend failed on a model.
        MissingExtra: a backend is not installed.
    """
    unknown = sorted(set(runtimes) - set(BACKENDS))
    if unknown:
        raise UsageError(
            f"`runtimes={unknown[0]}`: unknown backend; expected one of {', '.join(BACKENDS)}"
        )
    trials = plan_trials(
        [find_model(Path(one) if isinstance(one, os.PathLike) else one) for one in models]
        or [find_model("default")],
        runtimes=tuple(runtimes) or tuple(find_backends()),
        threads=sorted(set(threads or (1, available_cores()))),
        picture=paint_picture() if picture is None else read_picture(Path(picture)),
        seconds=seconds,
    )
    return benchmark_models(trials, count_up(progress or stay_silent, "measuring", len(trials)))


def plan_trials(
    paths: Sequence[Path],
    *,
    runtimes: Sequence[str],
    threads: Sequence[int],
    picture: bytes,
    seconds: float = 1.0,
) -> list[Trial]:
    """Each model in each backend with each number of threads that it takes.

    A backend that wants a format of its own is given an export of the model, so it measures no
    model that is an export already.

    Args:
        paths: model files.
        runtimes: names of `BACKENDS`.
        threads: numbers of threads.
        picture: bytes of an encoded picture, from which a whole slice is judged.
        seconds: for each timing, about.

    Raises:
        ModelFileError: a file is no model.
        UsageError: nothing is left to measure, or ``seconds`` is no such number.
    """
    if not isfinite(seconds):
        raise UsageError(f"`seconds={seconds}`: expected a number of seconds")
    exports = {path for path in paths if Session(path, threads=1).card.made_from}
    trials = [
        Trial(str(path), str(path), runtime, number, picture, seconds)
        for path in paths
        for runtime in runtimes
        for number in (threads if BACKENDS[runtime].obedient else [available_cores()])
        if path not in exports or not BACKENDS[runtime].target
    ]
    if not trials:
        raise UsageError(
            f"{', '.join(runtimes)}: models are exported first, and an export cannot be exported "
            "again; give the model that it was made from"
        )
    return trials


def benchmark_models(
    trials: Sequence[Trial], progress: Callable[[int], None] = lambda count: None
) -> Benchmark:
    """Measure models in fresh processes, one after the other.

    Args:
        trials: what to measure.
        progress: told how many more trials are done.

    Raises:
        MissingExtra: a backend is not installed.
        ModelFileError: a file is no model.
        UsageError: a backend failed on a model.
    """
    for name in {one.runtime for one in trials}:
        load(BACKENDS[name].module, f"the backend {name}")
    needs = {one.model: count_multiply_adds(Path(one.model)) for one in trials}
    kinds, threads = sorted(set().union(*needs.values())), {one.threads for one in trials}
    peaks = {
        kind: {number: measure_peak(kind, number) for number in sorted(threads)} for kind in kinds
    }
    results = []
    with TemporaryDirectory(prefix="tumorlens-") as folder:
        for trial in [_lay(one, Path(folder)) for one in trials]:  # all exports first
            results.append(_run(trial, needs[trial.model], peaks))
            progress(1)
    return Benchmark(machine=describe_machine(), peaks=peaks, results=results)


def _lay(trial: Trial, folder: Path) -> Trial:
    """The trial with the file that its backend opens; exports are made once, in this process."""
    path = Path(trial.model)
    own = folder / f"{trial.runtime}-{hashlib.sha256(trial.model.encode()).hexdigest()[:16]}"
    own.mkdir(exist_ok=True)
    return msgspec.structs.replace(trial, file=str(BACKENDS[trial.runtime].lay(path, own)))


def _run(trial: Trial, need: Counter[str], peaks: dict[str, dict[int, float]]) -> Result:
    session = Session(trial.model, threads=1)
    return Result(
        model=session.card.full_name,
        file=trial.model,
        sha256=session.sha256,
        runtime=trial.runtime,
        threads=trial.threads,
        multiply_adds=dict(need),
        roofline=sum(count / peaks[kind][trial.threads] for kind, count in need.items()),
        measured=_measure(trial),
    )


def _measure(trial: Trial) -> Measured:
    process = Sandbox("tumorlens.exporting.benchmarking.trial")
    try:
        _, answer = process.call(
            {}, msgspec.json.encode(trial), seconds=_HANG, memory=None, largest=2**20
        )
    except (ValueError, Lost, Unavailable) as error:
        raise UsageError(
            f"{trial.model}: {trial.runtime} failed in a process of its own ({error}); leave it "
            "out with `runtimes=`, or install it again"
        ) from None
    finally:
        process.close()
    return msgspec.json.decode(answer, type=Measured)


def read_picture(path: Path) -> bytes:
    """The bytes of a picture to judge.

    Raises:
        UsageError: it cannot be read, or not by Pillow alone, which reading is compared with.
    """
    try:
        with open_regular(path) as stream:
            data = stream.read()
        next(iter(read_object(data)))
        decode_bare(data)
    except InputError as error:
        raise UsageError(f"{path}: cannot be judged, it {error.reason}; {_ADVICE}") from None
    except Exception as error:  # Pillow's errors share no base class
        reason = getattr(error, "strerror", None) or "Pillow alone cannot decode it"
        raise UsageError(f"{path}: cannot be read ({reason}); {_ADVICE}") from None
    return data


def paint_picture(side: int = 512) -> bytes:
    """A JPEG of something like a head, for machines that hold no slice: speed needs no patient."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius = np.hypot(x / 0.75, y / 0.9)
    head: Any = np.where(radius < 1, 110.0, 0.0) + np.where((radius > 0.93) & (radius < 1), 90, 0)
    for cx, cy, size in rng.uniform((-0.5, -0.6, 0.02), (0.5, 0.6, 0.2), (24, 3)):
        blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / size**2)
        head += rng.normal(0, 25) * blob * (radius < 1)
    head += rng.normal(0, 4, head.shape)
    return encode_jpeg(np.clip(head, 0, 255).astype(np.uint8))
