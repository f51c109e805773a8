"""The page of `tumorlens web` in a real browser: Python's answers, nothing sent, no network needed.

Needs chromium and, once, the npm registry for onnxruntime-web; skips where one is missing.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate

import tumorlens
from axe import list_serious, needs_axe
from builders import write_dicom, write_nifti, write_series, write_zip
from shared_data import SHARED, needs_shared
from tumorlens.detector import Detector
from tumorlens.errors import UsageError
from tumorlens.exporting.benchmarking.speed import paint_picture
from tumorlens.imaging.readers import read_slice
from tumorlens.report.pictures.overlay import draw
from tumorlens.viewing.web.site import write_web_page
from viewing.web import pages

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"

pytestmark = [
    pytest.mark.skipif(pages.BROWSER is None, reason="needs chromium"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="needs playwright"),
]
NEAR = {"abs": 1e-4}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web") / "site"
    try:
        write_web_page(folder)
    except UsageError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="module")
def browser():
    with pages.open_browser() as one:
        yield one


@pytest.fixture(scope="module")
def watched(site, browser):
    """One page with the float model, which answers as Python does."""
    with pages.serve(site) as address:
        one = pages.Watched.of(browser)
        settings = json.loads((site / "settings.json").read_text(encoding="utf-8"))
        one.open(f"{address}?blank&model={settings['models'][-1]['file']}")
        yield one
        assert one.complaints == []
        assert {url for url in one.requests if not url.startswith((address, "blob:"))} == set()


@pytest.fixture(scope="module")
def detector():
    return Detector(threads=1)


def test_prepare_meets_the_vectors_in_the_browser(site, watched):
    text = (ROOT / "docs/preprocess.md").read_text(encoding="utf-8")
    vectors = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])
    code = (Path(__file__).with_name("vectors.js")).read_text(encoding="utf-8")
    code = re.sub(r'from "[^"]*/prepare.js"', 'from "./judging/prepare.js"', code)
    (site / "vectors.js").write_text(code, encoding="utf-8")
    missed = watched.page.evaluate(
        "async (vectors) => (await import('/vectors.js')).findDifferences(vectors)", vectors
    )
    assert missed == []


# One slice


@pytest.mark.parametrize(
    "name",
    sorted(file.name for file in EXAMPLES.iterdir() if file.suffix in (".png", ".dcm", ".gz")),
)
def test_each_example_gets_the_answer_of_python(watched, detector, name):
    (wanted,) = detector.predict(EXAMPLES / name)
    found = watched.judge(EXAMPLES / name)
    assert found["verdict"] == wanted.verdict
    assert found["tumor"] == pytest.approx(wanted.tumor_probability, **NEAR)
    assert found["unfamiliarity"] == pytest.approx(wanted.unfamiliarity, rel=1e-3)
    assert wanted.verdict.replace("_", " ") == watched.page.inner_text("#verdict")


def test_a_jpeg_differs_by_its_decoder_alone(watched, detector, tmp_path):
    (tmp_path / "slice.jpg").write_bytes(paint_picture())
    (wanted,) = detector.predict(tmp_path / "slice.jpg")
    found = watched.judge(tmp_path / "slice.jpg")
    assert found["tumor"] == pytest.approx(wanted.tumor_probability, abs=0.02)


def test_a_folder_is_dropped(watched, detector, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    save_thick(folder)
    (folder / "readme.txt").write_text("no scan")
    found = watched.judge(folder, "drop")
    (wanted,) = tumorlens.predict_studies(folder, model=detector.session.path)
    assert found["tumor"] == pytest.approx(wanted.tumor_probability, **NEAR)
    assert found["path"] == "series"
    assert "1 file is no scan and left out" in watched.page.inner_text("#notes")


@pytest.mark.parametrize("how", ["choose", "drop"])
def test_several_files_are_judged_each(watched, detector, how):
    files = [EXAMPLES / "t2_axial_normal.png", EXAMPLES / "t1c_axial_synthetic_lesion.dcm"]
    found = watched.judge(files, how)
    assert {one["path"]: one["verdict"] for one in found["items"]} == {
        file.name: detector.predict(file)[0].verdict for file in files
    }
    assert watched.page.locator("#items button").count() == 2


def test_transparency_lies_over_black(watched, detector, tmp_path):
    with Image.open(EXAMPLES / "t2_axial_synthetic_lesion.png") as picture:
        grey = picture.convert("L")
    white = Image.new("L", grey.size, 255)
    Image.merge("LA", (white, grey)).save(tmp_path / "alpha.png")
    (wanted,) = detector.predict(tmp_path / "alpha.png")
    found = watched.judge(tmp_path / "alpha.png")
    assert found["tumor"] == pytest.approx(wanted.tumor_probability, abs=0.01)


def save_unjudgeable(folder):
    """Files that Python refuses, or that a browser would show in another way."""
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(grey).save(folder / "deep.png")
    Image.fromarray(grey.astype(np.uint8)).save(folder / "animated.gif")
    Image.fromarray(grey[:15].astype(np.uint8)).save(folder / "small.png")
    Image.new("L", (64, 64)).save(folder / "black.png")
    (folder / "torn.png").write_bytes(b"\x89PNG no picture")
    (folder / "words.png").write_bytes(b"no picture")
    labels = np.zeros((32, 32, 32), np.uint8)
    labels[8:20, 8:20, 8:20] = 2
    write_nifti(folder / "tumor_seg.nii.gz", labels)
    draw(
        read_slice(EXAMPLES / "t2_axial_normal.png"),
        Detector(threads=1).predict(EXAMPLES / "t2_axial_normal.png")[0],
    ).save(folder / "ours.png")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("torn.png", ""),
        ("words.png", "a file of another kind"),
        ("deep.png", "16 bits a value"),
        ("animated.gif", "a GIF picture"),
        ("small.png", "it has 64 x 15 pixels"),
        ("black.png", "all of its pixels are equal"),
        ("tumor_seg.nii.gz", "a label map, not a scan"),
        ("ours.png", "a result of tumorlens"),
    ],
)
def test_the_page_says_what_it_cannot_read(watched, tmp_path, name, reason):
    save_unjudgeable(tmp_path)
    said = watched.judge(tmp_path / name)
    assert said["failed"].startswith(f"That cannot be read: {name}")
    assert reason in said["failed"]
    assert not watched.page.is_visible("#result")  # nothing of an earlier picture is left


# DICOM


def save_syntaxes(folder, pixels):
    """One slice in all ways of storing pixels that the page reads."""
    write_dicom(folder / "plain.dcm", pixels, BitsStored=12, HighBit=11)
    plain = pydicom.dcmread(folder / "plain.dcm")
    for name, syntax in (
        ("deflated", ".1.99"),
        ("rle", ".5"),
        ("jpeg2000", ".4.90"),
        ("ls", ".4.80"),
    ):
        write_dicom(
            folder / f"{name}.dcm",
            pixels,
            syntax=f"1.2.840.10008.1.2{syntax}",
            BitsStored=12,
            HighBit=11,
        )
    plain.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    plain.save_as(folder / "implicit.dcm", implicit_vr=True, little_endian=True)
    save_lossless(folder / "plain.dcm", folder / "lossless.dcm")


def save_lossless(source, target):
    """JPEG Lossless, which gdcm alone writes."""
    import gdcm

    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(str(source))
    reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    change.Change()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def take_example(name="t1c_axial_synthetic_lesion.png"):
    with Image.open(EXAMPLES / name) as picture:
        return np.asarray(picture.convert("L"))


@pytest.mark.parametrize(
    "name", ["plain", "implicit", "deflated", "rle", "jpeg2000", "ls", "lossless"]
)
def test_each_way_of_storing_pixels_is_read(watched, detector, tmp_path, name):
    save_syntaxes(tmp_path, take_example().astype(np.uint16) * 16)
    (wanted,) = detector.predict(tmp_path / f"{name}.dcm")
    found = watched.judge(tmp_path / f"{name}.dcm")
    assert found.get("tumor") == pytest.approx(wanted.tumor_probability, **NEAR), found


def test_a_jpeg_in_a_dicom_file_is_decoded_by_the_browser(watched, detector, tmp_path):
    stream = io.BytesIO()
    Image.fromarray(take_example()).save(stream, "JPEG", quality=95)
    write_dicom(tmp_path / "plain.dcm", take_example())
    dataset = pydicom.dcmread(tmp_path / "plain.dcm")
    dataset.PixelData = encapsulate([stream.getvalue()])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    dataset.save_as(tmp_path / "jpeg.dcm")
    (wanted,) = detector.predict(tmp_path / "jpeg.dcm")
    found = watched.judge(tmp_path / "jpeg.dcm")
    assert found.get("tumor") == pytest.approx(wanted.tumor_probability, abs=0.02), found


# Series and studies


def stack_head(count, side=96):
    """A head of `count` slices as (slice, row, column): an example, larger in the middle."""
    picture = Image.fromarray(take_example()).resize((side, side))
    volume = np.zeros((count, side, side), np.uint16)
    for index in range(count):
        size = max(20, round(side * (1 - (2 * index / count - 0.9) ** 2 * 0.7)))
        at = (side - size) // 2
        volume[index, at : at + size, at : at + size] = (
            np.asarray(picture.resize((size, size)), np.uint16) * 8
        )
    return volume


def lay_out(steps):
    """LPS affine with these steps of the array's axes."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(steps, float).T
    affine[:3, 3] = (-80, -90, -60)
    return affine


