"""Decoders of compressed pictures: what they cost, and what a damaged one costs others."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, RLELossless

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.codecs import apart
from tumorlens.imaging.readers import iterate_slices, read_object, read_slices
from tumorlens.imaging.slices import Slice

UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
GREY = (np.add.outer(np.arange(32) * 5, np.arange(40) ** 2) % 2510).astype(np.uint16)


def pack(frames: list[bytes], syntax: str, like: pydicom.Dataset, **elements: object) -> bytes:
    """A file of compressed frames, without a table of their places."""
    dataset = builders.make_dataset(np.zeros((like.Rows, like.Columns), np.uint8))
    for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(dataset, keyword, like[keyword].value)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.NumberOfFrames = len(frames)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(frames, has_bot=False)
    dataset["PixelData"].is_undefined_length = True
    stream = io.BytesIO()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def compress(pixels: np.ndarray, syntax: str) -> tuple[bytes, pydicom.Dataset]:
    """A codestream, and a data set that describes it."""
    dataset = builders.make_dataset(pixels)
    dataset.compress(syntax)
    return get_frame(dataset.PixelData, 0, number_of_frames=1), dataset


def write_rle(pixels: np.ndarray) -> bytes:
    """An RLE frame of 16 bits, all of it literal: high bytes, then low ones (PS3.5, G.3)."""
    high, low = (
        b"".join(bytes([len(row) - 1]) + row.tobytes() for row in plane.astype(np.uint8))
        for plane in (pixels >> 8, pixels & 255)
    )
    return struct.pack("<16I", 2, 64, 64 + len(high), *[0] * 13) + high + low


def spoil_rle(frame: bytes, columns: int) -> bytes:
    """The last row becomes a run of 128 bytes, over which pylibjpeg-rle panics."""
    return frame[: -columns - 1] + b"\x81\xaa"


def outcomes(data: bytes, tmp_path: Path) -> tuple[int, list[str]]:
    """Number of slices before the errors, and their reasons."""
    path = tmp_path / "a.dcm"
    path.write_bytes(data)
    items = list(iterate_slices(path))
    slices = [one for one in items if isinstance(one, Slice)]
    return len(slices), [one.reason for one in items[len(slices) :]]


def test_frames_come_in_their_order_however_many(tmp_path) -> None:
    frames = [write_rle(np.roll(GREY, index)) for index in range(150)]
    _, like = compress(GREY, RLELossless)
    slices = list(read_object(pack(frames, RLELossless, like)))
    assert len(slices) == 150
    for index, one in enumerate(slices):
        np.testing.assert_array_equal(one.pixels, np.roll(GREY, index))


@pytest.mark.parametrize("pixels", [GREY[:31, :39], GREY[:31, :39].astype(np.uint8)])
@pytest.mark.parametrize("signed", [0, 1])
def test_frames_may_be_wrapped_and_not_compressed(tmp_path, pixels, signed) -> None:
    """An odd number of bytes is filled up in each frame."""
    frames = [np.roll(pixels, step, axis=1) for step in range(3)]
    frames = [one.astype(f"i{one.itemsize}") if signed else one for one in frames]
    like = builders.make_dataset(frames[0])
    path = tmp_path / "a.dcm"
    path.write_bytes(pack([one.tobytes() for one in frames], UNCOMPRESSED, like))
    found = [one.pixels for one in read_slices(path)]
    np.testing.assert_array_equal(found, np.stack(frames).astype(np.float32))


def test_a_wrapped_frame_that_is_cut_short_is_refused(tmp_path) -> None:
    frame = GREY.tobytes()[:-100]
    path = tmp_path / "a.dcm"
    path.write_bytes(pack([frame], UNCOMPRESSED, builders.make_dataset(GREY)))
    with pytest.raises(InputError, match="cannot be decoded"):
        list(read_slices(path))


def test_the_cost_of_a_frame_does_not_grow_with_their_number() -> None:
    """Fragments without a table were looked through from the start for each frame."""
    frame = write_rle(GREY)
    _, like = compress(GREY, RLELossless)
    costs = []
    for count in (5, 400, 3200):  # the first loads the libraries
        data = pack([frame] * count, RLELossless, like)
        start = time.process_time()
        assert sum(1 for _ in read_object(data)) == count
        costs.append((time.process_time() - start) / count)
    assert costs[2] < 2 * costs[1]


def test_a_panic_costs_the_rest_of_its_file(tmp_path, capfd) -> None:
    """And no word of Rust's reaches the terminal."""
    good = write_rle(GREY)
    _, like = compress(GREY, RLELossless)
    count, (reason,) = outcomes(
        pack([good, good, spoil_rle(good, 40), good], RLELossless, like), tmp_path
    )
    assert count == 2 and "cannot be decoded as RLE" in reason
    assert capfd.readouterr() == ("", "")


