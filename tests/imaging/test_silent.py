"""Odd files whose slices are judged, or are not, and say why."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pydicom
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.readers import read_slices
from tumorlens.imaging.sources import Skipped, find_sources

HEAD = builders.paint_head((60, 72, 40)) + np.arange(72, dtype=np.uint16)[:, np.newaxis]
AXIAL, PLACE = builders.store_volume(HEAD, (1, 1, 4), (2, 1, 0), (1, 1, 1))


def notes_of(path):
    return [one.info.notes for one in read_slices(path)]


def test_a_series_that_is_a_localizer_says_so(tmp_path):
    for number, order in enumerate([(2, 1, 0), (1, 2, 0), (0, 2, 1)]):
        stored, place = builders.store_volume(HEAD, (1, 1, 4), order, (1, 1, 1))
        middle = len(stored) // 2
        place[:3, 3] += place[:3, 0] * middle
        for file in builders.write_series(tmp_path / "made", stored[middle : middle + 2], place):
            file.rename(tmp_path / f"{number}{file.name}")
    notes = notes_of(tmp_path)
    assert len(notes) == 6
    assert {one for told in notes for one in told} == {
        "one of 3 planes in its series, as of a localizer"
    }


def test_slices_without_a_place_are_no_localizer(tmp_path):
    for file in builders.write_series(tmp_path, AXIAL, PLACE)[3:6]:
        dataset = pydicom.dcmread(file)
        del dataset.ImagePositionPatient
        dataset.save_as(file)
    told = {note for notes in notes_of(tmp_path) for note in notes}
    assert "tells less of its place than the 37 slices of its series: read by itself" in told
    assert not any("localizer" in note for note in told)


def test_frames_without_an_orientation_say_so(tmp_path):
    dataset = builders.make_enhanced(AXIAL, PLACE, [1] * len(AXIAL))
    del dataset.SharedFunctionalGroupsSequence
    path = builders.save_dataset(tmp_path / "enhanced.dcm", dataset)
    note = "the files state no orientation: plane and sides are unknown"
    assert all(note in notes for notes in notes_of(path))


def test_a_negative_slope_is_told(tmp_path):
    path = builders.write_dicom(
        tmp_path / "a.dcm", AXIAL[20], RescaleSlope=-1, RescaleIntercept=4000
    )
    assert notes_of(path) == [("a negative Rescale Slope turns dark and bright round",)]
    image = nib.Nifti1Image(HEAD.astype(np.int16), np.diag([1, 1, 4, 1]))
    image.header.set_slope_inter(-1, 4000)
    nib.save(image, tmp_path / "a.nii")
    note = "a negative scl_slope turns dark and bright round"
    assert all(note in notes for notes in notes_of(tmp_path / "a.nii"))


def test_a_mask_of_one_bit_a_pixel_is_no_picture(tmp_path):
    dataset = builders.make_dataset((AXIAL[20] > 520).astype(np.uint8))
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    bits = np.packbits((AXIAL[20] > 520).ravel(), bitorder="little").tobytes()
    dataset.PixelData = bits + bytes(len(bits) % 2)
    path = builders.save_dataset(tmp_path / "mask.dcm", dataset)
    assert list(find_sources([tmp_path])) == [
        Skipped(str(path), "is a mask of one bit a pixel, no picture")
    ]
    with pytest.raises(InputError, match="mask of one bit"):
        list(read_slices(path))


def test_what_an_archive_holds_besides_dicom_is_told(tmp_path):
    inner = builders.write_zip(tmp_path / "inner.zip", {"a.txt": b"words"})
    picture = builders.write_picture(tmp_path / "a.png", AXIAL[20].astype(np.uint8))
    path = tmp_path / "outer.zip"
    builders.write_zip(path, {"inner.zip": inner, "a.png": picture, "a.txt": b"words"})
    reasons = {one.path: one.reason for one in find_sources([path])}
    nested = "no DICOM file, but what is read outside of an archive: unpack it"
    assert reasons == {
        f"{path}/inner.zip": nested,
        f"{path}/a.png": nested,
        f"{path}/a.txt": "no DICOM file",
        str(path): "holds no DICOM image",
    }
