"""Times of `tumorlens view`: from drop to verdict and picture, frames while scrolling, memory.

Headless chromium draws without a graphics card (SwiftShader): a person's browser is faster. Times
are those of one drop after the page has opened; memory is of Linux (proportional shares).

    python benchmarks/viewing.py                       # a painted volume, 240 x 240 x 155
    python benchmarks/viewing.py --volume scan.nii.gz
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT / "tests")  # in place of this folder, for `viewing` is a folder there

SHAPE = (240, 240, 155)
PATIENCE = 180_000  # milliseconds
SCROLL = """async (count) => {
  const press = (key) => window.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const frame = () => new Promise(requestAnimationFrame);
  const start = performance.now();
  for (let i = 0; i < count; i++) { press(i < count / 2 ? "ArrowDown" : "ArrowUp"); await frame(); }
  return count / (performance.now() - start) * 1000;
}"""


def main() -> None:
    from viewing.browsing import visit
    from viewing.viewers import open_viewer

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--volume", type=Path, help="default: a painted one")
    parser.add_argument("--times", type=int, default=3, help="drops; the median is shown")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        volume = options.volume or paint_volume(Path(place) / "painted.nii.gz")
        shape = "x".join(map(str, nib.load(volume).shape))
        print(f"{volume.name}: {shape}, {volume.stat().st_size / 1e6:.1f} MB")
        with open_viewer() as viewer, visit(viewer.url, size=(1440, 900)) as found:
            taken = [drop(found, volume) for _ in range(options.times)]
            for number, what in enumerate(("handed in", "verdict", "first slice", "volume")):
                seconds = sorted(one[number] for one in taken)
                print(f"drop to {what}: {seconds[len(seconds) // 2]:.2f} s (of {len(seconds)})")
            for key, name in (("1", "one plane"), ("4", "three planes and 3-D")):
                found.page.keyboard.press(key)
                found.page.wait_for_timeout(1000)
                print(f"scrolling, {name}: {found.page.evaluate(SCROLL, 60):.1f} frames a second")
            heap = found.page.evaluate("performance.memory.usedJSHeapSize")
            held = {"server": measure(viewer.process.pid), "scripts of the page": heap}
            held["browser in all"] = measure_browser()
            for name, size in held.items():
                print(f"memory, {name}: {size / 1e6:.0f} MB")


def drop(found: Any, volume: Path) -> tuple[float, ...]:
    """Seconds until the file is in, the verdict and a slice are shown, the volume is drawn."""
    page = found.page
    page.evaluate("delete document.body.dataset.shown")
    jobs = page.locator(".job").count()
    start = time.perf_counter()
    found.drop(volume)
    # The file is handed in when its job begins to judge.
    ways = (
        "count => [...document.querySelectorAll('.progress')].some("
        "(one) => /judging|waiting/.test(one.textContent))"
        " || (document.querySelectorAll('.job').length > count"
        " && !document.querySelector('.progress'))",
        "count => document.querySelectorAll('.job').length > count"
        " && !document.querySelector('.progress') && document.querySelector('#verdict .word')",
        "() => document.querySelector('#first').naturalWidth > 200"
        " || document.body.dataset.shown !== undefined",
        "() => document.body.dataset.shown !== undefined",
    )
    seconds = []
    for way in ways:
        page.wait_for_function(way, arg=jobs, timeout=PATIENCE, polling=10)
        seconds.append(time.perf_counter() - start)
    return tuple(seconds)


def paint_volume(path: Path) -> Path:
    """A painted head with a bright spot, whose slices differ as a head's do."""
    from brains import paint_brain

    columns, rows, count = SHAPE
    whole = paint_brain(5, columns).astype(np.float32)
    y, x = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    volume = np.zeros((count, rows, columns), np.int16)
    for number in range(count):
        reach = np.sqrt(max(0.0, 1 - (2 * number / count - 1) ** 2))
        volume[number] = np.where(np.hypot(x, y) < reach, whole, 0)
    volume[70:90, 90:115, 130:160] = 240
    nib.save(nib.Nifti1Image(volume.transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    return path


def measure(process: int) -> int:
    """Bytes of memory that a process holds, its share of what it shares."""
    told = Path(f"/proc/{process}/smaps_rollup").read_text()
    found = re.search(r"^Pss: +(\d+) kB", told, re.M)
    return int(found[1]) * 1024 if found else 0


def measure_browser() -> int:
    """Bytes that all processes of the browser hold together: those below this one."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:
            continue
        name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :]
        parents[int(status.parent.name)] = (int(rest.split()[1]), name)
    total = 0
    for process, (parent, name) in parents.items():
        above = parent
        while above in parents and above != os.getpid():
            above = parents[above][0]
        if above == os.getpid() and name.startswith("chrom"):
            try:
                total += measure(process)
            except OSError:
                continue
    return total


if __name__ == "__main__":
    main()
