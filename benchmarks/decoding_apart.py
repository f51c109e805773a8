"""What it costs to decode every picture in a separate process.

    python benchmarks/decoding_apart.py [--folder FOLDER ...] [--threads 2] [--files 300]

`tumorlens predict` to JSON lines over folders of 512 x 512 slices, JPEG and DICOM in several
transfer syntaxes: with helper processes, and with the same decoders in the process itself, in
turns. Then it times reading alone, without the network. A ratio is the median of the ratios of the
rounds, by the clock and by processor time; the time of the helpers is included. Starting the
helpers is timed separately. Runs on Linux only, because /proc gives the time of the helpers.

Without --folder the files are made from examples/.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless, generate_uid
from throughput import clock

from tumorlens.cli.main import run
from tumorlens.imaging.codecs.apart import sandbox
from tumorlens.imaging.readers import read_slices
from tumorlens.workers import available_cores

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import builders  # noqa: E402

SIDE = 512
Work = Callable[[], object]
Seconds = tuple[float, float]
"""By the clock, and of processors."""


def find_pictures(count: int) -> Iterator[Image.Image]:
    """Pictures of the examples, one after the other, again and again."""
    sources = [Image.open(path).convert("L") for path in sorted((ROOT / "examples").glob("*.png"))]
    larger = [one.resize((SIDE, SIDE), Image.Resampling.BICUBIC) for one in sources]
    return islice(cycle(larger), count)


def write_jpegs(folder: Path, count: int) -> None:
    for index, picture in enumerate(find_pictures(count)):
        picture.save(folder / f"{index:05}.jpg", quality=90)


def write_dicoms(folder: Path, count: int, syntax: str) -> None:
    """Files of 16 bits, each a series of its own: they are read one by one, as pictures are."""
    for index, picture in enumerate(find_pictures(count)):
        pixels, uid = np.asarray(picture).astype(np.uint16) * 16, generate_uid()
        path = folder / f"{index:05}.dcm"
        builders.write_dicom(path, pixels, syntax=syntax, SeriesInstanceUID=uid)


def write_jpeg_dicoms(folder: Path, count: int) -> None:
    """The same with 8 bits, as JPEG has them."""
    for index, picture in enumerate(find_pictures(count)):
        dataset = builders.make_dataset(np.asarray(picture), SeriesInstanceUID=generate_uid())
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=90)
        dataset.PixelData = encapsulate([stream.getvalue()])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        builders.save_dataset(folder / f"{index:05}.dcm", dataset)


SETS: dict[str, Callable[[Path, int], None]] = {
    "JPEG": write_jpegs,
    "DICOM, not compressed": partial(write_dicoms, syntax=""),
    "DICOM, RLE": partial(write_dicoms, syntax=RLELossless),
    "DICOM, JPEG": write_jpeg_dicoms,
    "DICOM, JPEG 2000": partial(write_dicoms, syntax=JPEG2000Lossless),
}


def clock_here(work: Work) -> Seconds:
    with sandbox.without_processes("a benchmark compares the two"):
        return clock(work)


def compare(work: Work, rounds: int) -> Iterator[tuple[Seconds, Seconds]]:
    """Seconds here and apart, a round; which comes first takes turns."""
    clock_here(work)
    clock(work)
    for number in range(rounds):
        if number % 2:
            here = clock_here(work)
            yield here, clock(work)
        else:
            apart = clock(work)
            yield clock_here(work), apart


def predict(folder: Path, threads: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        words = ["predict", str(folder), "--threads", str(threads), "--quiet"]
        assert run([*words, "--format", "jsonl", "-o", f"{place}/records.jsonl"]) == 0


def measure(name: str, folder: Path, threads: int, rounds: int) -> None:
    """A line for `tumorlens predict`, and one for reading alone."""
    count = sum(1 for file in folder.rglob("*") if file.is_file())
    works = {
        "predict": partial(predict, folder, threads),
        "reading": lambda: sum(1 for _ in read_slices(folder)),
    }
    for what, work in works.items():
        pairs = list(compare(work, rounds))
        cells = [name, what]
        for kind in (0, 1):
            here, apart = ([pair[way][kind] for pair in pairs] for way in (0, 1))
            ratio = statistics.median(b / a for a, b in zip(here, apart, strict=True))
            cells += [f"{1000 * statistics.median(some) / count:.2f}" for some in (here, apart)]
            cells.append(f"{ratio:.3f}")
        print("| " + " | ".join(cells) + " |", flush=True)


def clock_start() -> Seconds:
    """One helper process, from nothing to its first picture."""
    with tempfile.TemporaryDirectory() as place:
        write_jpegs(Path(place), 1)
        sandbox.close()
        return clock(lambda: list(read_slices(place)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, action="append", default=[], help="of slices")
    parser.add_argument("--threads", type=int, default=min(2, available_cores()))
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # that pictures are decoded here
    start = statistics.median(clock_start()[1] for _ in range(5))
    print(f"{SIDE} x {SIDE}, {options.threads} threads, {options.rounds} rounds, load", end=" ")
    print(f"{os.getloadavg()[0]:.1f}; a helper starts in {1000 * start:.0f} ms of a processor")
    print("| folder | what | here, ms | apart, ms | ratio | here, of processors | apart | ratio |")
    print("|---" * 8 + "|", flush=True)
    for folder in options.folder:
        measure(folder.name, folder, options.threads, options.rounds)
    for name, write in () if options.folder else SETS.items():
        with tempfile.TemporaryDirectory() as place:
            write(Path(place), options.files)
            measure(name, Path(place), options.threads, options.rounds)


if __name__ == "__main__":
    main()
