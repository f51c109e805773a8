"""Milliseconds from the bytes of a JPEG to verdict and heat map on the page of examples/web.

Headless chromium, one thread of WebAssembly, after the model has loaded; needs `npm install
onnxruntime-web` in examples/web. Prints the first run, and best and median of all but the first
ten.

    python benchmarks/browser.py --picture slice.jpg --times 60
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from tumorlens.exporting.benchmarking.speed import paint_picture
from tumorlens.model.registry import find_model

WEB = Path(__file__).resolve().parents[1] / "examples/web"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
WARM_UP = 10
PAGE = """<!doctype html><body><canvas id="canvas"></canvas><script type="module">
  import { Detector, draw, readPicture } from "./detect.js";
  const detector = await Detector.load("model.onnx");
  const blob = await (await fetch("slice.jpg")).blob();
  const taken = [];
  for (let i = 0; i < TIMES; i++) {
    const start = performance.now();
    const slice = await readPicture(blob), read = performance.now();
    const finding = await detector.judge(slice), judged = performance.now();
    draw(document.getElementById("canvas"), slice.picture, finding, detector.card.cell_threshold);
    const end = performance.now();
    taken.push([end - start, read - start, judged - read, end - judged]);
  }
  await fetch("told", { method: "POST", body: JSON.stringify(taken) });
</script>"""


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, and keeps what its pages post."""

    extensions_map = {  # noqa: RUF012
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, *words: Any, told: SimpleQueue[Any], **options: Any) -> None:
        self.told = told
        super().__init__(*words, **options)

    def do_POST(self) -> None:
        """What a page has to say."""
        self.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Quiet."""


def lay_site(folder: Path, picture: bytes, model: Path) -> None:
    """The page with its scripts, its runtime, ``model.onnx`` and ``slice.jpg``."""
    for file in (*WEB.glob("*.js"), WEB / "index.html", WEB / "page.css"):
        shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(WEB / "node_modules")
    shutil.copy(model, folder / "model.onnx")
    (folder / "slice.jpg").write_bytes(picture)


def listen(folder: Path, page: str, timeout: float) -> Any:
    """Open a page of the folder in a browser; what it posts first.

    Raises:
        queue.Empty: it says nothing for ``timeout`` seconds.
    """
    told: SimpleQueue[Any] = SimpleQueue()
    handler = partial(Handler, directory=folder, told=told)
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        Thread(target=server.serve_forever, daemon=True).start()
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        words += [f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/{page}"]
        own = {**os.environ, "TMPDIR": profile}  # where it leaves things behind
        with subprocess.Popen(
            [str(BROWSER), *words], stderr=subprocess.DEVNULL, env=own
        ) as process:
            try:
                return told.get(timeout=timeout)
            finally:
                process.terminate()
                server.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--picture", type=Path, help="a JPEG; default: a painted one, 512 x 512")
    parser.add_argument("--model", default="default")
    parser.add_argument("--times", type=int, default=60, help="over 10, which are not counted")
    options = parser.parse_args()
    if BROWSER is None:
        parser.error("needs chromium")
    if options.times <= WARM_UP:
        parser.error(f"--times must be over {WARM_UP}")
    with tempfile.TemporaryDirectory() as place:
        picture = options.picture.read_bytes() if options.picture else paint_picture()
        lay_site(Path(place), picture, find_model(options.model))
        (Path(place) / "timed.html").write_text(PAGE.replace("TIMES", str(options.times)))
        taken = listen(Path(place), "timed.html", 60 + options.times)
    print(f"the first picture after loading: {taken[0][0]:.1f} ms")
    columns = zip(*taken[WARM_UP:], strict=True)
    for name, column in zip(("whole", "read", "judge", "draw"), columns, strict=True):
        print(f"{name:6} best {min(column):6.1f} ms, median {statistics.median(column):6.1f} ms")


if __name__ == "__main__":
    main()
