"""The page of examples/web in a real browser: the vectors of `prepare`, and Python's answers.

Needs chromium, and ``npm install onnxruntime-web`` in examples/web; skips where one is missing.
"""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorlens.detector import Detector
from tumorlens.exporting.benchmarking.speed import paint_picture

ROOT = Path(__file__).resolve().parents[1]
_spec = importlib.util.spec_from_file_location("browser", ROOT / "benchmarks" / "browser.py")
browser = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(browser)

pytestmark = [
    pytest.mark.skipif(browser.BROWSER is None, reason="needs chromium"),
    pytest.mark.skipif(
        not (browser.WEB / "node_modules/onnxruntime-web").is_dir(),
        reason="needs npm install onnxruntime-web in examples/web",
    ),
]

VECTORS_PAGE = """<!doctype html><body><script type="module">
  import { findDifferences } from "./vectors.js";
  const vectors = await (await fetch("vectors.json")).json();
  const missed = findDifferences(vectors), compared = Object.keys(vectors).length;
  await fetch("told", { method: "POST", body: JSON.stringify({ compared, missed }) });
</script>"""

# The page itself, in a frame, onto which a picture is dropped; what it says of it is passed on.
FRAME = """<!doctype html><meta charset="utf-8"><body><iframe src="index.html"></iframe>
<script type="module">
  const frame = document.querySelector("iframe");
  const blob = await (await fetch("PICTURE")).blob();
  let dropped = false;
  setInterval(() => {
    const body = frame.contentDocument?.body, words = body?.querySelector("#verdict")?.textContent;
    if (words === "Ready." && !dropped) {
      const carried = new DataTransfer();
      carried.items.add(new File([blob], "PICTURE"));
      const drop = new frame.contentWindow.DragEvent("drop", { dataTransfer: carried });
      body.querySelector("#place").dispatchEvent(drop);
      dropped = true;
    } else if (dropped && words !== "Ready." && words !== "Judging…") {
      const finding = JSON.parse(body.dataset.finding ?? "{}");
      fetch("told", { method: "POST", body: JSON.stringify({ ...finding, words }) });
    }
  }, 50);
</script>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page, a model and two pictures."""
    folder = tmp_path_factory.mktemp("web")
    browser.lay_site(folder, paint_picture(), Detector(threads=1).session.path)
    with Image.open(folder / "slice.jpg") as picture:
        picture.save(folder / "slice.png")  # each browser decodes JPEG in its own way
    page = (ROOT / "docs/preprocess.md").read_text(encoding="utf-8")
    found = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    (folder / "vectors.json").write_text(found[1], encoding="utf-8")
    (folder / "vectors.html").write_text(VECTORS_PAGE, encoding="utf-8")
    return folder


def test_prepare_meets_the_vectors_in_the_browser(site):
    assert browser.listen(site, "vectors.html", 120) == {"compared": 13, "missed": []}


def drop(site, name):
    """What the page says of a picture."""
    (site / "frame.html").write_text(FRAME.replace("PICTURE", name), encoding="utf-8")
    return browser.listen(site, "frame.html", 120)


@pytest.mark.parametrize(("name", "tolerance"), [("slice.png", 1e-4), ("slice.jpg", 0.02)])
def test_the_page_says_what_python_says(site, name, tolerance):
    (wanted,) = Detector(threads=1).predict(site / name)
    found = drop(site, name)
    assert found.get("verdict") == wanted.verdict, found
    assert found["tumor"] == pytest.approx(wanted.tumor_probability, abs=tolerance)
    assert np.isclose(found["unfamiliarity"], wanted.unfamiliarity, rtol=0.02)
    assert wanted.verdict.replace("_", " ") in found["words"]


# Puts what an attacker would into the page, and asks what came of it.
ATTACK = """<!doctype html><meta charset="utf-8"><body><iframe src="index.html"></iframe>
<script type="module">
  const frame = document.querySelector("iframe"), { port } = location;
  await new Promise((done) => (frame.onload = done));
  const page = frame.contentDocument, view = frame.contentWindow, blocked = [];
  const note = (event) => blocked.push(event.effectiveDirective);
  page.addEventListener("securitypolicyviolation", note);
  const inline = page.createElement("script");
  inline.textContent = "window.ran = true";
  page.body.append(inline);
  const picture = page.createElement("img");
  picture.src = `http://localhost:${port}/slice.png`;
  page.body.append(picture);
  const style = page.createElement("style");
  style.textContent = "body { color: red }";
  page.body.append(style);
  const message = { method: "POST", body: "1", mode: "no-cors" };
  const sending = view.fetch(`http://localhost:${port}/told`, message);
  const sent = await sending.then(() => true, () => false);
  let evaluated = true;
  try { view.eval("1") } catch { evaluated = false }
  setTimeout(() => fetch("told", { method: "POST", body: JSON.stringify(
    { ran: Boolean(view.ran), sent, evaluated, blocked: [...new Set(blocked)].sort() }) }), 500);
</script>"""


def test_the_page_runs_nothing_of_others_and_sends_nothing(site):
    (site / "attack.html").write_text(ATTACK, encoding="utf-8")
    found = browser.listen(site, "attack.html", 120)
    assert found.pop("blocked") == [
        *("connect-src", "img-src", "script-src", "script-src-elem", "style-src-elem")
    ]
    assert found == {"ran": False, "sent": False, "evaluated": False}


def save_unjudgeable(folder):
    """Pictures that Python refuses, or that a browser would show in another way."""
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(grey).save(folder / "deep.png")
    Image.fromarray(grey.astype(np.uint8)).save(folder / "animated.gif")
    Image.fromarray(grey[:15].astype(np.uint8)).save(folder / "small.png")
    Image.new("L", (64, 64)).save(folder / "black.png")
    (folder / "torn.png").write_bytes(b"\x89PNG no picture")
    (folder / "words.png").write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("torn.png", ""),
        ("words.png", "no PNG, JPEG, WebP or BMP"),
        ("deep.png", "16 bits a value"),
        ("animated.gif", "no PNG, JPEG, WebP or BMP"),
        ("small.png", "it has 64 x 15 pixels"),
        ("black.png", "all of its pixels are equal"),
    ],
)
def test_the_page_says_what_it_cannot_read(site, name, reason):
    save_unjudgeable(site)
    said = drop(site, name)
    assert said["words"].startswith("That cannot be read: ")
    assert reason in said["words"]
    assert "verdict" not in said  # nothing of an earlier picture is left


def test_transparency_lies_over_black(site):
    with Image.open(site / "slice.png") as picture:
        grey = picture.convert("L")
    white = Image.new("L", grey.size, 255)
    Image.merge("LA", (white, grey)).save(site / "alpha.png")
    (wanted,) = Detector(threads=1).predict(site / "alpha.png")
    assert drop(site, "alpha.png")["tumor"] == pytest.approx(wanted.tumor_probability, abs=0.01)