AXIAL = ((0, 0, 1), (0, 1, 0), (1, 0, 0))  # slices, rows, columns


def scale_steps(spacing, steps=AXIAL):
    return lay_out(
        [[one * size for one in step] for step, size in zip(steps, spacing, strict=True)]
    )


def save_thick(folder):
    write_series(folder, stack_head(18), scale_steps((6, 1.8, 1.8)), SeriesDescription="ax T1 +C")


def save_thin(folder):
    """Sagittal slices so thin that axial ones are cut from them."""
    volume = stack_head(60, 64).transpose(2, 1, 0)
    steps = ((-1, 0, 0), (0, 0, -1), (0, 1, 0))
    volume = np.ascontiguousarray(volume[:, :, ::-1].transpose(0, 2, 1)[:, ::-1])
    write_series(
        folder, volume, scale_steps((2.5, 2.6, 2.5), steps), SeriesDescription="MPRAGE sag"
    )


def save_gapped(folder):
    save_thick(folder)
    (folder / "IM0009").unlink()


def save_study(folder):
    for name in ("first", "second"):
        (folder / name).mkdir()
    uid = "1.2.3.4.5"
    write_series(
        folder / "first",
        stack_head(12),
        scale_steps((7, 2, 2)),
        SeriesDescription="T1",
        StudyInstanceUID=uid,
        SeriesInstanceUID="1.2.3.4.6",
    )
    flair = stack_head(10)[:, ::-1]
    write_series(
        folder / "second",
        flair,
        scale_steps((8, 2, 2)),
        SeriesDescription="FLAIR",
        StudyInstanceUID=uid,
        SeriesInstanceUID="1.2.3.4.7",
    )


