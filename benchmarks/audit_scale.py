"""What does an audit cost at 1,000, 10,000 and 100,000 pictures, and how large is its page?

    python benchmarks/audit_scale.py DATA... [--counts 1000 10000] [--model default]

Pictures of the manifests DATA are changed in random ways (benchmarks/copying.py) and written into a
temporary folder until there are enough of them; half of the smallest count are originals. Each
count runs in a process of its own, in one thread. Prints seconds of the processor (which other
programs hardly disturb) and of the clock, the memory at its highest, and the size of the page.
Writing the pictures is not counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from copying import CHANGES, load_picture

from tumorlens.auditing.checks import audit_manifest
from tumorlens.data.manifest import merge_manifests, read_data, read_manifest
from tumorlens.data.rows import Manifest
from tumorlens.exporting.benchmarking.timing import read_peak_memory
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session
from tumorlens.report.audits.audit_pages import build_audit_page
from tumorlens.report.pages import render_html

USUAL = [name for name in CHANGES if name not in ("equalised", "gamma 0.6", "cut 0-12 % a side")]


def make_set(manifest: Manifest, folder: Path, count: int, originals: int) -> Path:
    """A folder of ``count`` pictures with a manifest; masks and boxes are left out."""
    rng = np.random.default_rng(1)
    rows = [manifest.rows[n] for n in rng.permutation(len(manifest))[:originals]]
    made = []
    for number in range(count):
        row = rows[number % len(rows)]
        picture = load_picture(row.path)
        if number >= len(rows):
            picture = CHANGES[USUAL[int(rng.integers(len(USUAL)))]](picture, rng)
        path = folder / f"{number:06}.png"
        picture.save(path, compress_level=1)
        plain = {"frame": None, "mask": None, "boxes": (), "position": None, "split": ""}
        made.append(replace(row, path=path, group=f"g{number}", **plain))
    replace(manifest, rows=tuple(made), members={}).write(folder / "manifest.csv")
    return folder / "manifest.csv"


def measure(file: Path, model: str) -> None:
    manifest = read_manifest(file)
    session = Session(find_model(model), threads=1) if model else None
    clock, processor = time.perf_counter(), time.process_time()
    audit = audit_manifest(manifest, session=session)
    page = render_html(build_audit_page(audit))
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    memory = (read_peak_memory() or 0) / 2**30
    print(
        f"{len(manifest):8} pictures  {processor:8.1f} s of processor  "
        f"{1e3 * processor / len(manifest):6.2f} ms each  {clock:8.1f} s of clock  "
        f"{memory:5.2f} GiB  page {len(page) / 1e6:5.2f} MB  {len(audit.findings)} findings",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--model", default="", help="also ask this model")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        measure(asked.data[0], asked.model)
        return
    manifest = merge_manifests([read_data(one) for one in asked.data], shared_groups=True)
    for count in asked.counts:
        with tempfile.TemporaryDirectory() as folder:
            file = make_set(manifest, Path(folder), count, min(count, 4000) // 2)
            words = [str(file), "--alone", "--model", asked.model]
            subprocess.run([sys.executable, __file__, *words], check=True)


if __name__ == "__main__":
    main()
