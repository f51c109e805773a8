"""Files that are handed in get the records of `predict`, and scenes that show what was judged."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

import tumorlens
from builders import write_nifti, write_series
from heads import paint_slice
from study_tables import write_study_model
from tumorlens.detector import Detector
from tumorlens.errors import InputError, UsageError
from tumorlens.serving import outcomes
from tumorlens.serving.judging import judge_files

GAPS = np.diag([1.0, 1.0, 4.0, 1.0])


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return Detector(write_study_model(tmp_path_factory.mktemp("model")), threads=2)


def paint_volume(spots=range(8, 12), slices=20):
    """(slices, H, W)."""
    return np.stack([paint_slice((30, 30) if k in spots else None) for k in range(slices)])


@pytest.fixture(scope="module")
def handed(tmp_path_factory):
    """A subject of two series, a DICOM series, a picture, a text and a file that is broken."""
    folder = tmp_path_factory.mktemp("handed")
    anat = folder / "sub-01" / "anat"
    anat.mkdir(parents=True)
    stored = paint_volume().transpose(2, 1, 0).astype(np.int16)
    write_nifti(anat / "sub-01_FLAIR.nii.gz", stored, GAPS)
    write_nifti(anat / "sub-01_T1w.nii.gz", paint_volume(()).transpose(2, 1, 0) * 1.25, GAPS)
    lps = np.eye(4)[:, [2, 1, 0, 3]] @ np.diag([5.0, 1.0, 1.0, 1.0])
    write_series(folder / "dicom", paint_volume(slices=9).astype(np.uint16), lps)
    Image.fromarray(paint_slice()).save(folder / "alone.png")
    (folder / "notes.txt").write_text("no image")
    (folder / "torn.png").write_bytes(b"\x89PNG torn")
    return folder


@pytest.fixture(scope="module")
def judged(detector, handed, tmp_path_factory):
    heard, folder = [], tmp_path_factory.mktemp("scenes")
    judgement = judge_files((str(handed),), detector, folder, below=handed, hear=heard.append)
    assert heard[-1].slices == 20 + 20 + 9 + 1
    return judgement


def timeless(record):
    return {name: value for name, value in record.items() if name != "seconds"}


def test_records_are_those_of_predict_with_the_names_of_the_sender(
    judged, detector, handed, tmp_path, monkeypatch
):
    monkeypatch.chdir(handed)
    tumorlens.write_records(".", tmp_path / "r.jsonl", model=detector, summary=True)
    wanted = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert list(map(timeless, judged.records)) == list(map(timeless, wanted))
    assert str(handed) not in json.dumps(judged.records)


def test_without_scenes_records_and_studies_are_the_same(judged, detector, handed):
    heard = []
    bare = judge_files((str(handed),), detector, None, below=handed, hear=heard.append)
    assert bare.scenes == ()
    assert list(map(timeless, bare.records)) == list(map(timeless, judged.records))
    assert [one.verdict for one in bare.studies] == [one.verdict for one in judged.studies]
    assert heard[-1].slices == 50


def test_each_series_and_picture_has_a_scene(judged):
    told = outcomes.describe_judgement(judged)
    by_name = {scene["path"]: scene for scene in told["scenes"]}
    assert set(by_name) == {
        *("sub-01/anat/sub-01_FLAIR.nii.gz", "sub-01/anat/sub-01_T1w.nii.gz"),
        *("dicom", "alone.png"),
    }
    assert by_name["dicom"]["shape"] == [9, 128, 112]
    assert by_name["alone.png"]["series"] is None
    assert {len(study["scenes"]) for study in told["studies"]} == {1, 2}
    for study in told["studies"]:
        for number, series in zip(study["scenes"], study["series"], strict=True):
            assert told["scenes"][number]["path"] == series["path"]
    assert [one["path"] for one in told["errors"]] == ["torn.png"]
    assert sum(told["skipped"].values()) == 1
    json.dumps(told)


def find(judged, name):
    return next(scene for scene in judged.scenes if name in scene.info.path)


@pytest.mark.parametrize("name", ["FLAIR", "T1w", "dicom", "alone.png"])
def test_a_scene_shows_the_slices_that_were_judged(judged, handed, name):
    scene = find(judged, name)
    slices = {
        (one.info.path, one.info.frame): one.pixels for one in tumorlens.read(handed / "sub-01")
    } | {(one.info.path, one.info.frame): one.pixels for one in tumorlens.read(handed / "dicom")}
    scan, heat = nib.load(scene.scan), nib.load(scene.heat)
    assert scan.shape == heat.shape == scene.shape[::-1]
    np.testing.assert_allclose(scan.affine, scene.affine)
    for number, finding in enumerate(scene.findings):
        shown = np.asarray(scan.dataobj)[..., number].T
        np.testing.assert_array_equal(shown, scene.read_slice(number).pixels)
        place = (str(handed / finding.info.path), finding.info.frame)
        if place in slices:
            np.testing.assert_array_equal(shown, slices[place])


def test_heat_is_where_the_lesion_is_and_nowhere_else(judged):
    heat = np.asarray(nib.load(find(judged, "FLAIR").heat).dataobj)
    assert heat[38, 38, 9] > 200
    assert heat[..., :7].max() < 130  # beside `no tumor` it ends at the threshold
    assert heat[:5].max() == 0  # outside of the head


def test_a_tilted_series_is_shown_straight_and_keeps_its_sides(detector, tmp_path):
    tilt = np.deg2rad(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    path = write_nifti(tmp_path / "tilted.nii", paint_volume().transpose(2, 1, 0), turn @ GAPS)
    (scene,) = judge_files((str(path),), detector, tmp_path).scenes
    assert np.count_nonzero(scene.affine[:3, :3]) == 3
    np.testing.assert_allclose(np.diag(scene.affine)[:3], [-1, -1, 4])
    assert scene.reason == ""


def test_slices_without_a_place_are_laid_in_a_row(judged):
    scene = find(judged, "alone.png")
    assert "the place of its slices in the patient is not known" in scene.reason
    with pytest.raises(InputError, match="it is a single picture"):
        outcomes.write_evidence(scene, scene.folder)


def test_what_people_take_along(judged, detector):
    scene = find(judged, "FLAIR")
    assert draw_size(outcomes.draw_slice(scene, 9))[0] >= 512
    assert max(draw_size(outcomes.draw_small(scene))) <= 128
    evidence = nib.load(outcomes.write_evidence(scene, scene.folder))
    assert evidence.shape == (112, 128, 20)
    assert evidence.affine[2, 2] == 4
    lines = outcomes.to_lines(judged.records).splitlines()
    assert [json.loads(line) for line in lines] == list(judged.records)


def draw_size(data):
    import io

    return Image.open(io.BytesIO(data)).size


def test_the_report_is_the_page_of_predict(judged, detector):
    pytest.importorskip("jinja2")
    page = outcomes.render_report(judged, judged.studies, detector.session)
    assert page.count("data:image/jpeg") >= 24
    assert "sub-01" in page
    assert detector.card.full_name in outcomes.render_card(detector.session)


def test_a_model_tells_its_thresholds_and_the_colours_of_its_heat(detector):
    told = outcomes.describe_model(detector)
    assert set(told["thresholds"]) == {"slice", "series", "study"}
    assert np.array(told["heat"]).shape == (256, 4)
    assert told["heat"][0][3] == 0


def test_nothing_to_judge_is_an_error(detector, tmp_path):
    (tmp_path / "words.txt").write_text("no image")
    with pytest.raises(UsageError, match="no image found"):
        judge_files((str(tmp_path),), detector, tmp_path)
