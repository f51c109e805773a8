"""Label maps, statistics and vectors are no scans: told in a folder, refused where named."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.sources import Skipped, Source, find_sources
from tumorlens.imaging.readers import read_object, read_slice, read_slices
from tumorlens.imaging.volumes.content import is_label_map

SHAPE = (40, 48, 32)
SCAN = np.random.default_rng(0).normal(400, 60, SHAPE).astype(np.int16)
LABEL_MAP = "looks like a label map, not a scan"


def paint_labels(*labels):
    """A head in slabs of 4 voxels, each of the next label."""
    slabs = np.array(labels)[np.arange(SHAPE[0]) // 4 % len(labels)]
    return np.where(builders.paint_head(SHAPE) > 0, slabs[:, None, None], 0)


LABELS = {
    "anything.nii.gz": paint_labels(1).astype(np.uint8),
    "white.nii": paint_labels(255).astype(np.uint8),
    "tumor.nii.gz": paint_labels(1, 2, 4).astype(np.float64),
    "unsure.nii": paint_labels(-1, 1).astype(np.int16),
    "aseg.nii.gz": paint_labels(*range(2, 90, 7)).astype(np.int32),
    "aparc.a2009s+aseg.nii.gz": paint_labels(*range(1000, 1040, 4)).astype(np.float32),
    "sub-1_T1w_seg.nii": paint_labels(*range(10)).astype(np.int16),
    "sub-1_label-GM_probseg.nii.gz": (paint_labels(*range(1, 9)) / 8.3).astype(np.float32),
}
SCANS = {
    "sub-1_T1w.nii.gz": SCAN,
    "sub-1_label.nii.gz": SCAN,  # values decide
    "mask.nii": (SCAN % 250).astype(np.uint8),
    "T1_masked.nii": np.where(builders.paint_head(SHAPE) > 0, SCAN, 0),
    "coarse_seg.nii": (SCAN // 20).astype(np.uint8),
    "shares.nii": (SCAN / SCAN.max()).astype(np.float32),
    "levels.nii": paint_labels(0, 500, 3000).astype(np.int16),
}


@pytest.mark.parametrize("name", LABELS)
def test_a_label_map_is_skipped_in_a_folder_and_refused_by_name(tmp_path, name) -> None:
    path = builders.write_nifti(tmp_path / name, LABELS[name])
    assert list(find_sources([tmp_path])) == [Skipped(str(path), LABEL_MAP)]
    with pytest.raises(InputError, match="label map") as caught:
        list(read_slices(path))
    assert caught.value.reason == LABEL_MAP and "Detector.predict" in caught.value.advice


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_is_read_whatever_its_name(tmp_path, name) -> None:
    path = builders.write_nifti(tmp_path / name, SCANS[name])
    assert isinstance(next(find_sources([tmp_path])), Source)
    assert list(read_slices(path))


@pytest.mark.parametrize(
    ("intent", "what"),
    [(1002, "a label map"), (5, "a map of statistics"), (1007, "a field of vectors")],
)
def test_a_header_may_say_what_its_voxels_are(tmp_path, intent, what) -> None:
    image = nib.Nifti1Image(SCAN, np.eye(4))
    image.header["intent_code"] = intent
    nib.save(image, tmp_path / "a.nii.gz")
    assert list(find_sources([tmp_path])) == [
        Skipped(str(tmp_path / "a.nii.gz"), f"looks like {what}, not a scan")
    ]
    with pytest.raises(InputError, match=what):
        list(read_slices(tmp_path / "a.nii.gz"))


def test_a_map_of_one_value_shows_nothing(tmp_path) -> None:
    path = builders.write_nifti(tmp_path / "mask.nii.gz", np.zeros(SHAPE, np.uint8))
    assert isinstance(next(find_sources([tmp_path])), Source)
    with pytest.raises(InputError, match="constant image"):
        list(read_slices(path))


def test_label_maps_are_read_where_asked_for_and_from_memory(tmp_path) -> None:
    labels = LABELS["tumor.nii.gz"]
    path = builders.write_nifti(tmp_path / "a.nii.gz", labels)
    assert set(np.unique(read_slice(path, 16, any_content=True).pixels)) == {0, 1, 2, 4}
    assert list(read_object(nib.load(path)))
    assert list(read_object(labels.transpose(2, 1, 0)))


def test_a_scan_is_told_by_its_first_voxels() -> None:
    def parts():
        yield SCAN.ravel()
        raise AssertionError("read on")

    assert not is_label_map(parts(), "scan.nii")


def test_a_scan_that_begins_with_background_is_told_later() -> None:
    assert not is_label_map([np.zeros(9999, np.int16), SCAN.ravel()], "scan.nii")


def test_what_is_no_number_is_no_label() -> None:
    labels = LABELS["tumor.nii.gz"].ravel()
    labels[labels == 0] = np.nan
    assert is_label_map([labels], "a.nii")
    assert not is_label_map([np.full(9, np.nan)], "mask.nii")


def test_a_damaged_file_in_a_folder_is_left_to_its_reader(tmp_path) -> None:
    path = builders.write_nifti(tmp_path / "a.nii.gz", LABELS["tumor.nii.gz"])
    path.write_bytes(path.read_bytes()[:200])
    assert isinstance(next(find_sources([tmp_path])), (Source, Skipped))