def test_a_crash_costs_the_rest_of_its_file(tmp_path) -> None:
    """One byte of a lossless JPEG changed: GDCM ends the process that decodes it."""
    like = pydicom.dcmread(get_testdata_file("JPEG-LL.dcm", download=False))
    good = get_frame(like.PixelData, 0, number_of_frames=1)
    bad = bytearray(good)
    bad[15] = 0
    data = pack([good, good, bytes(bad), good], JPEGLosslessSV1, like)
    count, (reason,) = outcomes(data, tmp_path)
    assert count == 2 and "the decoder crashed" in reason


def test_boxes_without_length_do_not_hang(tmp_path, monkeypatch) -> None:
    """pydicom goes from box to box of a JP2 file by their lengths."""
    monkeypatch.setattr(apart, "_PATIENCE", 1.0)
    stream, like = compress(GREY, JPEG2000Lossless)
    boxes = bytes.fromhex("0000000c 6a502020 0d0a870a 00000000") + b"free"
    count, (reason,) = outcomes(pack([boxes + stream], JPEG2000Lossless, like), tmp_path)
    assert count == 0 and "took more than 1 s" in reason


def write_slow_jpeg(path: Path, side: int = 2000, scans: int = 100_000) -> Path:
    """A progressive JPEG whose many scans say nothing: 14 bytes cost half a millisecond each."""
    blocks = ((side + 7) // 8) ** 2

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    def stuff(bits: str) -> bytes:
        whole = bits + "1" * (-len(bits) % 8)
        return int(whole, 2).to_bytes(len(whole) // 8, "big").replace(b"\xff", b"\xff\0")

    runs, left = "", blocks
    while left > 0:
        run = max(min(left, 2**15 - 1), 2**14)
        runs += "0" + format(run - 2**14, "014b")
        left -= run
    table = bytes([1] + [0] * 15)  # one code of one bit
    first = segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + stuff("0" * blocks)
    empty = segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + stuff(runs)
    path.write_bytes(
        b"\xff\xd8"
        + segment(0xDB, bytes([0] + [1] * 64))
        + segment(0xC2, struct.pack(">BHHB3B", 8, side, side, 1, 1, 0x11, 0))
        + segment(0xC4, b"\x00" + table + b"\x00")
        + segment(0xC4, b"\x10" + table + b"\xe0")
        + first
        + empty * scans
        + b"\xff\xd9"
    )
    return path


def test_a_picture_that_takes_for_ever_is_given_up(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(apart, "_PATIENCE", 1.0)
    with pytest.raises(InputError, match="took more than"):
        list(read_slices(write_slow_jpeg(tmp_path / "a.jpg")))
    assert (
        "constant"
        in next(iter(iterate_slices(write_slow_jpeg(tmp_path / "b.jpg", scans=9)))).reason
    )


def test_a_large_picture_is_asked_for_twice(tmp_path) -> None:
    """What decoding takes is known only when the file is open."""
    side = 2500
    pixels = np.add.outer(np.arange(side), np.arange(side)).astype(np.uint16)
    path = builders.write_picture(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(next(read_slices(path)).pixels, pixels)
    Image.fromarray(pixels).save(
        tmp_path / "b.tif", save_all=True, append_images=[Image.fromarray(pixels.T.copy() + 1)]
    )
    first, second = read_slices(tmp_path / "b.tif")
    np.testing.assert_array_equal(first.pixels, pixels)
    np.testing.assert_array_equal(second.pixels, pixels.T + 1)