def save_patients_of_one_study(folder):
    """As anonymisers make them that give one UID to all; one ID is given by two who give IDs."""
    for name, issuer in (("a", ""), ("b", ""), ("b", "elsewhere")):
        elements = {"PatientID": name, "IssuerOfPatientID": issuer, "StudyInstanceUID": "1.2.3.4.5"}
        place = folder / f"{name}{issuer}"
        write_series(
            place, stack_head(6), scale_steps((14, 2, 2)), SeriesInstanceUID="1.7", **elements
        )


def save_without_positions(folder):
    write_series(folder, stack_head(8), scale_steps((10, 2, 2)), ImagePositionPatient=[0, 0, 0])


def save_with_locations_alone(folder):
    save_without_positions(folder)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.SliceLocation = 10 * dataset.InstanceNumber
        dataset.save_as(file)


def save_nifti(folder):
    write_nifti(
        folder / "head_T2.nii.gz",
        stack_head(14).transpose(2, 1, 0),
        scale_steps((1.9, 1.9, 6), AXIAL[::-1]),
    )


def save_float_times(folder):
    volume = stack_head(8, 64).transpose(2, 1, 0).astype(np.float32) / 7
    both = np.stack([volume, volume[::-1] * 0.5], axis=-1)
    write_nifti(folder / "times.nii", both, scale_steps((2.5, 2.5, 9), AXIAL[::-1]))


