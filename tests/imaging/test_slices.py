"""`Slice`: what it refuses, and what it knows of its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tumorlens.finding import SliceInfo
from tumorlens.imaging.readers import read_slice
from tumorlens.imaging.slices import Slice, find_marked


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


def test_a_mask_that_jpeg_has_blurred_marks_what_was_drawn(tmp_path):
    y, x = np.mgrid[:120, :120]
    drawn = np.hypot(x - 55, y - 64) < 31
    Image.fromarray(np.uint8(255 * drawn)).save(tmp_path / "m.jpg", quality=70)
    mask = read_slice(tmp_path / "m.jpg")
    assert np.count_nonzero((mask.pixels > 0) != drawn) > 200
    assert np.count_nonzero(find_marked(mask) != drawn) < 20


@pytest.mark.parametrize(
    ("values", "marked"),
    [
        ([0, 1, 2, 4], [False, True, True, True]),  # labels
        ([0, 1, 255, 1], [False, True, True, True]),
        ([0, 1 / 255, 0, 0], [False, True, False, False]),
        ([0, *np.linspace(0.1, 0.9, 9)], [False] * 5 + [True] * 5),  # shares
        ([0, *np.linspace(0.25, 4, 16)], [False] * 2 + [True] * 15),  # labels, interpolated
        (range(12), [False] + [True] * 11),  # many lesions, numbered
    ],
)
def test_labels_and_shares_mark_what_they_say(values, marked):
    mask = Slice(np.tile(np.array(values, np.float32), (2, 1)), SliceInfo("m.nii"))
    assert find_marked(mask)[1].tolist() == marked
