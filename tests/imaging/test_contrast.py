"""What is typical of a series, and how `prepare` dims the slices beside it."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.pixels.contrast import (
    choose_evenly,
    measure_contrast,
    share_contrast,
    typical_contrast,
)
from tumorlens.imaging.preprocess import PreprocessSpec, prepare
from tumorlens.imaging.readers import read_slices
from tumorlens.imaging.slices import Slice

SECOND = PreprocessSpec(version=2, size=64)


def make_disc(brightness, scale=1.0):
    y, x = np.mgrid[:128, :128]
    disc = np.where((y - 64) ** 2 + (x - 64) ** 2 < 50**2, brightness, 0.0) * scale
    return Slice(disc.astype(np.float32), SliceInfo("disc"))


@pytest.mark.parametrize(
    ("count", "places"),
    [(1, [0]), (3, [0, 1, 2]), (9, list(range(9))), (90, list(range(5, 90, 10)))],
)
def test_slices_are_chosen_evenly(count, places):
    assert choose_evenly(count) == places


def test_the_typical_range_is_that_of_the_brighter_slices():
    assert typical_contrast([1, 2, 100, 100, 100, 100, 300]) == 100
    assert typical_contrast([]) is None


def test_a_dim_slice_stays_dim_beside_its_series():
    bright, dim = make_disc(400), make_disc(100)
    typical = measure_contrast([bright, bright, dim])
    assert typical == pytest.approx(400)
    alone = prepare(dim, SECOND)
    beside = prepare(replace(dim, contrast=typical), SECOND)
    assert alone.image.max() == 1.0
    assert beside.image.max() == pytest.approx(0.25)
    np.testing.assert_allclose(beside.image, alone.image / 4)
    assert alone.contrast == beside.contrast == pytest.approx(100)


def test_a_bright_slice_is_not_brightened_further():
    bright = make_disc(400)
    alone, beside = (prepare(replace(bright, contrast=c), SECOND).image for c in (None, 100.0))
    np.testing.assert_array_equal(alone, beside)


def test_version_1_knows_no_series():
    dim = make_disc(100)
    first = PreprocessSpec(version=1, size=64)
    alone, beside = (prepare(replace(dim, contrast=c), first).image for c in (None, 400.0))
    np.testing.assert_array_equal(alone, beside)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e20])
def test_the_unit_of_the_values_does_not_matter(scale):
    typical = measure_contrast([make_disc(400, scale)])
    beside = prepare(replace(make_disc(100, scale), contrast=typical), SECOND)
    assert beside.image.max() == pytest.approx(0.25, rel=1e-5)


def test_slices_of_a_series_are_told_what_is_typical_of_it():
    slices = [make_disc(brightness) for brightness in (400, 400, 400, 100)]
    bad = InputError("x", "is bad", "mend it")
    told = list(share_contrast([slices[0], bad, *slices[1:]]))
    assert told[1] is bad
    assert [one.contrast for one in told if isinstance(one, Slice)] == [pytest.approx(400)] * 4


def test_a_slice_alone_is_no_series():
    assert [one.contrast for one in share_contrast([make_disc(400)])] == [None]


@pytest.mark.parametrize("axis", [0, 2], ids=["sagittal", "axial"])
def test_a_volume_is_read_with_what_is_typical_of_it(tmp_path, axis):
    volume = np.zeros((64, 64, 20), np.float32)
    volume[8:56, 8:56] = 100
    volume[..., 3:] *= 4
    volume = np.moveaxis(volume, 2, axis)
    path = tmp_path / "volume.nii"
    nib.save(nib.Nifti1Image(volume, np.eye(4)), path)
    slices = list(read_slices(path))
    assert len(slices) > 10
    assert len({one.contrast for one in slices}) == 1
    assert slices[0].contrast == pytest.approx(400, rel=0.01)
