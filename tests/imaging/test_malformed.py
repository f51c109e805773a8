"""Malformed files made by chance: a slice or an `InputError` comes of each, and nothing else.

Two properties over nineteen files and two over disguised bytes: 40 tests, 50 examples each by
default (2,000 in all), 2,000 each (80,000) with ``HYPOTHESIS_PROFILE=thorough``.
"""

from __future__ import annotations

import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.uid import (
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    RLELossless,
)

import builders
import strategies
from tumorlens.errors import InputError
from tumorlens.imaging.dicom.parsing import parse
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.readers import read_object, read_slices
from tumorlens.imaging.slices import Slice

LIMITS = Limits(memory_bytes=2**26)
GREY = (np.add.outer(np.arange(32) * 5, np.arange(40) ** 2) % 251).astype(np.uint8)
VOLUME = np.arange(18 * 18 * 4).reshape(18, 18, 4).astype(np.int16)
THICK = np.diag([1.0, 1.0, 5.0, 1.0])


def write_enhanced(path: Path) -> Path:
    lps = np.eye(4)
    lps[:3, :3] = np.array([[0, 0, 1], [0, 1, 0], [6, 0, 0]])
    volume = np.stack([GREY + n for n in range(3)])
    return builders.save_dataset(path, builders.make_enhanced(volume, lps, [1, 2, 3]))


WRITERS = {
    "png": lambda path: builders.write_picture(path, GREY, format="PNG"),
    "palette png": lambda path: builders.write_picture(path, GREY > 99, format="PNG", bits=1),
    "jpeg": lambda path: builders.write_picture(path, GREY, format="JPEG"),
    "tiff": lambda path: builders.write_picture(path, GREY, format="TIFF", compression="tiff_lzw"),
    "bmp": lambda path: builders.write_picture(path, GREY, format="BMP"),
    "webp": lambda path: builders.write_picture(path, GREY, format="WEBP"),
    "dicom": lambda path: builders.write_dicom(path, GREY, PixelSpacing=[1, 1]),
    "rle": lambda path: builders.write_dicom(path, GREY, syntax=RLELossless),
    "jpeg 2000": lambda path: builders.write_dicom(path, GREY, syntax=JPEG2000Lossless),
    "deflated": lambda path: builders.write_dicom(
        path, GREY, syntax=DeflatedExplicitVRLittleEndian
    ),
    "lossless jpeg": lambda path: Path(get_testdata_file("JPEG-LL.dcm", download=False)),
    "jpeg-ls": lambda path: Path(
        get_testdata_file("MR_small_jpeg_ls_lossless.dcm", download=False)
    ),
    "enhanced": write_enhanced,
    "nifti": lambda path: builders.write_nifti(path.with_suffix(".nii"), VOLUME, THICK),
    "nrrd": lambda path: builders.write_nrrd(path, VOLUME, THICK),
    "gzipped nrrd": lambda path: builders.write_nrrd(path, VOLUME, THICK, encoding="gzip"),
    "metaimage": lambda path: builders.write_metaimage(path, VOLUME, THICK),
    "zipped metaimage": lambda path: builders.write_metaimage(path, VOLUME, THICK, zipped=True),
    "mgh": lambda path: builders.write_mgh(path.with_suffix(".mgh"), VOLUME, THICK),
}


@cache
def good_file(kind: str) -> bytes:
    with TemporaryDirectory() as folder:
        return WRITERS[kind](Path(folder) / "a").read_bytes()


def read_or_refuse(data: bytes) -> None:
    """Read bytes; anything but slices and an `InputError` fails, and so does a warning."""
    with warnings.catch_warnings(action="error"):
        try:
            slices = list(read_object(data, limits=LIMITS))
        except InputError as error:
            assert error.reason and "\n" not in str(error)
        else:
            assert slices and all(isinstance(one, Slice) for one in slices)


@pytest.mark.parametrize("kind", WRITERS)
@given(data=st.data())
def test_damaged_files(kind, data) -> None:
    read_or_refuse(data.draw(strategies.damaged(good_file(kind))))