def save_archive(folder):
    (folder / "inner").mkdir()
    save_thick(folder / "inner")
    members = {f"series/{file.name}": file for file in (folder / "inner").iterdir()}
    write_zip(folder / "study.zip", members)
    shutil.rmtree(folder / "inner")


MAKERS = [
    save_thick,
    save_thin,
    save_gapped,
    save_study,
    save_patients_of_one_study,
    save_without_positions,
    save_with_locations_alone,
    save_nifti,
    save_float_times,
    save_archive,
]


@pytest.mark.parametrize("save", MAKERS, ids=lambda save: save.__name__.removeprefix("save_"))
def test_series_and_studies_get_the_answer_of_python(watched, detector, tmp_path, save):
    save(tmp_path)
    check_studies(watched, detector, sorted(file for file in tmp_path.rglob("*") if file.is_file()))


def check_studies(watched, detector, files):
    wanted = tumorlens.predict_studies(files, model=detector.session.path)
    found = watched.judge(files)
    assert "failed" not in found, found
    assert [one["verdict"] for one in found["items"]] == [one.verdict for one in wanted]
    for mine, study in zip(found["items"], wanted, strict=True):
        assert mine["tumor"] == pytest.approx(study.tumor_probability, **NEAR)
        for series, other in zip(mine["series"], study.series, strict=True):
            check_series(series, other)


def check_series(mine, other):
    answered = [one for one in other.findings if one.error is None]
    assert mine["verdict"] == other.verdict
    assert mine["tumor"] == pytest.approx(other.tumor_probability, **NEAR)
    assert (mine["sequence"], mine["plane"]) == (other.sequence, other.plane)
    chances = [one["tumor"] for one in mine["slices"]]
    assert chances == pytest.approx([one.tumor_probability for one in answered], **NEAR)
    assert [one["position"] for one in mine["slices"]] == pytest.approx(
        [one.info.position_mm for one in answered], abs=1e-6
    )
    assert mine["unfamiliarShare"] == pytest.approx(other.unfamiliar_share, abs=1e-6)
    if other.extent_mm:
        assert mine["extent"] == pytest.approx(list(other.extent_mm), abs=1e-3)
        assert mine["run"]["slices"] == other.run.slices
    if other.peak and other.peak.patient_mm:
        assert mine["peak"] == pytest.approx(list(other.peak.patient_mm), abs=1e-3)


# Real scans, where they are there


