"""The head as a filled shape. A heat map covers nothing outside of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from tumorlens.imaging.pixels.head import PREPROCESS_VERSIONS, Head, find_head, scale_values
from tumorlens.imaging.slices import Slice

__all__ = ["outline_head"]

_SIDE = 128  # of the shape, at most, in its own pixels: finer than any grid of cells
_CONTRAST = 0.1  # share of the head's range by which it differs from the background
_RIM = 1  # pixels of the shape left around the head


def outline_head(slice_: Slice) -> npt.NDArray[np.bool_]:
    """The head, with all that it surrounds and a narrow rim.

    Args:
        slice_: the slice; without anything to see the shape covers it all.

    Returns:
        (h, w): True inside; it spans the whole slice at a part of its size.
    """
    picture = Image.fromarray(scale_values(slice_))
    factor = max(1, -(-max(picture.size) // _SIDE))
    small = np.asarray(picture.reduce(factor))
    head = find_head(picture, version=max(PREPROCESS_VERSIONS))
    solid = np.abs(small - head.background) > _CONTRAST * (head.bright - head.dark)
    solid &= _fill_box(head, small.shape, factor)
    if not solid.any():
        return np.ones_like(solid)
    return _widen(_span(solid) & _span(solid.T).T)


def _fill_box(head: Head, shape: tuple[int, ...], factor: int) -> npt.NDArray[np.bool_]:
    """The head's bounding box: text and symbols lie outside of it."""
    x0, y0, x1, y1 = (round(edge / factor) for edge in head.box)
    box = np.zeros(shape, np.bool_)
    box[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
    return box


def _span(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Each row filled from its first True to its last."""
    return np.logical_or.accumulate(mask, axis=1) & np.flip(
        np.logical_or.accumulate(np.flip(mask, axis=1), axis=1), axis=1
    )


def _widen(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    wide = Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * _RIM + 1))
    return np.asarray(wide) > 0