@pytest.mark.parametrize("kind", WRITERS)
@given(data=st.data())
def test_files_cut_short(kind, data) -> None:
    read_or_refuse(data.draw(strategies.truncations(good_file(kind))))


@given(data=strategies.disguised())
def test_random_bytes_in_disguise(data) -> None:
    read_or_refuse(data)


@given(data=strategies.disguised())
def test_random_bytes_in_disguise_on_disk(data) -> None:
    """The same on disk, where an archive or an index of files may be opened, too."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        path.write_bytes(data)
        with pytest.raises(InputError):
            list(read_slices(path, limits=LIMITS))


def test_the_good_files_are_good() -> None:
    for kind in WRITERS:
        assert list(read_object(good_file(kind))), kind


@pytest.mark.parametrize("kind", [b"??", b"--", b"\0\0", b"ox"])
@pytest.mark.parametrize("tag", [b"\x09\0\x01\x10", b"\x51\0\x01\x10"], ids=["before", "behind"])
def test_an_element_of_a_type_that_does_not_exist_hides_nothing(tmp_path, kind, tag) -> None:
    """Its length was taken for that of all that follows: no pixels were found."""
    pixels = np.arange(32 * 40, dtype=np.uint16).reshape(32, 40)
    path = builders.write_dicom(tmp_path / "IM_1", pixels)
    data, follows = path.read_bytes(), b"\x10\0\x10\0PN" if tag[0] == 9 else b"\xe0\x7f\x10\0"
    place = data.index(follows)
    path.write_bytes(data[:place] + tag + kind + b"\x04\0abcd" + data[place:])
    for found in (tmp_path, path):
        (slice_,) = read_slices(found)
        np.testing.assert_array_equal(slice_.pixels, pixels)
    assert "a type that does not exist" in slice_.info.notes[0]


UNTYPED = b"\x09\0\x01\x10\x06\0\0\0abcdef"
"""An element without a type, among others that have one."""


class _ReadBeside(io.BytesIO):
    """A file during whose reading another thread reads another file, again and again."""

    def __init__(self, data: bytes, beside: bytes, pool: ThreadPoolExecutor) -> None:
        super().__init__(data)
        self.beside, self.pool = beside, pool
        self.found: list[Slice] = []

    def read(self, size: int | None = -1) -> bytes:
        self.found += self.pool.submit(lambda: list(read_object(self.beside))).result(timeout=9)
        return super().read(size)


def test_what_one_thread_reads_anew_changes_nothing_for_another(tmp_path) -> None:
    data = builders.write_dicom(tmp_path / "a", GREY).read_bytes()
    place = data.index(b"\x10\0\x10\0PN")
    odd = data[:place] + b"\x09\0\x01\x10??\x04\0abcd" + data[place:]
    with ThreadPoolExecutor(1) as pool:
        stream = _ReadBeside(odd, data[:place] + UNTYPED + data[place:], pool)
        assert "Rows" in parse(stream, "a", LIMITS)
    assert len(stream.found) > 50
    assert {one.pixels.tobytes() for one in stream.found} == {GREY.astype(np.float32).tobytes()}
    assert {one.info.notes for one in stream.found} == {()}


class _Counted(io.BytesIO):
    """A file that counts the bytes which are read of it."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.count += len(found)
        return found


@pytest.mark.parametrize(
    ("kind", "times"), [(BasicTextSRStorage, 1), (MRImageStorage, 2), ("1.2.3.4", 2)]
)
def test_an_object_that_shows_no_picture_is_parsed_once(tmp_path, kind, times) -> None:
    """Where a class promises a picture, or is unknown, an odd element may hide it."""
    others = {"Rows": None, "PixelData": None, "TextValue": "a" * 2**20}
    dataset = builders.make_dataset(GREY, SOPClassUID=kind, **others)
    stream = _Counted(builders.save_dataset(tmp_path / "a", dataset).read_bytes())
    parse(stream, "a", LIMITS, stop_before_pixels=True)
    assert round(stream.count / len(stream.getvalue())) == times
