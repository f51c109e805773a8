"""A mark on the patient's left, in front and high, laid back on the frames as they are stored."""

from __future__ import annotations

import numpy as np
import pytest

import builders
from tumorlens.finding import Finding
from tumorlens.imaging.files.limits import DEFAULT_LIMITS
from tumorlens.imaging.readers import read_slices
from tumorlens.integration.dicom.attributes import Header, Identity, Maker, copy_attributes
from tumorlens.integration.dicom.segmentations import make_segmentation
from tumorlens.integration.dicom.stored_evidence import lay_evidence, to_stored
from tumorlens.integration.dicom.stored_frames import read_source
from tumorlens.study_finding import SeriesFinding

sitk = pytest.importorskip("SimpleITK")

HEAD = builders.paint_head((20, 24, 16))
MARK = np.argwhere(HEAD > 2000).mean(axis=0)
THIN, THICK = (2.0, 2.0, 2.0), (2.0, 2.0, 9.0)


def write_head(folder, spacing, order, signs):
    """The head stored along other axes; slices lie along the first one."""
    volume, lps = builders.store_volume(HEAD, spacing, order, signs)
    builders.write_series(folder, volume, lps, FrameOfReferenceUID="1.2.9")
    return volume


def judge(folder, reads=read_slices):
    """Findings whose evidence is the mark itself, their planes and their source."""
    slices = list(reads(folder))
    planes = {
        (one.info.path, one.info.frame): ((one.pixels > 2000) * 255).astype(np.uint8)
        for one in slices
    }
    findings = [Finding(one.info, "tumor", 0.9) for one in slices]
    series = SeriesFinding.of(findings)
    return findings, planes, read_source(series, DEFAULT_LIMITS)


def save_map(path, findings, planes, source):
    header = Header(
        copy_attributes(source.first, deidentified=False)[0],
        Identity("1.2.3.1", "1.2.3.2", 9100, "evidence"),
        Maker("tiny 0", "0" * 64),
        [],
    )
    made = make_segmentation(lay_evidence(findings, planes, source), source, header)
    made.save_as(path)
    return made


@pytest.mark.parametrize("spacing", [THIN, THICK], ids=["thin", "thick"])
@pytest.mark.parametrize(("order", "signs"), builders.AXIS_ORDERS[::3])
def test_evidence_lies_where_the_mark_is_stored(tmp_path, spacing, order, signs):
    volume = write_head(tmp_path, spacing, order, signs)
    findings, planes, source = judge(tmp_path)
    laid = lay_evidence(findings, planes, source)
    stored = {one.path: one.place.number for one in source.frames}
    for frame, plane in zip(source.frames, laid, strict=True):
        np.testing.assert_array_equal(plane > 0, volume[stored[frame.path] - 1] > 2000)
    for one in findings:
        key = (one.info.path, one.info.frame)
        if key in source.by_key and planes[key].any():
            rows, columns = np.nonzero(planes[key])
            place = source.by_key[key].place
            right, down = to_stored(place, columns.mean() + 0.5, rows.mean() + 0.5)
            middle = np.argwhere(volume[place.number - 1] > 2000).mean(axis=0) + 0.5
            assert (down, right) == pytest.approx(tuple(middle))


@pytest.mark.parametrize("spacing", [THIN, THICK], ids=["thin", "thick"])
@pytest.mark.parametrize(("order", "signs"), builders.AXIS_ORDERS[::5])
def test_another_library_finds_the_mark_on_its_side(tmp_path, spacing, order, signs):
    write_head(tmp_path / "head", spacing, order, signs)
    save_map(tmp_path / "map.dcm", *judge(tmp_path / "head"))
    image = sitk.ReadImage(str(tmp_path / "map.dcm"))
    z, y, x = (float(one) for one in np.argwhere(sitk.GetArrayFromImage(image) > 0).mean(axis=0))
    found = image.TransformContinuousIndexToPhysicalPoint((x, y, z))
    np.testing.assert_allclose(found, MARK * spacing, atol=0.01)
