"""The head on a slice: its box and its intensities. These are steps 1 to 3 of `prepare`."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:  # a card needs the versions alone
    from tumorlens.imaging.slices import Slice

__all__ = [
    "PREPROCESS_VERSIONS",
    "Head",
    "divide",
    "find_exponent",
    "find_head",
    "scale_values",
]

PREPROCESS_VERSIONS = (1, 2)
"""Versions that this program can run; a model names the one that it was trained with."""

_THUMBNAILS = {1: 96, 2: 64}  # version -> about the longest side of the thumbnail
_CONTRAST = 0.12  # share of the range by which the head differs from the background
_FLAT = 0.08  # share of the range within which an edge row counts as one value
_LINE_GAP = 1 / 16  # of the thumbnail's side, between solid parts and a line of theirs: the scalp
_ORDINARY = (2.0**-10, 2.0**100)  # range of the largest value of a slice that is not rescaled

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Window = tuple[int, int, int, int]  # x0, y0, x1, y1: half-open


@dataclass(frozen=True, slots=True)
class Head:
    """Where the head lies, in pixels of the slice, and its intensities."""

    box: tuple[float, float, float, float]
    dark: float
    bright: float
    background: float


def scale_values(slice_: Slice) -> Array:
    """Pixels whose largest value is tiny or huge, times a power of two that makes it 0.5 to 1.

    So the unit of the values does not matter: such a product is exact. Ordinary ones are given back
    as they are.
    """
    return divide(slice_.pixels, find_exponent(slice_))


def find_exponent(slice_: Slice) -> int:
    """The power of two that `scale_values` divides by; 0 for ordinary values."""
    lowest, highest = slice_.extremes
    largest = max(highest, -lowest)
    ordinary = largest == 0 or _ORDINARY[0] <= largest < _ORDINARY[1]
    return 0 if ordinary else frexp(largest)[1]


def divide(pixels: Array, exponent: int) -> Array:
    """Pixels divided by two to the power of ``exponent``."""
    return np.asarray(np.ldexp(pixels, -exponent)) if exponent else pixels


def find_head(picture: Image.Image, version: int) -> Head:
    """Where the head lies, by the procedure of that version."""
    thumbnail = _THUMBNAILS[version]
    factor = max(1, round(max(picture.size) / thumbnail))
    small = np.asarray(picture.reduce(factor) if factor > 1 else picture)
    low, high = _percentiles(small.flatten(), 0.01, 0.99)
    if high <= low:  # nearly all pixels are equal: only the extremes tell anything
        low, high = float(small.min()), float(small.max())
    spread = max(high - low, 1e-6)
    x0, y0, x1, y1 = _trim_frame(small, _FLAT * spread)
    inside = small[y0:y1, x0:x1]
    background = _find_background(inside, low, 0.06 * spread)
    mask = _keep_head(np.abs(inside - background) > _CONTRAST * spread)
    if not mask.any():
        mask = np.ones_like(mask)
    left, top, right, bottom = _bounds_without_lines(mask, round(_LINE_GAP * thumbnail))
    dark, bright = _percentiles(inside[mask], 0.01, 0.99)
    dark = min(dark, background)
    width, height = picture.size
    return Head(
        box=(
            float((x0 + left) * factor),
            float((y0 + top) * factor),
            float(min((x0 + right) * factor, width)),
            float(min((y0 + bottom) * factor, height)),
        ),
        dark=dark,
        bright=bright if bright > dark else dark + max(1.0, abs(dark) * 2.0**-20),
        background=background,
    )


def _percentiles(values: Array, low: float, high: float) -> tuple[float, float]:
    """Two order statistics; no interpolation, so that any port can agree to the last bit.

    ``values`` are left in another order.
    """
    last = values.size - 1
    first, second = int(low * last), int(high * last)
    values.partition((first, second))
    return float(values[first]), float(values[second])


def _trim_frame(small: Array, tolerance: float) -> Window:
    """Drop edge rows and columns of one value, in turns, until every edge holds something.

    Where rows are left as they were, so are the columns that were judged on them, and the reverse.
    """
    y1, x1 = small.shape
    x0 = y0 = 0
    least_y, least_x = max(2, y1 // 4), max(2, x1 // 4)
    first = True
    while True:
        inside = small[y0:y1, x0:x1]
        top, bottom = _find_ends(inside, tolerance)
        if bottom - top < least_y or not (first or bottom - top < y1 - y0):
            return x0, y0, x1, y1
        left, right = _find_ends(inside[top:bottom].T, tolerance)
        if right - left < least_x:
            return x0, y0, x1, y1
        narrower = right - left < x1 - x0
        x0, x1, y0, y1 = x0 + left, x0 + right, y0 + top, y0 + bottom
        if not narrower:
            return x0, y0, x1, y1
        first = False


def _find_ends(rows: Array, tolerance: float) -> tuple[int, int]:
    """First row that is not of one value and one past the last; (0, 0) if there is none.

    A tenth of the pixels of a row may stray: corners of a frame.
    """
    tenth = rows.shape[1] // 20
    ordered = np.sort(rows, axis=1)  # of so few values quicker than a partition
    return _ends(ordered[:, -1 - tenth] - ordered[:, tenth] > tolerance)


def _ends(holds: Mask) -> tuple[int, int]:
    """First and one past last True; (0, 0) if there is none."""
    places = holds.nonzero()[0]
    return (int(places[0]), int(places[-1]) + 1) if places.size else (0, 0)


def _find_background(inside: Array, low: float, tolerance: float) -> float:
    """The level that most of the edge shares; the darkest level if the edge has none."""
    edge = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    edge.partition(edge.size // 2)
    middle = float(edge[edge.size // 2])
    shared = np.count_nonzero(np.abs(edge - middle) < tolerance)
    return middle if shared > 0.5 * edge.size else low


def _keep_head(mask: Mask) -> Mask:
    """The connected part (gaps of two thumbnail pixels bridged) around the densest spot."""
    joined = _dilate(mask)
    spot = _densest_spot(mask)
    seeds = np.zeros_like(mask)
    seeds[spot] = joined[spot]
    count, full = np.count_nonzero(seeds), np.count_nonzero(joined)
    while True:
        seeds = _grow(_grow(seeds, joined).T, joined.T).T
        before, count = count, np.count_nonzero(seeds)
        if count in (before, full):
            return np.asarray(seeds & mask)


def _dilate(mask: Mask) -> Mask:
    """Grow by one pixel in the eight directions."""
    wide = mask.copy()
    wide[:, 1:] |= mask[:, :-1]
    wide[:, :-1] |= mask[:, 1:]
    grown = wide.copy()
    grown[1:] |= wide[:-1]
    grown[:-1] |= wide[1:]
    return grown


def _densest_spot(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns of a square of a quarter of the shorter side, where it holds most."""
    side = max(1, min(mask.shape) // 4)
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int32)
    mask.cumsum(0, np.int32).cumsum(1, out=sums[1:, 1:])
    strips = sums[side:] - sums[:-side]
    counts = strips[:, side:] - strips[:, :-side]
    # Where many squares are equally full, the middle one is taken: the centre of the head.
    rows, columns = (counts == counts.max()).nonzero()
    off_y, off_x = rows - rows.mean(), columns - columns.mean()
    middle = int((off_y * off_y + off_x * off_x).argmin())
    y, x = int(rows[middle]), int(columns[middle])
    return slice(y, y + side), slice(x, x + side)


def _grow(seeds: Mask, mask: Mask) -> Mask:
    """Spread ``seeds`` along the runs of ``mask`` in each row."""
    starts = mask.copy()
    starts[:, 1:] = mask[:, 1:] > mask[:, :-1]
    run = starts.cumsum(dtype=np.int32).reshape(mask.shape)
    reached = np.zeros(int(run[-1, -1]) + 1, np.bool_)
    reached[run[seeds]] = True
    return np.asarray(reached.take(run) & mask)


def _bounds_without_lines(mask: Mask, gap: int) -> Window:
    """Bounding box of ``mask``, but for thin lines over ``gap`` off its solid parts."""
    left, top, right, bottom = _bounds(mask)
    solid = _dilate(~_dilate(~mask))
    if not solid.any():
        return left, top, right, bottom
    inner = _bounds(solid)
    return (
        max(left, inner[0] - gap),
        max(top, inner[1] - gap),
        min(right, inner[2] + gap),
        min(bottom, inner[3] + gap),
    )


def _bounds(mask: Mask) -> Window:
    top, bottom = _ends(np.asarray(mask.any(axis=1)))
    left, right = _ends(np.asarray(mask.any(axis=0)))
    return left, top, right, bottom
