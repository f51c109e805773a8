"""The viewer's page in a real browser: dropped, looked at, clicked through.

Needs chromium and playwright; skips where one is missing.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import tumorlens
from axe import AXE, list_serious
from builders import write_nifti, write_series
from heads import paint_slice
from study_tables import write_study_model
from tumorlens.digits import show_probability
from viewing.browsing import BROWSER, visit
from viewing.viewers import open_viewer

pytest.importorskip("starlette")
pytest.importorskip("playwright")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATIENCE = 60_000  # milliseconds


def wait_for_jobs(page, count):
    page.wait_for_function(
        "count => document.querySelectorAll('.job').length === count"
        " && !document.querySelector('.progress')",
        arg=count,
        timeout=PATIENCE,
    )


def wait_for_pictures(page):
    page.wait_for_selector("body[data-shown] #loading[hidden]", state="attached", timeout=PATIENCE)
    page.wait_for_timeout(300)


def read_rows(page):
    """Name of a row of the list -> what it says."""
    return {
        row.query_selector(".name").inner_text(): row.query_selector(".told").inner_text()
        for row in page.query_selector_all(".row")
    }


def check_quiet(found, viewer):
    """Nothing was complained of, and nothing was asked of anybody else."""
    assert found.complaints == []
    origin = f"http://127.0.0.1:{viewer.port}/{viewer.token}/"
    strange = [url for url in found.asked if not url.startswith((origin, "data:", "blob:"))]
    assert strange == []


def look_at_unjudged(page, found, folder):
    """Slices below the brain: grey in picture and curve, where Python judges none."""
    head = np.asarray(Image.open(EXAMPLES / "t2_axial_normal.png").convert("L"))
    y, x = np.ogrid[: head.shape[0], : head.shape[1]]
    radius = np.hypot(x - head.shape[1] / 2, y - head.shape[0] / 2)
    neck = np.where((radius > 34) & (radius < 40), 220, 4).astype(np.uint8)
    volume = np.stack([neck] * 3 + [head] * 6)
    file = write_nifti(folder / "neck.nii.gz", volume.transpose(2, 1, 0), np.diag([1, 1, 5.0, 1]))
    (study,) = tumorlens.predict_studies(file)
    silent = [one.verdict == "not_judged" for one in study.series[0].findings]
    found.drop(file)
    wait_for_jobs(page, 3)
    page.click(".row:has-text('neck.nii.gz')")
    wait_for_pictures(page)
    assert any(silent)
    assert page.locator(".band.not_judged").count() > 0
    for number, wanted in enumerate(silent):
        page.keyboard.press("Home")
        for _ in range(number):
            page.keyboard.press("ArrowDown")
        assert page.is_visible("#unjudged:has-text('shows no brain')") == wanted
        assert page.locator("#canvas.grey").count() == wanted


def test_examples_say_what_predict_says(tmp_path):
    names = sorted(
        path for path in EXAMPLES.iterdir() if path.name.endswith((".png", ".dcm", ".nii.gz"))
    )
    wanted = {path.name: tumorlens.predict(path)[0] for path in names}
    with open_viewer() as viewer, visit(viewer.url) as found:
        page = found.page
        assert "For research only" in page.inner_text("#welcome")
        page.click("#try-examples")
        wait_for_jobs(page, 1)
        tried = read_rows(page)
        assert len(tried) == 3
        found.drop(*names)
        wait_for_jobs(page, 2)
        rows = read_rows(page)
        assert tried.items() <= rows.items()
        job = page.evaluate("document.querySelector('.row').dataset.place.split(' ')[0]")
        result = json.loads(
            page.evaluate(f"fetch('api/jobs/{job}/result').then((told) => told.text())")
        )
        slices = {scene["path"]: scene["slices"][0] for scene in result["scenes"]}
        assert set(slices) == set(wanted) == set(rows)
        for name, one in wanted.items():
            assert slices[name]["verdict"] == one.verdict
            assert slices[name]["tumor_probability"] == one.tumor_probability
            assert one.verdict.replace("_", " ") in rows[name]
            shown = rows[name].replace("\N{NO-BREAK SPACE}", " ")
            assert shown.endswith(f" {show_probability(one.tumor_probability)}")
        look_at_unjudged(page, found, tmp_path)
        check_quiet(found, viewer)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_study_model(tmp_path_factory.mktemp("model"), brain=3.0)


def paint_volume(spots=range(6, 14)):
    """(slices, H, W): twenty, eight with a lesion."""
    return np.stack([paint_slice((30, 30) if k in spots else None) for k in range(20)])


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """One of each kind of file."""
    folder = tmp_path_factory.mktemp("scans")
    volume = paint_volume()
    write_nifti(folder / "brain.nii.gz", volume.transpose(2, 1, 0), np.diag([1, 1, 1.5, 1]))
    lps = np.eye(4)[:, [2, 1, 0, 3]] @ np.diag([3.0, 1.0, 1.0, 1.0])
    files = write_series(folder / "study" / "series", volume.astype(np.uint16), lps)
    with zipfile.ZipFile(folder / "disc.zip", "w") as archive:
        for file in write_series(folder / "zipped", volume.astype(np.uint16), lps):
            archive.write(file, f"DICOM/{file.name}")
    (folder / "alone.dcm").write_bytes(files[10].read_bytes())
    Image.fromarray(paint_slice()).save(folder / "picture.png")
    Image.fromarray(paint_slice(None)).save(folder / "picture.jpg")
    (folder / "torn.png").write_bytes(b"\x89PNG torn")
    return folder


def test_each_kind_is_dropped_and_looked_at(model, scans, tmp_path):  # one start serves all
    with open_viewer("--model", str(model)) as viewer, visit(viewer.url) as found:
        page = found.page
        assert page.is_visible("#welcome")
        kinds = ["brain.nii.gz", "study", "disc.zip", "alone.dcm", "picture.png", "picture.jpg"]
        for number, name in enumerate(kinds, 1):
            found.drop(scans / name)
            wait_for_jobs(page, number)
        page.set_input_files("#files", scans / "torn.png")
        wait_for_jobs(page, len(kinds) + 1)
        page.click("#list details.failed summary")
        assert "torn.png: " in page.inner_text("#list details.failed li")
        check_list(page)
        look_at_volume(page)
        move_through_slices(page)
        use_tools(page)
        check_facts(page, tmp_path)
        take_dicom_objects(page, tmp_path)
        forget(page, len(kinds) + 1)
        check_quiet(found, viewer)


def check_list(page):
    rows = read_rows(page)
    assert set(rows) == {
        "brain.nii.gz",
        "series",
        "DICOM",
        "alone.dcm",
        "picture.png",
        "picture.jpg",
    }
    assert {name for name, told in rows.items() if told.startswith("no tumor")} == {"picture.jpg"}
    assert all("tumor" in told for told in rows.values())


def look_at_volume(page):
    page.click(".row:has-text('brain.nii.gz')")
    wait_for_pictures(page)
    shown = page.inner_text("#verdict")
    assert "tumor" in page.inner_text("#verdict .word")
    first, last = map(int, re.search(r"Slices (\d+) to (\d+) of 20", shown).groups())
    assert 7 <= first < last <= 14
    assert re.search(r"%\stumor probability", shown)
    assert "For research only, not a medical device." in shown
    assert page.inner_text("#planes [aria-checked=true]") == "all planes"
    assert count_colors(page) > 50  # a picture, not one grey
    assert "Slice " in page.inner_text("#slice")


def count_colors(page):
    picture = Image.open(io.BytesIO(page.locator("#canvas").screenshot())).convert("RGB")
    return len(picture.getcolors(2**24))


def find_number(page):
    return int(page.get_attribute(".handle", "aria-valuenow"))


def move_through_slices(page):
    page.click(".chips button >> nth=0")
    first = find_number(page)
    assert first > 1
    page.keyboard.press("ArrowDown")
    assert find_number(page) == first + 1
    page.keyboard.press("Home")
    assert find_number(page) == 1
    assert "no tumor" in page.inner_text("#slice")
    page.keyboard.press("k")
    assert (
        page.get_attribute(f".chips [data-slice='{find_number(page) - 1}']", "aria-pressed")
        == "true"
    )
    box = page.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.52, box["y"] + 20, steps=4)
    assert find_number(page) == 11
    page.mouse.up()
    page.mouse.move(*centre_of_slice(page))
    before = find_number(page)
    page.mouse.wheel(0, 100)
    page.wait_for_function(
        "before => document.querySelector('.handle').ariaValueNow != before", arg=before
    )


def centre_of_slice(page):
    box = page.locator("#canvas").bounding_box()
    return box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5


def use_tools(page):
    page.keyboard.press("1")
    page.click(".chips button >> nth=0")
    page.fill("#opacity", "1")
    heat = count_marked(page)
    page.fill("#opacity", "0.2")
    page.keyboard.press("h")
    page.wait_for_timeout(200)
    assert count_marked(page) < heat / 2
    assert page.is_hidden("#scale")
    page.keyboard.press("h")
    switch_boxes(page)
    for number, name in enumerate(("axial", "coronal", "sagittal", "all planes", "3-D"), 1):
        page.keyboard.press(str(number))
        assert page.inner_text("#planes [aria-checked=true]") == name
    page.keyboard.press("1")
    page.keyboard.press("w")
    dark = page.locator("#canvas").screenshot()
    page.fill("#level", page.get_attribute("#level", "max"))
    page.wait_for_timeout(300)
    assert page.locator("#canvas").screenshot() != dark
    page.click("#window-reset")
    page.keyboard.press("w")
    page.click("#model")
    assert "Known failures" in page.inner_text("#card")
    page.click("#card form button")
    page.keyboard.press("?")
    assert page.is_visible("#keys")
    page.click("#keys form button")
    page.click("#theme")
    page.click("#theme")


def switch_boxes(page):
    """By a click and by a key; what is drawn over the picture comes and goes."""
    assert count_drawn(page) > 0
    page.uncheck("#boxes")
    assert count_drawn(page) == 0
    page.keyboard.press("b")
    assert page.is_checked("#boxes")
    assert count_drawn(page) > 0


def count_drawn(page):
    """Pixels of the picture that are blue, as boxes and peaks are."""
    page.wait_for_timeout(400)
    picture = Image.open(io.BytesIO(page.locator(".pictures").screenshot())).convert("RGB")
    red, _, blue = (np.asarray(channel, int) for channel in picture.split())
    return int((blue - red > 60).sum())


def count_marked(page):
    """Pixels of the picture that are warm, as heat is."""
    page.wait_for_timeout(400)
    picture = Image.open(io.BytesIO(page.locator(".pictures").screenshot())).convert("RGB")
    red, _, blue = (np.asarray(channel, int) for channel in picture.split())
    return int((red - blue > 60).sum())


def check_facts(page, tmp_path):
    facts = page.inner_text("#facts")
    assert "What it thinks it saw" in facts
    assert "Slices to open first" in facts
    for words, name in (
        ("Heat map as NIfTI", "heat.nii.gz"),
        ("This slice", "slice.png"),
        ("Report", "report.html"),
    ):
        with page.expect_download(timeout=PATIENCE) as download:
            page.click(f"#facts a:has-text('{words}')")
        download.value.save_as(tmp_path / name)
    assert nib.load(tmp_path / "heat.nii.gz").shape == (112, 128, 20)
    assert Image.open(tmp_path / "slice.png").size[0] >= 512
    assert "For research only" in (tmp_path / "report.html").read_text()


def take_dicom_objects(page, tmp_path):
    """Of the series that was dropped as DICOM, where the extra is there."""
    pytest.importorskip("highdicom")
    page.click(".row:has-text('series')")
    wait_for_pictures(page)
    with page.expect_download(timeout=PATIENCE) as download:
        page.click("#facts a:has-text('DICOM objects')")
    download.value.save_as(tmp_path / "objects.zip")
    with zipfile.ZipFile(tmp_path / "objects.zip") as packed:
        kinds = {name.split(".")[-2] for name in packed.namelist()}
        assert {"sr", "sc"} <= kinds  # no segmentation: the series tells no frame of reference


def forget(page, count):
    for left in range(count - 1, -1, -1):
        page.click(".job button >> nth=0")
        page.wait_for_function(
            "left => document.querySelectorAll('.job').length === left", arg=left
        )
    assert page.is_visible("#welcome")


@pytest.mark.slow
def test_it_fits_all_screens_and_everybody_can_use_it(model, scans):  # one start serves all
    with open_viewer("--model", str(model)) as viewer, visit(viewer.url) as found:
        page = found.page
        check_access(page)
        page.click("#model")
        check_access(page)
        page.click("#card form button")
        found.drop(scans / "brain.nii.gz", scans / "picture.png", scans / "picture.jpg")
        wait_for_jobs(page, 1)
        page.click(".row:has-text('brain.nii.gz')")
        wait_for_pictures(page)
        for width, scheme in ((1440, "dark"), (768, "light"), (390, "dark")):
            page.set_viewport_size({"width": width, "height": 844})
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(500)
            check_fit(page, width)
            check_access(page)
        check_quiet(found, viewer)


def check_fit(page, width):
    """Nothing has to be scrolled sideways."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    number = page.locator("#verdict .number")
    assert number.evaluate("one => one.scrollWidth <= one.clientWidth")
    for part in ("#model", "#verdict .word", "#canvas", "#curve .handle", "#facts .exports"):
        page.locator(part).scroll_into_view_if_needed()
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0, part
        assert box["x"] + box["width"] <= width + 1, part


def check_access(page):
    if AXE.is_file():
        assert list_serious(page) == []


def test_a_browser_without_webgl_shows_slices(model, scans):
    brain = str(scans / "brain.nii.gz")
    with (
        open_viewer(brain, "--model", str(model)) as viewer,
        visit(viewer.url, options=("--no-sandbox", "--disable-3d-apis")) as found,
    ):
        page = found.page
        page.wait_for_selector("body.flat[data-shown]", timeout=PATIENCE)
        assert "You see one slice at a time" in page.inner_text("#said")
        first = page.get_attribute("#first", "src")
        before = find_number(page)
        page.keyboard.press("ArrowDown")
        assert find_number(page) == before + 1
        assert page.get_attribute("#first", "src") != first
        page.wait_for_function("() => document.querySelector('#first').naturalWidth >= 512")
        page.click(".chips button >> nth=0")
        key = int(page.get_attribute(".chips button >> nth=0", "data-slice"))
        assert find_number(page) == key + 1
