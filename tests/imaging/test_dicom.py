from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.readers import iterate_slices, read_slices

PIXELS = np.arange(32 * 40, dtype=np.uint16).reshape(32, 40)


def read_one(path: Path):
    (slice_,) = read_slices(path)
    return slice_


@pytest.mark.parametrize(
    "syntax", ["", RLELossless, JPEG2000Lossless, DeflatedExplicitVRLittleEndian]
)
def test_transfer_syntaxes(tmp_path, syntax) -> None:
    path = builders.write_dicom(tmp_path / "a", PIXELS, syntax=syntax)
    np.testing.assert_array_equal(read_one(path).pixels, PIXELS)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"RescaleSlope": 2, "RescaleIntercept": -100}, PIXELS * 2.0 - 100),
        ({"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12}, 4095.0 - PIXELS),
        (
            {
                "PhotometricInterpretation": "MONOCHROME1",
                "BitsStored": 12,
                "RescaleSlope": 2,
                "RescaleIntercept": 10,
            },
            (4095.0 - PIXELS) * 2 + 10,
        ),
        ({"PixelPaddingValue": 1279}, np.where(PIXELS == 1279, 0, PIXELS)),
        (
            {"PixelPaddingValue": 1200, "PixelPaddingRangeLimit": 1279},
            np.where(PIXELS >= 1200, 0, PIXELS),
        ),
        ({"WindowCenter": 300, "WindowWidth": 10}, PIXELS),  # kept in info, not applied
        ({"WindowWidth": 0, "WindowCenter": 5}, PIXELS),
    ],
)
def test_values_are_the_scanners(tmp_path, elements, expected) -> None:
    slice_ = read_one(builders.write_dicom(tmp_path / "a", PIXELS, **elements))
    np.testing.assert_array_equal(slice_.pixels, expected.astype(np.float32))


def test_signed_and_inverted(tmp_path) -> None:
    pixels = PIXELS.astype(np.int16) - 600
    path = builders.write_dicom(tmp_path / "a", pixels, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_one(path).pixels, -1.0 - pixels)


def test_modality_table_is_looked_up(tmp_path) -> None:
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [1280, 0, 16], (PIXELS.ravel() * 2 + 2).tobytes()
    item.ModalityLUTType = "US"
    path = builders.write_dicom(tmp_path / "a", PIXELS, ModalityLUTSequence=[item])
    np.testing.assert_array_equal(read_one(path).pixels, PIXELS * 2 + 2)


def test_colors_become_luma(tmp_path) -> None:
    colors = np.stack([PIXELS % 256, PIXELS % 97, PIXELS % 31], axis=-1).astype(np.uint8)
    expected = np.asarray(Image.fromarray(colors).convert("L"))
    np.testing.assert_array_equal(
        read_one(builders.write_dicom(tmp_path / "a", colors)).pixels, expected
    )


def test_info(tmp_path) -> None:
    slice_ = read_one(
        builders.write_dicom(
            tmp_path / "a",
            PIXELS,
            ImageOrientationPatient=builders.AXIAL,
            ImagePositionPatient=[0, 0, 42.5],
            PixelSpacing=[0.5, 0.75],
            WindowCenter=["300", "5"],
            WindowWidth=["10", "6"],
            SeriesDescription="ax T1 post Gd",
        )
    )
    info = slice_.info
    assert (info.series_instance_uid, info.study_instance_uid) == ("1.2.3.4", "1.2.3")
    assert info.position_mm == 42.5 and info.spacing_mm == (0.5, 0.75)
    assert info.window == (300, 10) and info.sequence == "T1c" and info.plane == "axial"
    assert info.patient == hashlib.sha256(b"\0P-17").hexdigest()[:16]
    assert "Given" not in repr(info) and "P-17" not in repr(info)


def test_spacing_follows_the_turn(tmp_path) -> None:
    path = builders.write_dicom(  # stored with rows along the patient's back
        tmp_path / "a",
        PIXELS,
        ImageOrientationPatient=[0, 1, 0, 1, 0, 0],
        ImagePositionPatient=[0, 0, 0],
        PixelSpacing=[0.5, 0.75],
    )
    slice_ = read_one(path)
    np.testing.assert_array_equal(slice_.pixels, PIXELS.T)
    assert slice_.info.spacing_mm == (0.75, 0.5)


