"""Headers without what every decoder asks for, and values at unusual places of a stored pixel."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.readers import read_object, read_slices

GREY = np.arange(32 * 40, dtype=np.uint16).reshape(32, 40)
COLORS = np.stack([(GREY % 251).astype(np.uint8)] * 3, axis=-1)


@pytest.mark.parametrize(
    ("pixels", "missing", "noted"),
    [
        (GREY, ["SamplesPerPixel"], "Samples Per Pixel: taken as 1"),
        (GREY, ["PhotometricInterpretation"], "Interpretation: taken as MONOCHROME2"),
        (GREY, ["BitsAllocated"], "Bits Allocated: taken as 16"),
        (GREY, ["BitsStored", "HighBit"], "Bits Stored: taken as 16"),
        (GREY, ["PixelRepresentation"], "Pixel Representation: taken as 0"),
        (COLORS, ["PlanarConfiguration"], "Planar Configuration: taken as 0"),
        (COLORS, ["SamplesPerPixel"], "Samples Per Pixel: taken as 3"),
        (COLORS, ["PhotometricInterpretation"], "Interpretation: taken as RGB"),
    ],
)
def test_what_only_one_value_makes_sense_of_is_filled_in(pixels, missing, noted) -> None:
    (slice_,) = read_object(builders.make_dataset(pixels, **dict.fromkeys(missing)))
    np.testing.assert_array_equal(slice_.pixels, pixels if pixels.ndim == 2 else pixels[..., 0])
    assert [note.endswith(noted) for note in slice_.info.notes] == [True]


def test_pixels_with_a_palette_are_shown_in_its_colors() -> None:
    dataset = builders.make_dataset(COLORS[..., 0], PhotometricInterpretation=None)
    for color in ("Red", "Green", "Blue"):
        setattr(dataset, f"{color}PaletteColorLookupTableDescriptor", [256, 0, 16])
        table = (np.arange(256, dtype=np.uint16)[::-1] << 8).tobytes()
        setattr(dataset, f"{color}PaletteColorLookupTableData", table)
    (slice_,) = read_object(dataset)
    assert slice_.pixels[0, 0] == 255 * 256
    assert slice_.info.notes[0].endswith("Photometric Interpretation: taken as PALETTE COLOR")


@pytest.mark.parametrize("spelled", ["MONOCHROME 2", "monochrome2", "Monochrome_2"])
def test_a_misspelt_interpretation_is_understood(tmp_path, spelled) -> None:
    path = builders.write_dicom(tmp_path / "a", GREY)
    path.write_bytes(
        path.read_bytes().replace(b"\x0c\0MONOCHROME2 ", b"\x0c\0%-12b" % spelled.encode())
    )
    (slice_,) = read_slices(tmp_path)
    np.testing.assert_array_equal(slice_.pixels, GREY)


def test_the_frames_are_counted_by_their_groups(tmp_path) -> None:
    volume, lps = builders.store_volume(
        builders.paint_head((30, 26, 24)), (1, 1, 4), (2, 1, 0), (1, 1, 1)
    )
    dataset = builders.make_enhanced(volume, lps, [1] * len(volume))
    del dataset.NumberOfFrames
    builders.save_dataset(tmp_path / "a", dataset)
    slices = list(read_slices(tmp_path))
    assert [slice_.info.frame for slice_ in slices] == list(range(1, 23))  # the others are blank
    assert slices[0].info.notes == ("the header states no valid Number Of Frames: taken as 24",)


def test_a_data_set_of_the_caller_stays_as_it_is() -> None:
    dataset = builders.make_dataset(GREY, PixelRepresentation=None)
    (slice_,) = read_object(dataset)
    np.testing.assert_array_equal(slice_.pixels, GREY)
    assert "PixelRepresentation" not in dataset


@pytest.mark.parametrize("signed", [False, True])
def test_values_in_the_upper_bits_are_moved_down(tmp_path, signed) -> None:
    """Older files say so by High Bit; the bits below may hold anything."""
    values = GREY.astype(np.int16) - 600 * signed
    pixels = ((values << 4) | 0b1010).view(np.int16 if signed else np.uint16)
    path = builders.write_dicom(tmp_path / "a", pixels, BitsStored=12, HighBit=15)
    (slice_,) = read_slices(path)
    np.testing.assert_array_equal(slice_.pixels, values)


def test_a_high_bit_that_the_pixels_contradict_is_ignored(tmp_path) -> None:
    path = builders.write_dicom(tmp_path / "a", GREY, BitsStored=12, HighBit=15)
    (slice_,) = read_slices(path)
    np.testing.assert_array_equal(slice_.pixels, GREY)
    assert slice_.info.notes == ("High Bit contradicts the pixels: it is ignored",)


@pytest.mark.parametrize("signed", [False, True])
def test_values_of_more_bits_than_stated_are_read_whole(tmp_path, signed) -> None:
    """Without their upper bits, white would become black."""
    pixels = GREY.astype(np.int16 if signed else np.uint16)
    stored = int(GREY.max()).bit_length() - 1 + signed
    path = builders.write_dicom(tmp_path / "a", pixels, BitsStored=stored, HighBit=stored - 1)
    (slice_,) = read_slices(path)
    np.testing.assert_array_equal(slice_.pixels, pixels)
    assert any("more bits than Bits Stored says" in note for note in slice_.info.notes)


def test_an_overlay_in_the_upper_bits_is_left_out(tmp_path) -> None:
    pixels = GREY.copy()
    pixels[10:14] |= 0x8000
    path = builders.write_dicom(tmp_path / "a", pixels, BitsStored=12, HighBit=11)
    (slice_,) = read_slices(path)
    np.testing.assert_array_equal(slice_.pixels, GREY)
    assert any("such as an overlay: they are left out" in note for note in slice_.info.notes)


def test_a_sign_that_is_not_extended_is_no_overlay(tmp_path) -> None:
    values = GREY.astype(np.int16) - 600
    dataset = builders.make_dataset((values & 0xFFF).astype(np.int16), BitsStored=12, HighBit=11)
    (slice_,) = read_slices(builders.save_dataset(tmp_path / "a", dataset))
    np.testing.assert_array_equal(slice_.pixels, values)
    assert not slice_.info.notes


@pytest.mark.parametrize(("bits", "high"), [(16, 15), (16, 31), (12, 11)])
def test_floats_use_all_bits_whatever_is_stated_of_integers(bits, high) -> None:
    """Maps that were made from integers keep their Bits Stored."""
    dataset = builders.make_dataset(GREY, BitsAllocated=32, BitsStored=bits, HighBit=high)
    del dataset.PixelData
    dataset.FloatPixelData = (GREY + 0.5).astype("<f4").tobytes()
    (slice_,) = read_object(dataset)
    np.testing.assert_array_equal(slice_.pixels, GREY + 0.5)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_frame_of_more_bits_than_stated_is_refused(tmp_path, syntax) -> None:
    """Its upper bits would be lost, and white become black."""
    dataset = builders.make_dataset(GREY, BitsStored=12, HighBit=11)
    dataset.compress(syntax)
    dataset.BitsAllocated = dataset.BitsStored = 8
    path = builders.save_dataset(tmp_path / "a", dataset)
    with pytest.raises(InputError, match="holds pixels of 12 bits where 8 are stated"):
        list(read_slices(path))


def test_more_frames_than_stated_are_told(tmp_path) -> None:
    path = builders.write_dicom(tmp_path / "a", np.stack([GREY, GREY]), NumberOfFrames=1)
    (slice_,) = read_slices(path)
    assert any("more frames in the pixel data" in note for note in slice_.info.notes)


@pytest.mark.parametrize("stated", [JPEGLSLossless, RLELossless, JPEGLosslessSV1])
def test_a_frame_is_decoded_as_what_it_is(tmp_path, stated) -> None:
    dataset = builders.make_dataset(GREY)
    dataset.compress(JPEG2000Lossless)
    dataset.file_meta.TransferSyntaxUID = stated
    (slice_,) = read_slices(builders.save_dataset(tmp_path / "a", dataset))
    np.testing.assert_array_equal(slice_.pixels, GREY)
    assert slice_.info.notes == ("the pixels are JPEG 2000, not what the transfer syntax says",)


def test_pixels_that_were_unpacked_and_not_named_so_are_read(tmp_path) -> None:
    path = builders.write_dicom(tmp_path / "a", GREY)
    data = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
    path.write_bytes(data)
    (slice_,) = read_slices(path)
    np.testing.assert_array_equal(slice_.pixels, GREY)
    assert "the pixels are not compressed" in slice_.info.notes[0]


@pytest.mark.parametrize("packed", [JPEG2000Lossless, RLELossless])
@pytest.mark.parametrize("stated", ["1.2.840.10008.1.2.1", ""])
def test_pixels_that_are_compressed_and_not_named_so_are_read(packed, stated) -> None:
    dataset = builders.make_dataset(GREY)
    dataset.compress(packed)
    dataset.file_meta.TransferSyntaxUID = stated
    (slice_,) = read_object(dataset)
    np.testing.assert_array_equal(slice_.pixels, GREY)
    assert "the pixels are compressed" in slice_.info.notes[0]


def test_pixels_that_begin_as_an_item_does_are_none() -> None:
    pixels = GREY.copy()
    pixels[0, :2] = 0xFFFE, 0xE000
    (slice_,) = read_object(builders.make_dataset(pixels))
    np.testing.assert_array_equal(slice_.pixels, pixels)


def test_colors_that_are_said_to_be_shared_and_are_not() -> None:
    colors = np.stack([COLORS[..., 0], *[np.full_like(COLORS[..., 0], 128)] * 2], axis=-1)
    dataset = builders.make_dataset(colors, PhotometricInterpretation="YBR_FULL_422")
    (slice_,) = read_object(dataset)
    np.testing.assert_array_equal(slice_.pixels, COLORS[..., 0])
    assert slice_.info.notes[0].endswith("taken as YBR_FULL")


@pytest.mark.parametrize("syntax", ["", None])
def test_an_empty_transfer_syntax_says_nothing(syntax) -> None:
    dataset = builders.make_dataset(GREY)
    dataset.set_original_encoding(False, True)
    dataset.file_meta.TransferSyntaxUID = syntax
    (slice_,) = read_object(dataset)
    np.testing.assert_array_equal(slice_.pixels, GREY)


def test_empty_pixel_data_are_none(tmp_path) -> None:
    path = builders.write_dicom(tmp_path / "a", GREY, PixelData=b"")
    with pytest.raises(InputError, match="has no pixels; export it anew"):
        list(read_slices(path))
