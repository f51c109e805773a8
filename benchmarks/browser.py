"""Milliseconds from the bytes of a JPEG to verdict and heat map on the page of examples/web.

Headless chromium, one thread of WebAssembly, after the model has loaded; needs `npm install
onnxruntime-web` in examples/web. Prints best and median of all runs but the first ten.

    python benchmarks/browser.py --picture slice.jpg --times 60
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from tumorlens.exporting.benchmarking import paint_picture
from tumorlens.model.registry import find_model

WEB = Path(__file__).resolve().parents[1] / "examples/web"
WARM_UP = 10
TAKEN: SimpleQueue[list[list[float]]] = SimpleQueue()
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
  await fetch("taken", { method: "POST", body: JSON.stringify(taken) });
</script>"""


class Handler(SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def do_POST(self) -> None:
        """What the page measured."""
        TAKEN.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Quiet."""


def lay_site(folder: Path, picture: Path | None, model: str, times: int) -> None:
    for file in WEB.glob("*.js"):
        shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(WEB / "node_modules")
    shutil.copy(find_model(model), folder / "model.onnx")
    (folder / "slice.jpg").write_bytes(paint_picture() if picture is None else picture.read_bytes())
    (folder / "index.html").write_text(PAGE.replace("TIMES", str(times)))


def run_page(folder: Path, times: int) -> list[list[float]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    Thread(target=server.serve_forever, daemon=True).start()
    browser = shutil.which("chromium") or "chromium-browser"
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
    words += [f"--user-data-dir={folder}/profile"]
    words += [f"http://127.0.0.1:{server.server_port}/index.html"]
    with subprocess.Popen([browser, *words], stderr=subprocess.DEVNULL) as process:
        try:
            return TAKEN.get(timeout=30 + times)[WARM_UP:]
        finally:
            process.terminate()
            server.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, help="a JPEG; default: a painted one, 512 x 512")
    parser.add_argument("--model", default="default")
    parser.add_argument("--times", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lay_site(Path(place), options.picture, options.model, options.times)
        columns = zip(*run_page(Path(place), options.times), strict=True)
    for name, column in zip(("whole", "read", "judge", "draw"), columns, strict=True):
        print(f"{name:6} best {min(column):6.1f} ms, median {statistics.median(column):6.1f} ms")


if __name__ == "__main__":
    main()
