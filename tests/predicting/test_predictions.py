"""From files to studies."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

import tumorlens
from builders import write_nifti, write_series
from heads import paint_slice
from study_tables import write_study_model
from tumorlens.errors import ModelFileError, UsageError
from tumorlens.finding import Findings
from tumorlens.model.graph import write_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_study_model(tmp_path_factory.mktemp("model"))


def paint_volume(slices=20, lesion=slice(8, 14)):
    """[x, y, z]: heads, some with a bright lesion."""
    marks = np.zeros(slices, bool)
    marks[lesion] = True
    planes = [paint_slice((40, 30) if mark else None).T for mark in marks]
    return np.stack(planes, axis=2).astype(np.int16)


SPACING = np.diag([1.0, 1.0, 3.0, 1.0])


def test_a_volume_is_a_study_with_its_run_and_peak(model, tmp_path):
    path = write_nifti(tmp_path / "v.nii.gz", paint_volume(), SPACING)
    (study,) = tumorlens.predict_studies(path, model=model)
    assert study.verdict == "tumor"
    assert (study.run.first, study.run.last) == ((str(path), 8), (str(path), 13))
    assert study.run.length_mm == pytest.approx(18)
    assert study.path == str(path)
    assert study.series[0].plane == "axial"
    assert len(study.series[0].findings) == 20
    assert study.series[0].findings[8].activation is not None


def test_series_of_one_study_are_judged_together(model, tmp_path):
    place = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [3, 0, 0, 0], [0, 0, 0, 1.0]])
    clear, ill = paint_volume(lesion=slice(0, 0)), paint_volume()
    for uid, volume in (("1.1", clear), ("1.2", ill)):
        write_series(
            tmp_path / uid,
            volume.transpose(2, 1, 0).astype(np.uint16),
            place,
            SeriesInstanceUID=uid,
            StudyInstanceUID="1.9",
        )
    (study,) = tumorlens.predict_studies(tmp_path, model=model)
    assert study.study_instance_uid == "1.9"
    assert [one.verdict for one in study.series] == ["no_tumor", "tumor"]
    assert study.leading == 1
    assert study.path == str(tmp_path)


def test_pictures_are_a_series_only_if_said(model, tmp_path):
    for index, pixels in enumerate(np.moveaxis(paint_volume(), 2, 0)):
        Image.fromarray(pixels.T.astype(np.uint8)).save(tmp_path / f"slice{index}.png")
    assert tumorlens.predict_studies(tmp_path, model=model) == []
    (study,) = tumorlens.predict_studies(tmp_path, model=model, series_from="folder")
    assert study.verdict == "tumor"
    assert study.run.length_mm is None
    assert study.run.first[0].endswith("slice8.png")


def test_a_model_without_numbers_gives_no_verdict(model, tmp_path):
    path = write_nifti(tmp_path / "v.nii", paint_volume(), SPACING)
    (study,) = tumorlens.predict_studies(path, model=model.with_name("tiny.onnx"))
    assert study.verdict is None
    assert "slices only" in study.notes[-1]
    assert study.series[0].tumor_slices == 6


def test_damaged_numbers_are_named(model, tmp_path):
    write_model(model, tmp_path / "bad.onnx", studies='{"schema": 1}')
    with pytest.raises(ModelFileError, match=r"bad\.onnx.*slice_logit"):
        tumorlens.predict_studies(np.ones((64, 64)), model=tmp_path / "bad.onnx")


def test_an_open_detector_serves(model, tmp_path):
    detector = tumorlens.Detector(model, threads=1)
    path = write_nifti(tmp_path / "v.nii", paint_volume(), SPACING)
    (study,) = tumorlens.predict_studies(path, model=detector)
    assert study.model == detector.name


def test_findings_become_a_table(model, tmp_path, monkeypatch):
    path = write_nifti(tmp_path / "v.nii", paint_volume(), SPACING)
    studies = tumorlens.predict_studies(path, model=model)
    assert [record["kind"] for record in studies.to_records()] == ["study"]
    slices = tumorlens.predict(path, model=model)
    assert isinstance(slices, Findings)
    assert len(slices.to_records()) == len(slices) == 20
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        slices.to_frame()
