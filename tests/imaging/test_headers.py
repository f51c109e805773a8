"""What headers say in other places, with other signs or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.sources import find_sources
from tumorlens.imaging.pixels.voxels import FAR_INTERCEPT
from tumorlens.imaging.readers import iterate_slices, read_slices

PIXELS = np.arange(32 * 40, dtype=np.uint16).reshape(32, 40)


def read(tmp_path, pixels=PIXELS, **elements):
    (slice_,) = read_slices(builders.write_dicom(tmp_path / "a", pixels, **elements))
    return slice_


@pytest.mark.parametrize(
    ("elements", "spacing", "note"),
    [
        ({"PixelSpacing": [0.5, 0.25], "ImagerPixelSpacing": [2, 1]}, (0.5, 0.25), ""),
        ({"ImagerPixelSpacing": [0.5, 0.25]}, (0.5, 0.25), "Imager Pixel Spacing"),
        ({"NominalScannedPixelSpacing": [0.4, 0.2]}, (0.4, 0.2), "Nominal Scanned"),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.4, 0.2]}, (0.4, 0.2), "Imager"),
        ({"PixelAspectRatio": ["2", "1"]}, (2, 1), "Pixel Aspect Ratio"),
        ({"PixelAspectRatio": ["5", "8"]}, (0.625, 1), "Pixel Aspect Ratio"),
        ({"PixelAspectRatio": ["1", "1"]}, None, ""),
        ({"PixelAspectRatio": ["0", "1"]}, None, ""),
        ({"PixelSpacing": [1, 1], "PixelAspectRatio": ["2", "1"]}, (1, 1), ""),
        ({"ImagerPixelSpacing": [1e9, 1e9]}, None, "makes no sense"),
    ],
)
def test_the_spacing_is_looked_for_in_several_places(tmp_path, elements, spacing, note):
    info = read(tmp_path, **elements).info
    assert info.spacing_mm == spacing
    assert note in "".join(info.notes) and bool(note) == bool(info.notes)


@pytest.mark.parametrize(
    ("pixels", "representation", "value", "limit"),
    [
        (np.int16, 0, 63536, None),  # -2000 as if it were unsigned
        (np.uint16, 1, -2000, None),  # 63536 as if it were signed
        (np.int16, 1, -2000, None),
        (np.uint16, 0, 63536, None),
        (np.int16, 0, 63530, 63540),
        (np.uint16, 1, -2006, -1996),
        (np.int8, 0, 136, None),
    ],
)
def test_padding_of_the_other_sign_is_background(tmp_path, pixels, representation, value, limit):
    values = PIXELS % 100 + 5
    stored = values.astype(pixels)
    stored[:, :4] = np.array([-2000 if stored.itemsize == 2 else -120]).astype(pixels)
    dataset = builders.make_dataset(stored)
    padding = {"PixelPaddingValue": value}
    if limit is not None:
        padding["PixelPaddingRangeLimit"] = limit
    for keyword, number in padding.items():
        dataset.add_new(keyword, "SS" if representation else "US", number)
    path = builders.save_dataset(tmp_path / "a", dataset)
    (slice_,) = read_slices(path)
    assert set(slice_.pixels[:, :4].ravel()) == {0}
    np.testing.assert_array_equal(slice_.pixels[:, 4:], values[:, 4:])


@pytest.mark.parametrize(("slope", "intercept"), [(1, 1e9), (-1, -1e12), (0.01, 1e7)])
def test_a_picture_survives_an_intercept_that_single_precision_cannot_hold(
    tmp_path, slope, intercept
):
    window = {"WindowCenter": intercept + 40, "WindowWidth": 10}
    scale = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    (slice_,) = read_slices(builders.write_dicom(tmp_path / "a", PIXELS, **scale, **window))
    np.testing.assert_array_equal(slice_.pixels, PIXELS * np.float32(slope))
    assert FAR_INTERCEPT in slice_.info.notes
    assert slice_.info.window == (40, 10)


def test_large_intercepts_are_kept_where_single_precision_holds_them(tmp_path):
    scale = {"RescaleSlope": 1, "RescaleIntercept": 1e7}
    (slice_,) = read_slices(builders.write_dicom(tmp_path / "a", PIXELS, **scale))
    np.testing.assert_array_equal(slice_.pixels, PIXELS + np.float32(1e7))
    assert FAR_INTERCEPT not in slice_.info.notes


def test_an_intercept_brings_back_large_stored_values(tmp_path):
    stored = PIXELS.astype(np.uint32) + 2**31
    scale = {"RescaleSlope": 1, "RescaleIntercept": -(2**31)}
    (slice_,) = read_slices(builders.write_dicom(tmp_path / "a", stored, **scale))
    np.testing.assert_array_equal(slice_.pixels, PIXELS)


def test_a_slope_of_zero_is_named(tmp_path):
    path = builders.write_dicom(tmp_path / "a", PIXELS, RescaleSlope=0, RescaleIntercept=7)
    (error,) = iterate_slices(path)
    assert isinstance(error, InputError)
    assert "Rescale Slope of 0" in error.reason and "constant" not in str(error)


def test_a_slope_of_zero_over_a_blank_slice_is_blank(tmp_path):
    for index, pixels in enumerate((PIXELS, PIXELS * 0)):
        slope = {"RescaleSlope": 1 - index, "RescaleIntercept": 0, "InstanceNumber": index}
        builders.write_dicom(tmp_path / f"{index}", pixels, **slope)
    (slice_,) = read_slices(tmp_path)
    assert slice_.info.notes[-1] == "1 of 2 slices is blank and left out"


def test_one_slope_of_zero_does_not_end_a_volume(tmp_path):
    volume, lps = builders.store_volume(
        builders.paint_head((30, 26, 24)) + np.arange(26, dtype=np.uint16)[:, np.newaxis],
        (2, 2, 2), (0, 2, 1), (1, -1, 1),
    )  # fmt: skip
    files = builders.write_series(tmp_path, volume, lps, RescaleSlope=1, RescaleIntercept=0)
    dataset = builders.pydicom.dcmread(files[7])
    dataset.RescaleSlope = 0
    dataset.save_as(files[7])
    items = list(iterate_slices(tmp_path))
    (error,) = (item for item in items if isinstance(item, InputError))
    assert error.path == str(files[7]) and "Slope" in error.reason
    assert {one.info.plane for one in items if one is not error} == {"axial"}


def add_private(dataset: Dataset, group: int, creator: str, element: int, vr: str, value) -> None:
    block = dataset.private_block(group, creator, create=True)
    block.add_new(element, vr, value)


@pytest.mark.parametrize(
    ("element", "words", "count"),
    [
        ((0x0019, "SIEMENS MR HEADER", 0x0A, "US", 30), [], "30 slices"),
        ((0x0065, "Image Private Header", 0x50, "DS", "25"), [], "25 slices"),
        (None, ["MOSAIC"], "many slices"),
        (None, ["ND", "VFRAME"], "many slices"),
    ],
)
def test_mosaics_are_told_whoever_makes_them(tmp_path, element, words, count):
    kinds = ["ORIGINAL", "PRIMARY", "M", *words]
    dataset = builders.make_dataset(PIXELS, ImageType=kinds)
    if element:
        add_private(dataset, *element)
    path = builders.save_dataset(tmp_path / "a", dataset)
    (error,) = iterate_slices(path)
    assert isinstance(error, InputError)
    assert f"is a mosaic of {count} in one picture" in error.reason
    (found,) = find_sources([tmp_path])  # in a folder it is no less an image that was not judged
    assert isinstance(found, InputError) and found.reason == error.reason


def test_a_grid_of_one_is_no_mosaic(tmp_path):
    dataset = builders.make_dataset(PIXELS)
    add_private(dataset, 0x0065, "Image Private Header", 0x50, "DS", "1")
    add_private(dataset, 0x0019, "GEMS_ACQU_01", 0x0A, "US", 30)
    assert len(list(read_slices(builders.save_dataset(tmp_path / "a", dataset)))) == 1


def test_a_mosaic_that_was_taken_apart_is_read(tmp_path):
    """Some scanners leave the word MOSAIC behind in an enhanced object of plain slices."""
    volume = np.stack([PIXELS + index for index in range(5)])
    dataset = builders.make_enhanced(volume, np.eye(4), [1] * 5)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    assert dataset.SOPClassUID == EnhancedMRImageStorage
    assert len(list(read_slices(builders.save_dataset(tmp_path / "a", dataset)))) == 5


def test_a_mosaic_that_does_not_say_so_is_doubted(tmp_path):
    """Six by six slices of 240 mm: the header has the pixels of one and the size of all."""
    info = read(tmp_path, np.tile(PIXELS, (6, 6)), PixelSpacing=[7.5, 6]).info
    assert "1440 x 1440 mm" in info.notes[0] and "many slices" in info.notes[0]
    assert not read(tmp_path, PIXELS, PixelSpacing=[7.5, 6]).info.notes


def test_directions_that_are_no_unit_vectors_do_not_stretch_pixels(tmp_path):
    info = read(
        tmp_path,
        ImageOrientationPatient=[2, 0, 0, 0, 2, 0],
        ImagePositionPatient=[0, 0, 5],
        PixelSpacing=[0.5, 0.75],
    ).info
    assert info.spacing_mm == (0.5, 0.75) and info.plane == "axial" and info.position_mm == 5


@pytest.mark.parametrize("place", [[1e30, 0, 0], [0, 0, -1e308]])
def test_places_beyond_all_measure_count_as_unknown(tmp_path, place):
    for index in range(3):
        builders.write_dicom(
            tmp_path / f"{index}",
            PIXELS,
            ImageOrientationPatient=builders.AXIAL,
            ImagePositionPatient=place,
            InstanceNumber=index,
        )
    slices = list(read_slices(tmp_path))
    assert [one.info.position_mm for one in slices] == [None] * 3