@needs_shared
def test_fifty_real_slices_get_the_answer_of_python(watched, detector, tmp_path):
    files = sorted((SHARED / "data").glob("*/**/*.png")) + sorted(
        (SHARED / "data").glob("*/**/*.webp")
    )
    files = [
        one for one in files if "mask" not in one.as_posix() and "brain/" not in one.as_posix()
    ]
    chosen = files[:: len(files) // 50][:50]
    for number, file in enumerate(chosen):  # names are not unique among the sets
        shutil.copy(file, tmp_path / f"{number:02}{file.suffix}")
    found = {one["path"]: one for one in watched.judge(sorted(tmp_path.iterdir()))["items"]}
    for number, file in enumerate(chosen):
        (wanted,) = detector.predict(file)
        mine = found[f"{number:02}{file.suffix}"]
        assert mine["verdict"] == wanted.verdict, file
        assert mine["tumor"] == pytest.approx(wanted.tumor_probability, **NEAR), file


@needs_shared
@pytest.mark.parametrize(
    "number", [3, *(pytest.param(number, marks=pytest.mark.slow) for number in (0, 1, 2, 4, 5))]
)
def test_real_series_get_the_answer_of_python(watched, detector, number):
    files = sorted((SHARED / "volumes").glob("*.nii.gz"))
    check_studies(watched, detector, [files[number]])


# What is seen


def test_the_overlay_is_that_of_python(watched, detector):
    file = EXAMPLES / "flair_axial_synthetic_lesion.png"
    slice_ = read_slice(file)
    (finding,) = detector.predict(file)
    watched.judge(file)
    data = watched.page.evaluate("document.getElementById('canvas').toDataURL('image/png')")
    with Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))) as shown:
        mine = np.asarray(shown.convert("RGB"), float)
    wanted = np.asarray(draw(slice_, finding), float)[: mine.shape[0]]
    middle = wanted.shape[1] // 2  # the plain slice is on the left
    away = np.abs(mine - wanted[:, middle : middle + mine.shape[1]])
    assert away.mean() < 1.5
    assert np.quantile(away, 0.98) < 12  # text is set in another face


def test_arrows_leaf_and_letters_switch(watched, tmp_path):
    save_thick(tmp_path)
    watched.judge(sorted(tmp_path.iterdir()))
    page = watched.page
    page.focus("#slider")
    before = page.inner_text("#where-slice")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#where-slice") != before
    page.focus("#result")
    page.keyboard.press("h")
    assert not page.is_checked("#heat")
    page.keyboard.press("h")
    label = page.get_attribute("#canvas", "aria-label")
    assert label.startswith("Slice ")


@needs_axe
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing_serious(watched, tmp_path, scheme):
    save_study(tmp_path)
    watched.judge(sorted(tmp_path.rglob("IM*")))
    watched.page.emulate_media(color_scheme=scheme)
    assert list_serious(watched.page) == []


@pytest.mark.parametrize(
    ("strongest", "boxes", "said"),
    [
        (0.9, [[0, 0, 9, 9, 0.9]], "stays under the threshold"),
        (0.45, [], "Some evidence, below the threshold"),
        (0.05, [], ""),
    ],
)
def test_evidence_beside_no_tumor_is_explained(watched, strongest, boxes, said):
    finding = {"verdict": "no_tumor", "boxes": boxes, "activation": [0.0, strongest]}
    words = watched.page.evaluate(
        """async (finding) => {
          const { isWeak } = await import("/showing/overlay.js");
          const { saySlice } = await import("/showing/words.js");
          return saySlice(finding, { weak: isWeak(finding, 0.5) }, { kind: "slice" });
        }""",
        finding,
    )
    assert said in words
    assert bool(said) == bool(words)


@pytest.mark.parametrize(
    ("verdicts", "offset", "said"),
    [
        (["no_tumor", "tumor"], -9, "1 of 2 series says 'tumor' alone; the study weighs them"),
        (["tumor", "no_tumor", "tumor"], -9, "2 of 3 series say 'tumor' alone; the study weighs"),
        (["no_tumor", "tumor"], 9, ""),
        (["no_tumor", "no_tumor"], -9, ""),
    ],
)
def test_a_study_that_clears_a_tumor_series_says_so(watched, verdicts, offset, said):
    """As tests/studies/test_study_judging.py asks of Python."""
    series = [
        {"verdict": one, "tumor": 0.9 if one == "tumor" else 0.1, "sequence": "T1", "notes": []}
        for one in verdicts
    ]
    terms = {"offset": offset, "weights": {"other": 1}, "alike": 0.5}
    numbers = {"study": terms, "study_points": {"balanced": {"low": 0.5, "high": 0.5}}}
    study = watched.page.evaluate(
        """async ([series, numbers]) =>
          (await import("/judging/study.js")).judgeStudy(series, numbers)""",
        [series, numbers],
    )
    assert study["verdict"] == ("no_tumor" if offset < 0 else "tumor")
    assert len(study["notes"]) == bool(said)
    assert "".join(study["notes"]).startswith(said)


