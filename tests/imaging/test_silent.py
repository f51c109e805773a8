"""Odd files whose slices are judged, or are not, and say why."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.sources import Skipped, find_sources
from tumorlens.imaging.readers import read_object, read_slices

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
    assert "states less about its place than 37 slices of its series: read by itself" in told
    assert not any("localizer" in note for note in told)


def test_frames_without_an_orientation_say_so(tmp_path):
    dataset = builders.make_enhanced(AXIAL, PLACE, [1] * len(AXIAL))
    del dataset.SharedFunctionalGroupsSequence
    path = builders.save_dataset(tmp_path / "enhanced.dcm", dataset)
    note = "no valid orientation in the files: plane and sides are unknown"
    assert all(note in notes for notes in notes_of(path))


def test_a_negative_slope_is_told(tmp_path):
    path = builders.write_dicom(
        tmp_path / "a.dcm", AXIAL[20], RescaleSlope=-1, RescaleIntercept=4000
    )
    assert notes_of(path) == [("a negative Rescale Slope swaps dark and bright",)]
    image = nib.Nifti1Image(HEAD.astype(np.int16), np.diag([1, 1, 4, 1]))
    image.header.set_slope_inter(-1, 4000)
    nib.save(image, tmp_path / "a.nii")
    note = "a negative scl_slope swaps dark and bright"
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
    nested = "no DICOM file: files of its type are read only outside of an archive, so unpack it"
    assert reasons == {
        f"{path}/inner.zip": nested,
        f"{path}/a.png": nested,
        f"{path}/a.txt": "no DICOM file",
        str(path): "holds no DICOM image, but 2 other images or archives",
    }


def test_sizes_of_pixels_that_are_mixed_in_a_series_are_told(tmp_path):
    for file in builders.write_series(tmp_path, AXIAL, PLACE)[::2]:
        dataset = pydicom.dcmread(file)
        dataset.PixelSpacing = [2, 2]
        dataset.save_as(file)
    note = "one of 2 parts of its series, which differ in size, spacing or direction"
    assert all(note in notes for notes in notes_of(tmp_path))


def test_a_size_of_pixels_that_makes_no_sense_is_told(tmp_path):
    path = builders.write_dicom(tmp_path / "a.dcm", AXIAL[20], PixelSpacing=[-1, -1])
    assert notes_of(path) == [("the stated pixel size makes no sense: it is ignored",)]


def test_moving_pictures_say_that_one_of_them_is_read(tmp_path):
    first = Image.fromarray((AXIAL[20] // 12).astype(np.uint8))
    for name in ("a.png", "a.webp"):
        first.save(
            tmp_path / name, save_all=True, append_images=[first.rotate(90), first.rotate(180)]
        )
        assert notes_of(tmp_path / name) == [
            ("the first of 3 frames of a moving picture: the others are left out",)
        ]


@pytest.mark.parametrize(
    "unit, size, converted",
    [
        ("meter", 1e-3, 1),
        ("micron", 1e3, 1),
        ("meter", 1, None),
        ("micron", 1, None),
        ("unknown", 1e-3, 1),
        ("unknown", 1e3, 1),
    ],
)
def test_voxels_in_metres_are_read_in_millimetres(tmp_path, unit, size, converted):
    image = nib.Nifti1Image(HEAD, np.diag([size, size, 4 * size, 1]))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    for slices in (list(read_slices(tmp_path / "a.nii")), list(read_object(image))):
        assert slices[0].info.spacing_mm == pytest.approx((1, 1))
        gap = slices[1].info.position_mm - slices[0].info.position_mm
        assert gap == pytest.approx(4)
        assert any("converted to mm" in note for note in slices[0].info.notes) == bool(converted)


def test_a_head_as_small_as_that_of_a_mouse_is_doubted(tmp_path):
    size = {"PixelSpacing": [0.1, 0.1], "ImageOrientationPatient": builders.AXIAL}
    dicom = builders.write_dicom(tmp_path / "a.dcm", AXIAL[20], **size)
    nifti = builders.write_nifti(tmp_path / "a.nii", HEAD, np.diag([0.1, 0.1, 0.5, 1]))
    for notes in (*notes_of(dicom), notes_of(nifti)[0]):
        assert any("smaller than a head: perhaps an animal" in note for note in notes)
