"""What does the search for copies cost at 1,000, 10,000 and 100,000 pictures?

    python benchmarks/copies_scale.py DATA... [--counts 1000 10000 100000]

Pictures of the manifests DATA are copied in random ways until there are enough of them, and go
through `search_copies` one by one as they are made. Each count runs in one thread of a process of
its own. Prints seconds of the processor (which other programs do not disturb) and of the clock, the
memory at its highest, and the share of copies found. Making the copies is taken off the time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from copying import CHANGES, as_slice, load_picture

from tumorlens.data.duplicates.copy_search import search_copies
from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.exporting.benchmarking.timing import read_peak_memory
from tumorlens.imaging.slices import Slice

USUAL = [name for name in CHANGES if name not in ("equalised", "gamma 0.6", "cut 0-12 % a side")]


class Maker:
    """Makes pictures, and knows which original each one shows and how long making took."""

    def __init__(self, paths: list[Path], count: int, seed: int = 0) -> None:
        self.paths, self.count = paths, count
        self.rng = np.random.default_rng(seed)
        self.seconds = 0.0
        self.shown = [number % len(paths) for number in range(count)]

    def __iter__(self) -> Iterator[Slice]:
        for number, shown in enumerate(self.shown):
            start = time.process_time()
            picture = load_picture(self.paths[shown])
            if number >= len(self.paths):
                name = USUAL[int(self.rng.integers(len(USUAL)))]
                picture = CHANGES[name](picture, self.rng)
            slice_ = as_slice(picture)
            self.seconds += time.process_time() - start
            yield slice_


def measure(paths: list[Path], count: int) -> None:
    maker = Maker(paths, count)
    clock, processor = time.perf_counter(), time.process_time()
    clusters = search_copies(maker).clusters
    clock = time.perf_counter() - clock
    processor = time.process_time() - processor - maker.seconds
    memory = (read_peak_memory() or 0) / 2**30
    copies = np.arange(len(paths), count)
    found = (
        (clusters[copies] == clusters[np.array(maker.shown)[copies]]).mean() if copies.size else 1
    )
    print(
        f"{count:8} pictures  {processor:8.1f} s of processor  "
        f"{1e3 * processor / count:6.2f} ms each  {clock:8.1f} s of clock  "
        f"{memory:5.2f} GiB  {found:6.1%} of copies found",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not asked.alone:
        for count in asked.counts:
            words = [*map(str, asked.data), "--alone", "--counts", str(count)]
            subprocess.run([sys.executable, __file__, *words], check=True)
        return
    manifest = merge_manifests([read_data(one) for one in asked.data], shared_groups=True)
    paths = sorted({row.path for row in manifest.rows})
    # Half of the pictures are originals, where the sets hold so many.
    order = np.random.default_rng(1).permutation(len(paths))[: max(1, asked.counts[0] // 2)]
    measure([paths[number] for number in order], asked.counts[0])


if __name__ == "__main__":
    main()