@pytest.mark.parametrize(("outside", "judged"), [(None, True), (1.0, True), (1.2, False)])
def test_what_is_no_mri_of_the_brain_is_not_judged(watched, outside, judged):
    """The network's answers are given, the page judges by them."""
    verdict, words = watched.page.evaluate(
        """async (outside) => {
          const { Model } = await import("/judging/model.js");
          const { saySure } = await import("/showing/words.js");
          const array = (values, dims) => ({ data: Float32Array.from(values), dims });
          const outputs = {
            probabilities: array([0.9, 0.1], [1, 2]), activation: array([0.1, 0, 0, 0], [1, 2, 2]),
            unfamiliarity: array([0.1], [1]), brain: array([1, 1, 1, 1], [1, 2, 2]),
          };
          if (outside !== null) outputs.outside = array([outside], [1]);
          const card = {
            classes: ["no_tumor", "tumor"], tumor_classes: ["tumor"], cell_threshold: 0.5,
            preprocess: { version: 2, size: 64 },
            operating_points: { balanced: { low: 0.4, high: 0.6 } },
          };
          const model = new Model(card, null, { run: async () => outputs });
          const pixels = Float32Array.from({ length: 4096 }, (_, i) => i % 64);
          const info = { spacing: [1, 1] };
          const slice = { pixels, width: 64, height: 64, info, contrast: null };
          const finding = await model.judge(slice);
          return [finding.verdict, saySure(finding, model.thresholds, "slice")];
        }""",
        outside,
    )
    assert verdict == ("no_tumor" if judged else "not_judged")
    assert ("no MRI of the brain" in words) != judged


# What the page may do


ATTACK = """async () => {
  const blocked = [], note = (event) => blocked.push(event.effectiveDirective);
  document.addEventListener("securitypolicyviolation", note);
  const add = (name, values) =>
    document.body.append(Object.assign(document.createElement(name), values));
  add("script", { textContent: "window.ran = true" });
  add("img", { src: "http://localhost:9/slice.png" });
  add("style", { textContent: "body { color: red }" });
  const sending = fetch("http://localhost:9/told", { method: "POST", body: "1", mode: "no-cors" });
  const sent = await sending.then(() => true, () => false);
  await new Promise((done) => setTimeout(done, 300));
  return { ran: Boolean(window.ran), sent, blocked: [...new Set(blocked)].sort() };
}"""


def test_the_page_runs_nothing_of_others_and_sends_nothing(site, browser):
    with pages.serve(site) as address:
        one = pages.Watched.of(browser)
        one.open(f"{address}?blank")
        found = one.page.evaluate(ATTACK)
        one.page.close()
    assert found.pop("blocked") == ["connect-src", "img-src", "script-src-elem", "style-src-elem"]
    assert found == {"ran": False, "sent": False}


def test_the_page_works_without_a_network_after_the_first_visit(site, browser):
    context = browser.new_context()
    with pages.serve(site) as address:
        one = pages.Watched.of(context)
        one.open(address)
        one.page.wait_for_selector("#offline:not(:empty)", timeout=60_000)
    one.complaints.clear()  # the server is gone
    one.page.reload()
    one.page.wait_for_selector("body[data-state=done]", timeout=60_000)
    found = one.judge(EXAMPLES / "t2_axial_normal.png")
    context.close()
    assert found["verdict"] is not None
    assert one.complaints == []


@pytest.mark.slow
def test_the_eight_bit_model_stays_near_the_float_one(site, browser, detector):
    with pages.serve(site) as address:
        one = pages.Watched.of(browser)
        one.open(f"{address}?blank")
        for file in sorted(EXAMPLES.glob("*.png")):
            (wanted,) = detector.predict(file)
            assert one.judge(file)["tumor"] == pytest.approx(wanted.tumor_probability, abs=0.15)
        one.page.close()
