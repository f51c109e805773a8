from __future__ import annotations

import gzip

import numpy as np
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.sources import Skipped, Source, find_sources
from tumorlens.imaging.readers import read_object, read_slices

VOLUME = np.random.default_rng(0).integers(0, 250, (20, 24, 18))
SHOWN = VOLUME.transpose(2, 1, 0).astype(np.float32)


@pytest.mark.parametrize("name", ["brain.mgh", "brain.mgz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_kinds(tmp_path, name, dtype) -> None:
    path = builders.write_mgh(tmp_path / name, VOLUME.astype(dtype))
    np.testing.assert_array_equal(np.stack([one.pixels for one in read_slices(path)]), SHOWN)
    assert isinstance(next(find_sources([tmp_path])), Source)


def test_several_frames(tmp_path) -> None:
    volume = np.stack([VOLUME, VOLUME + 1], axis=-1).astype(np.int16)
    slices = list(read_slices(builders.write_mgh(tmp_path / "a.mgz", volume)))
    np.testing.assert_array_equal(slices[18].pixels, SHOWN[0] + 1)


def test_a_parcellation_is_told(tmp_path) -> None:
    labels = np.repeat(np.arange(20) * 7, 24 * 18).reshape(20, 24, 18).astype(np.int32)
    builders.write_mgh(tmp_path / "aseg.mgz", labels.transpose(1, 0, 2).copy())
    assert isinstance(next(find_sources([tmp_path])), Skipped)


def edit(path, place, value):
    data = bytearray(builders.write_mgh(path, VOLUME.astype(np.uint8)).read_bytes())
    data[place : place + len(value)] = value
    return bytes(data)


def test_without_a_place_no_side_is_known(tmp_path) -> None:
    (one, *_) = read_object(edit(tmp_path / "a.mgh", 28, b"\0\0"))
    # FreeSurfer's own order: x to the left, y to the feet, z to the front.
    np.testing.assert_array_equal(one.pixels, VOLUME[:, -1, ::-1].T)
    assert not one.info.sides_known and "no orientation" in one.info.notes[0]
    (one, *_) = read_object(edit(tmp_path / "a.mgh", 42, bytes(36)))
    assert not one.info.sides_known and "makes no sense" in one.info.notes[0]


def test_broken_files_are_refused(tmp_path) -> None:
    whole = builders.write_mgh(tmp_path / "a.mgh", VOLUME.astype(np.uint8)).read_bytes()
    for data, reason in (
        (whole[:8000], "cut short"),
        (whole[:60], "broken MGH header"),
        (gzip.compress(whole)[:-2000], "damaged volume|cut short"),
        (edit(tmp_path / "a.mgh", 4, b"\x7f\xff\xff\xff"), "cut short"),
        (gzip.compress(edit(tmp_path / "a.mgh", 4, b"\x7f\xff\xff\xff")), "are allowed"),
    ):
        with pytest.raises(InputError, match=reason):
            list(read_object(data))
