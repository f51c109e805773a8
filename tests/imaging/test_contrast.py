"""What is typical of a series, and how `prepare` dims the slices beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tumorlens.finding import SliceInfo
from tumorlens.imaging.contrast import choose_evenly, measure_contrast, typical_contrast
from tumorlens.imaging.preprocess import PreprocessSpec, prepare
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
