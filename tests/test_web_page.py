"""The page of examples/web in a real browser: the vectors of `prepare`, and Python's answers.

Needs chromium, and ``npm install onnxruntime-web`` in examples/web; skips where one is missing.
"""

import json
import re
import shutil
import subprocess
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from tumorlens.detector import Detector
from tumorlens.exporting.benchmarking import paint_picture

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "examples/web"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="needs chromium"),
    pytest.mark.skipif(
        not (WEB / "node_modules/onnxruntime-web").is_dir(),
        reason="needs npm install onnxruntime-web in examples/web",
    ),
]

VECTORS_PAGE = """<!doctype html><body><script type="module">
  import { findDifferences } from "./vectors.js";
  const vectors = await (await fetch("vectors.json")).json();
  document.body.dataset.compared = Object.keys(vectors).length;
  document.body.dataset.missed = JSON.stringify(findDifferences(vectors));
</script>"""


class Quiet(SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *words):
        """Nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page, a model and two pictures behind a local server."""
    folder = tmp_path_factory.mktemp("web")
    for file in (*WEB.glob("*.js"), WEB / "index.html"):
        shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(WEB / "node_modules")
    shutil.copy(Detector(threads=1).session.path, folder / "model.onnx")
    (folder / "slice.jpg").write_bytes(paint_picture())
    with Image.open(folder / "slice.jpg") as picture:
        picture.save(folder / "slice.png")  # each browser decodes JPEG in its own way
    page = (ROOT / "docs/preprocess.md").read_text(encoding="utf-8")
    found = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    (folder / "vectors.json").write_text(found[1], encoding="utf-8")
    (folder / "vectors.html").write_text(VECTORS_PAGE, encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def open_page(url, profile):
    """Attributes of the body after all scripts have run."""
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    words += ["--virtual-time-budget=120000", "--dump-dom", url]
    done = subprocess.run(
        [BROWSER, *words], capture_output=True, text=True, check=False, timeout=120
    )
    body = re.search(r"<body([^>]*)>", done.stdout)
    assert body, done.stderr[-2000:]
    found = dict(re.findall(r'data-(\w+)="([^"]*)"', body[1]))
    return {name: json.loads(value.replace("&quot;", '"')) for name, value in found.items()}


def test_prepare_meets_the_vectors_in_the_browser(site, tmp_path):
    found = open_page(f"{site[1]}/vectors.html", tmp_path)
    assert found == {"compared": 7, "missed": []}


@pytest.mark.parametrize(("name", "tolerance"), [("slice.png", 1e-4), ("slice.jpg", 0.02)])
def test_the_page_says_what_python_says(site, tmp_path, name, tolerance):
    folder, address = site
    (wanted,) = Detector(threads=1).predict(folder / name)
    found = open_page(f"{address}/index.html?picture={name}", tmp_path)["finding"]
    assert found["verdict"] == wanted.verdict
    assert found["tumor"] == pytest.approx(wanted.tumor_probability, abs=tolerance)
    assert np.isclose(found["unfamiliarity"], wanted.unfamiliarity, rtol=0.02)
