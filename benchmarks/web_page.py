"""Times of the page of `tumorlens web`: first verdict of a first visit, a volume, memory.

Headless chromium, one thread of WebAssembly, every file from a server on loopback and nothing
cached. Needs chromium, playwright and, once, the npm registry.

    python benchmarks/web_page.py --times 5 --volume head.nii.gz

Without --volume a painted one of 240 x 240 x 155 is judged.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from tumorlens.viewing.web.site import write_web_page

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
DONE = "body[data-state=done]"
SECONDS = 600


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, in silence."""

    extensions_map = {  # noqa: RUF012
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """A visit that ends early breaks off what its service worker still loads."""
        with suppress(ConnectionError):
            super().copyfile(source, outputfile)

    def log_message(self, *words: object) -> None:
        """Quiet."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Address of a folder on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def paint_volume(path: Path) -> Path:
    """A head of noise, as large as those of the public challenges."""
    import nibabel as nib

    rng = np.random.default_rng(0)
    x, y, z = np.ogrid[-1:1:240j, -1:1:240j, -1:1:155j]
    inside = (x / 0.7) ** 2 + (y / 0.85) ** 2 + (z / 0.9) ** 2 < 1
    head = np.where(inside, 600 + rng.normal(0, 80, inside.shape), 0).clip(0).astype(np.int16)
    nib.save(nib.Nifti1Image(head, np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    return path


def time_visit(browser: Any, address: str) -> tuple[float, float]:
    """Seconds from the first request to the verdict on the first example, and of processor time.

    Nothing is cached. The processor time of all of the browser's processes tells what a machine
    without other work would need at most.
    """
    before = measure_work(browser)
    context = browser.new_context()
    page = context.new_page()
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(DONE, timeout=SECONDS * 1000)
    taken = time.perf_counter() - start
    work = measure_work(browser, before)
    context.close()
    return taken, work


def list_processes(browser: Any) -> list[dict[str, Any]]:
    """Type, id and processor time of the browser's processes."""
    told = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
    processes: list[dict[str, Any]] = told["processInfo"]
    return processes


def measure_work(browser: Any, before: dict[int, float] | None = None) -> Any:
    """Processor seconds by process; with an earlier measure, those spent since."""
    now = {one["id"]: one["cpuTime"] for one in list_processes(browser)}
    if before is None:
        return now
    return sum(seconds - before.get(process, 0.0) for process, seconds in now.items())


def measure_memory(process: int) -> float:
    """Most MiB that a process has held; Linux alone tells."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def time_file(browser: Any, address: str, file: Path) -> tuple[float, float, float, float]:
    """Seconds to the verdict, of processor time; milliseconds a slice while leafing; MiB."""
    page = browser.new_page()
    page.goto(address + "?blank")
    page.wait_for_selector("body[data-state=ready]", timeout=SECONDS * 1000)
    page.evaluate("document.body.dataset.state = 'asked'")
    start, before = time.perf_counter(), measure_work(browser)
    page.set_input_files("#files", file)
    page.wait_for_selector(DONE, timeout=SECONDS * 1000)
    taken, work = time.perf_counter() - start, measure_work(browser, before)
    frame = page.evaluate("async () => (await import('./page.js')).timeLeafing(40)")
    renderers = [one["id"] for one in list_processes(browser) if one["type"] == "renderer"]
    memory = max(map(measure_memory, renderers))
    page.close()
    return taken, work, frame, memory


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--volume", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    if BROWSER is None:
        parser.error("needs chromium")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as driver:
        folder = Path(place) / "site"
        laid = write_web_page(folder, model=asked.model)
        file = asked.volume or paint_volume(Path(place) / "painted.nii.gz")
        browser = driver.chromium.launch(executable_path=BROWSER, args=list(OPTIONS))
        with serve(folder) as address:
            visits = [time_visit(browser, address) for _ in range(asked.times)]
            taken, work, frame, memory = time_file(browser, address, file)
        browser.close()
    print(f"{laid.model}, {laid.megabytes:.2f} MB")
    walls, works = zip(*visits, strict=True)
    print(
        f"first verdict: best {min(walls):.2f} s, median {statistics.median(walls):.2f} s; "
        f"{statistics.median(works):.2f} s of processor time"
    )
    print(
        f"{file.name}: {taken:.1f} s to the verdict, {work:.1f} s of processor time; "
        f"{frame:.0f} ms a slice while leafing; {memory:.0f} MiB"
    )


if __name__ == "__main__":
    main()
