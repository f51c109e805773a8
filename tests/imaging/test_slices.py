"""`Slice`: what it refuses, and what it knows of its pixels."""

from __future__ import annotations

import numpy as np
import pytest

from tumorlens.finding import SliceInfo
from tumorlens.imaging.slices import Slice


def make_slice(*values):
    return Slice(np.array([values], np.float32), SliceInfo("painted"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_pixel_that_is_not_finite_is_refused(value, place):
    values = [3.0, -2.0, 7.0]
    values[place] = value
    with pytest.raises(ValueError, match="finite"):
        make_slice(*values)


def test_huge_pixels_are_finite():
    assert make_slice(3e38, 3e38, 3e38, -3e38).extremes == pytest.approx((-3e38, 3e38))


def test_a_slice_knows_its_extremes_and_whether_it_is_blank():
    assert make_slice(3, -2, 7).extremes == (-2, 7)
    assert not make_slice(3, -2, 7).is_blank
    assert make_slice(5, 5, 5).is_blank