def test_other_modalities_are_noted(tmp_path) -> None:
    slice_ = read_one(builders.write_dicom(tmp_path / "a", PIXELS, Modality="CT"))
    assert slice_.info.notes == ("modality CT, not MR: its verdict means nothing",)
    assert slice_.info.sequence is None


def test_each_frame_has_its_own_scale(tmp_path) -> None:
    head = builders.paint_head((20, 20, 18))
    volume, lps = builders.store_volume(head, (1, 1, 5), (2, 1, 0), (1, 1, 1))
    slopes = np.arange(1, 19)
    dataset = builders.make_enhanced(volume, lps, slopes.tolist())
    slices = list(read_slices(builders.save_dataset(tmp_path / "a", dataset)))
    for one in slices:
        expected = volume[one.info.frame] * slopes[one.info.frame]
        np.testing.assert_array_equal(one.pixels, expected)


def test_frames_come_by_position_and_say_which_they_are(tmp_path) -> None:
    head = builders.paint_head((20, 20, 18))
    volume, lps = builders.store_volume(head, (1, 1, 5), (2, 1, 0), (-1, 1, 1))
    dataset = builders.make_enhanced(volume, lps, [1] * 18)
    slices = list(read_slices(builders.save_dataset(tmp_path / "a", dataset)))
    positions = [one.info.position_mm for one in slices]
    assert positions == sorted(positions)
    assert [one.info.frame for one in slices] == sorted(
        (o.info.frame for o in slices), reverse=True
    )


def write_axial(folder: Path, count: int = 4, **elements) -> list[Path]:
    volume = np.stack([PIXELS + index for index in range(count)])
    lps = np.eye(4)
    lps[:3, :3] = np.array([[0, 0, 1], [0, 1, 0], [6, 0, 0]])
    return builders.write_series(folder, volume, lps, **elements)


def test_a_series_is_sorted_by_position_not_by_name(tmp_path) -> None:
    files = write_axial(tmp_path / "s")
    slices = list(read_slices(tmp_path / "s"))
    assert [one.info.path for one in slices] == list(map(str, files))
    assert [one.info.position_mm for one in slices] == [0, 6, 12, 18]


def test_passes_over_one_volume_stay_together(tmp_path) -> None:
    """Two time points of the same places, their files mixed: one after the other."""
    for time in range(2):
        for index, file in enumerate(write_axial(tmp_path / f"t{time}")):
            target = tmp_path / "s" / f"{index}{time}"
            target.parent.mkdir(exist_ok=True)
            dataset = pydicom.dcmread(file)
            dataset.InstanceNumber = 2 * index + 1 + time
            dataset.save_as(target)
    names = [Path(one.info.path).name for one in read_slices(tmp_path / "s")]
    assert names == ["00", "10", "20", "30", "01", "11", "21", "31"]


def test_one_bad_file_does_not_end_a_series(tmp_path) -> None:
    files = write_axial(tmp_path / "s")
    data = files[1].read_bytes()
    files[1].write_bytes(data[:-500])
    items = list(iterate_slices(tmp_path / "s"))
    assert [isinstance(item, InputError) for item in items] == [False, True, False, False]
    assert items[1].path == str(files[1])


def test_slices_cut_from_a_volume_are_named_by_its_folder(tmp_path) -> None:
    head = builders.paint_head((22, 26, 20))
    volume, lps = builders.store_volume(head, (2, 2, 2), (0, 2, 1), (1, -1, 1))
    builders.write_series(tmp_path / "s", volume, lps)
    slices = list(read_slices(tmp_path / "s"))
    assert {one.info.path for one in slices} == {str(tmp_path / "s")}
    assert len({one.info.frame for one in slices}) == len(slices)
    assert slices[0].info.series_instance_uid == "1.2.3.4"


def test_twelve_bit_jpeg_is_refused_in_one_line() -> None:
    from pydicom.data import get_testdata_file

    with pytest.raises(InputError, match="12-bit JPEG") as caught:
        list(read_slices(get_testdata_file("JPGExtended.dcm", download=False)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spacing", [[1e9, 1], [1, 1e9], [0, 0], [-1, -1]])
def test_senseless_spacing_counts_as_absent(tmp_path, spacing) -> None:
    path = builders.write_dicom(tmp_path / "a", PIXELS, PixelSpacing=spacing)
    assert read_one(path).info.spacing_mm is None
