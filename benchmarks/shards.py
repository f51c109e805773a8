"""What shards cost, how a run grows, and what is lost when something breaks.

    python benchmarks/shards.py compare --slices 20000 --folder SCRATCH
    python benchmarks/shards.py growth --slices 1000 10000 --folder SCRATCH
    python benchmarks/shards.py failures --folder SCRATCH [--slices 1500]

``compare``: one process with two threads against ``predict --engine local --shards 2`` with one
thread each, on the same slices, one after the other. The start (a run over one slice a process) is
taken apart, and the records are compared byte for byte but for ``seconds``. ``growth``: time and
largest memory of one process by the number of slices; with a tiny ``--model`` it shows what a run
keeps of each slice sooner. ``failures``: a killed worker, a killed
driver, a full disk (a small tmpfs as root, else a limit on the size of files), a shard that never
starts: how many finished records were lost, and what ``merge`` says. A record counts as lost if its
line, with its seconds, is not in the result: then its slice was judged a second time.

The slices are pictures of examples/ at 256 x 256, each shifted and scaled in its own way. Linux.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
COMMAND = (sys.executable, "-m", "tumorlens")
SIZE = 256


def write_slices(folder: Path, count: int) -> Path:
    """So many JPEGs in folders of a thousand; those that are there already stay."""
    sources = [
        np.asarray(Image.open(path).convert("L").resize((SIZE, SIZE)), np.float32)
        for path in sorted(EXAMPLES.glob("*.png"))
    ]
    place = folder / f"slices-{count}"
    for index in range(count):
        path = place / f"{index // 1000:03}" / f"{index:06}.jpg"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        source = sources[index % len(sources)]
        pixels = np.roll(source, (index // 6 % 9 - 4, index // 54 % 9 - 4), (0, 1))
        pixels = pixels * (0.7 + 0.3 * (index // 486 % 50) / 50)
        Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)
    return place


@dataclass
class Cost:
    """What a command cost: seconds by the clock and of processors, largest memory of a process."""

    seconds: float
    processor: float
    peak_mib: float


class Peaks:
    """The largest memory of the processes whose command line names a folder."""

    def __init__(self, folder: Path) -> None:
        self.name = os.fsencode(folder)
        self.peak = 0.0

    def look(self) -> None:
        for place in find_processes(self.name):
            try:
                status = (place / "status").read_text()
            except OSError:
                continue
            for kib in re.findall(r"VmHWM:\s+(\d+)", status):
                self.peak = max(self.peak, int(kib) / 1024)


def find_processes(name: bytes, kind: bytes = b"") -> Iterator[Path]:
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if name in words and kind in words:
            yield place


def measure(words: list[str], output: Path) -> Cost:
    """Run ``tumorlens`` to its end."""
    shutil.rmtree(f"{output}.parts", ignore_errors=True)
    peaks = Peaks(output)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    process = subprocess.Popen([*COMMAND, *words, "--output", str(output), "--overwrite"])
    while process.poll() is None:
        peaks.look()
        time.sleep(0.2)
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"tumorlens ended with {process.returncode}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, used, peaks.peak)


def one_process(slices: Path, threads: int = 2) -> list[str]:
    return ["predict", str(slices), "--threads", str(threads), "--quiet"]


def two_shards(slices: Path) -> list[str]:
    engine = ["--engine", "local", "--shards", "2", "--at-once", "2", "--threads", "1"]
    return ["predict", str(slices), *engine, "--quiet"]


def timeless(path: Path) -> bytes:
    return re.sub(rb'"seconds": [^,]+', b'"seconds"', path.read_bytes())


def compare(folder: Path, count: int) -> None:
    slices, few = write_slices(folder, count), write_slices(folder, 2)
    result = folder / "result"
    result.mkdir(exist_ok=True)
    start = measure(one_process(few), result / "few.jsonl")
    start_of_two = measure(two_shards(few), result / "few.jsonl")
    one = measure(one_process(slices), result / "one.jsonl")
    two = measure(two_shards(slices), result / "two.jsonl")
    same = timeless(result / "one.jsonl") == timeless(result / "two.jsonl")
    print(f"{count:,} slices, {SIZE} x {SIZE}, load {os.getloadavg()[0]:.1f} at the end")
    print("| | seconds | of processors | slices a second | start | largest process |")
    print("|---|---|---|---|---|---|")
    for name, cost, first in (
        ("one process, two threads", one, start),
        ("two shards, one thread each", two, start_of_two),
    ):
        print(
            f"| {name} | {cost.seconds:.1f} | {cost.processor:.1f} | {count / cost.seconds:.1f} "
            f"| {first.seconds:.1f} s, of processors {first.processor:.1f} "
            f"| {cost.peak_mib:.0f} MiB |"
        )
    for what in ("seconds", "processor"):
        ours, theirs, start_ours, start_theirs = (
            getattr(cost, what) for cost in (two, one, start_of_two, start)
        )
        apart = (ours - start_ours) / (theirs - start_theirs)
        print(f"two shards / one process, {what}: {ours / theirs:.3f}, start apart {apart:.3f}")
    print(f"records equal byte for byte but for seconds: {same}")


def growth(folder: Path, counts: list[int], model: str) -> None:
    result = folder / "result"
    result.mkdir(exist_ok=True)
    print("| slices | seconds | of processors | slices a second | largest memory | records |")
    print("|---|---|---|---|---|---|")
    for count in counts:
        output = result / f"growth-{count}.jsonl"
        cost = measure([*one_process(write_slices(folder, count)), "--model", model], output)
        size = output.stat().st_size / 2**20
        print(
            f"| {count:,} | {cost.seconds:.1f} | {cost.processor:.1f} "
            f"| {count / cost.seconds:.1f} | {cost.peak_mib:.0f} MiB | {size:.1f} MiB |",
            flush=True,
        )


# What is lost


class Broken:
    """A run that something happens to."""

    def __init__(self, slices: Path, output: Path, *options: str) -> None:
        self.output = output
        self.parts = output.with_name(output.name + ".parts")
        shutil.rmtree(self.parts, ignore_errors=True)
        output.unlink(missing_ok=True)
        self.words = [*COMMAND, "predict", str(slices), "--engine", "local", "--threads", "1"]
        self.words += [*options, "--output", str(output)]
        self.before: set[str] = set()

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen([*self.words, *more], stderr=subprocess.PIPE, text=True)

    def list_lines(self) -> set[str]:
        """The records that are finished, without their place."""
        lines: set[str] = set()
        for path in self.parts.glob("*.jsonl*"):
            if path.name.endswith((".jsonl", ".partial")) and path.is_file():
                whole = path.read_text().rpartition("\n")[0].splitlines()
                lines |= {line.rpartition(', "place"')[0] for line in whole}
        return lines

    def wait_for_records(self, count: int) -> None:
        end = time.monotonic() + 300
        while not self.parts.exists() or len(self.list_lines()) < count:
            if time.monotonic() > end:
                raise SystemExit("no records came")
            time.sleep(0.2)

    def kill_worker(self) -> None:
        kind = b"submitit.core._submit"
        workers = [int(one.name) for one in find_processes(os.fsencode(self.parts), kind)]
        os.kill(workers[0], signal.SIGKILL)

    def remember(self) -> None:
        self.before = self.list_lines()

    def count_lost(self) -> str:
        result = {line.removesuffix("}") for line in self.output.read_text().splitlines()}
        return f"{len(self.before - result)} of {len(self.before):,} finished"

    def merge(self) -> str:
        """What ``merge`` says of the parts as they are."""
        files = [str(self.parts / f"{number}.jsonl") for number in (1, 2)]
        target = str(self.output) + ".merged"
        words = [*COMMAND, "merge", *files, "--output", target, "--overwrite"]
        told = subprocess.run(words, capture_output=True, text=True, check=False)
        return f"(exit code {told.returncode}) " + shorten(told.stderr)


def shorten(text: str) -> str:
    """A message in one line, with the names of files instead of their paths."""
    lines = " / ".join(line.strip() for line in text.strip().splitlines())
    return re.sub(r"(?<!\S)/\S*/(\S+)", r"\1", lines)


def finish(run: Broken) -> str:
    told = run.start("--resume").communicate()[1]
    return shorten(told)


def kill_worker(slices: Path, folder: Path) -> tuple[str, ...]:
    run = Broken(slices, folder / "worker.jsonl", "--shards", "2")
    driver = run.start()
    run.wait_for_records(60)
    run.kill_worker()
    run.remember()
    said = run.merge()
    told = shorten(driver.communicate()[1])
    return "a worker is killed (SIGKILL)", run.count_lost(), said, told


def kill_driver(slices: Path, folder: Path) -> tuple[str, ...]:
    run = Broken(slices, folder / "driver.jsonl", "--shards", "2")
    driver = run.start()
    run.wait_for_records(60)
    driver.kill()
    driver.wait()
    run.remember()
    said = run.merge()
    told = finish(run)
    return "the driver is killed (SIGKILL); started again", run.count_lost(), said, told


def never_start(slices: Path, folder: Path) -> tuple[str, ...]:
    run = Broken(slices, folder / "never.jsonl", "--shards", "2", "--at-once", "1")
    driver = run.start()
    run.wait_for_records(60)
    driver.kill()
    driver.wait()
    while list(find_processes(os.fsencode(run.parts))):
        time.sleep(0.2)
    run.remember()
    said = run.merge()
    told = finish(run)
    return "a shard never starts; started again", run.count_lost(), said, told


def fill_disk(slices: Path, folder: Path) -> tuple[str, ...]:
    with small_disk(folder) as (place, limit, make_room):
        run = Broken(slices, place / "full.jsonl", "--shards", "2")
        driver = subprocess.Popen(
            run.words, stderr=subprocess.PIPE, text=True, preexec_fn=limit  # noqa: PLW1509 - one thread
        )  # fmt: skip
        first = shorten(driver.communicate()[1])
        run.remember()
        said = run.merge()
        make_room()
        finish(run)
        how = "tmpfs" if place != folder else "limit on files"
        return (
            f"the disk is full ({how}); room is made, started again",
            run.count_lost(),
            said,
            first,
        )


@contextmanager
def small_disk(
    folder: Path,
) -> Iterator[tuple[Path, Callable[[], None], Callable[[], None]]]:
    """A folder on a disk of 600 kB; what else limits a process; what makes room."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield (
            folder,
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000,) * 2),
            lambda: None,
        )
        return
    grow = ["mount", "-o", "remount,size=1g", str(place)]
    try:
        yield place, lambda: None, lambda: subprocess.run(grow, check=True) and None
    finally:
        subprocess.run(["umount", str(place)], check=True)


def failures(folder: Path, count: int) -> None:
    slices = write_slices(folder, count)
    result = folder / "broken"
    result.mkdir(exist_ok=True)
    print(f"{count:,} slices, two shards of the local engine")
    print("| what breaks | records lost | `merge` says, as it is | the run says |")
    print("|---|---|---|---|")
    for trial in (kill_worker, kill_driver, never_start, fill_disk):
        print("| " + " | ".join(trial(slices, result)) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["compare", "growth", "failures"])
    parser.add_argument("--folder", type=Path, required=True, help="for slices and results")
    parser.add_argument("--slices", type=int, nargs="+", default=[1500])
    parser.add_argument("--model", default="default", help="of growth; a small one shows memory")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.what == "growth":
        growth(given.folder, given.slices, given.model)
    else:
        {"compare": compare, "failures": failures}[given.what](given.folder, given.slices[0])


if __name__ == "__main__":
    main()
