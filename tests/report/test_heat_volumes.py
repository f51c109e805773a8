"""Evidence as a volume: it lies where the lesion lies, in patient space, whatever the source."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from builders import write_nifti
from heads import paint_slice
from models import write_tiny_model
from tumorlens.detector import Detector
from tumorlens.errors import InputError
from tumorlens.imaging.files.sources import Skipped, Source, find_sources
from tumorlens.imaging.readers import read_slices
from tumorlens.report.pictures.heat_volumes import EvidenceVolumes
from tumorlens.studies.assembling import SeriesGatherer

LESION = (30, 40)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return Detector(write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx"), threads=1)


def judge(detector, volumes, path):
    gatherer, series = SeriesGatherer(None), []
    for slice_, finding in detector.iterate([path]):
        volumes.keep(slice_, finding)
        series += gatherer.add(finding)
    return [*series, *gatherer.close()]


def make_volume():
    slices = [paint_slice(LESION if 5 <= z < 9 else None) for z in range(20)]
    return np.stack([one.T for one in slices], axis=2).astype(np.float32)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_evidence_lies_where_the_lesion_lies(detector, tmp_path, flips):
    volume = make_volume()[:: flips[0], :: flips[1], :: flips[2]]
    lps = np.diag([*(2.0 * np.array(flips)), 1.0]) @ np.diag([1, 1, 2.5, 1])
    path = write_nifti(tmp_path / "brain.nii.gz", volume, lps)
    volumes = EvidenceVolumes(tmp_path / "evidence")
    (series,) = judge(detector, volumes, path)
    assert volumes.settle(series) == ""
    source, made = nib.load(path), nib.load(volumes.place(series))
    heat = np.asarray(made.dataobj)
    assert heat.shape == volume.shape
    assert 50 < heat.max() <= 100
    wanted = np.argwhere(np.asarray(source.dataobj) > 0.9 * volume.max())
    found = np.argwhere(heat > 0.8 * heat.max())
    centres = [
        nib.affines.apply_affine(image.affine, places.mean(axis=0))
        for image, places in ((source, wanted), (made, found))
    ]
    np.testing.assert_allclose(centres[1], centres[0], atol=17)  # half of a cell


def test_an_evidence_volume_is_no_scan_for_the_next_run(detector, tmp_path):
    path = write_nifti(tmp_path / "brain.nii.gz", make_volume(), np.diag([1.0, 1.0, 4.0, 1.0]))
    volumes = EvidenceVolumes(tmp_path)
    (series,) = judge(detector, volumes, path)
    assert volumes.settle(series) == ""
    written = volumes.place(series)
    found = list(find_sources([tmp_path]))
    assert [one.path for one in found if isinstance(one, Source)] == [str(path)]
    assert Skipped(str(written), "a result of tumorlens") in found
    with pytest.raises(InputError, match="is a result of tumorlens; give the scan itself"):
        list(read_slices(written))


def test_slices_that_were_not_judged_hold_nothing(detector, tmp_path):
    path = write_nifti(tmp_path / "brain.nii.gz", make_volume(), np.diag([1.0, 1.0, 4.0, 1.0]))
    volumes = EvidenceVolumes(tmp_path / "evidence")
    slice_, finding = next(iter(detector.iterate([path])))
    volumes.keep(slice_, replace(finding, verdict="not_judged"))
    (plane,) = volumes._planes.values()
    assert not plane.any()


def test_pictures_without_a_place_make_no_volume(detector, tmp_path):
    volumes = EvidenceVolumes(tmp_path / "evidence")
    gatherer, series = SeriesGatherer(None, "folder"), []
    for slice_, finding in detector.iterate([paint_slice(LESION)]):
        volumes.keep(slice_, finding)
        series += gatherer.add(finding)
    (one,) = [*series, *gatherer.close()]
    assert "its place in the patient is not known" in volumes.settle(one)
    assert not list(volumes.folder.iterdir())
