"""Slices of a NumPy array: its shape tells which axes are slices and which is a channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.pixels.contrast import share_contrast
from tumorlens.imaging.pixels.voxels import clean_pixels, to_luminance
from tumorlens.imaging.slices import Slice

__all__ = ["read_array"]

Array = npt.NDArray[Any]

_NAME = "<array>"
_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
_SHAPES = (
    "give (H, W) or (n, H, W), with or without an axis of 1, 3 or 4 channels behind; "
    "np.moveaxis(array, -1, 0) brings slices that are last to the front"
)


def read_array(array: Array, limits: Limits) -> Iterator[Slice | InputError]:
    """Slices of an array of integers or floats.

    Args:
        array: (H, W); (n, H, W) of axial slices; either with an axis of 1 (grey), 3 or 4 (colors)
            channels last, as OpenCV, Keras and TensorFlow hold them; or (n, channels, H, W), as
            torch does. Masked values become background.
        limits: for each slice.

    Raises:
        InputError: the array holds no numbers, or has another shape.
    """
    if array.dtype.kind not in "biuf":
        raise InputError(_NAME, f"holds {array.dtype} values", "give integers or floats")
    if np.ma.is_masked(array):  # no value: background, like all that is not finite
        array = np.ma.filled(array.astype(np.float64), np.nan)
    planes = _drop_channels(_put_channels_last(array), limits)
    _check_planes(array, planes, limits)
    doubts = _doubt(array)
    plane = "axial" if planes.ndim == 3 else None
    yield from share_contrast(_cut(planes, array, doubts, plane))


def _cut(
    planes: Array, array: Array, doubts: tuple[str, ...], plane: str | None
) -> Iterator[Slice | InputError]:
    for frame, values in enumerate(planes[np.newaxis] if planes.ndim == 2 else planes):
        try:
            pixels, notes = clean_pixels(values, _NAME)
        except InputError as error:
            yield error
        else:
            # A copy, so that the slice stays what it was when the caller writes to the array.
            pixels = pixels.copy() if np.shares_memory(pixels, array) else pixels
            info = SliceInfo(path=_NAME, frame=frame, plane=plane, notes=(*doubts, *notes))
            yield Slice(pixels, info)


def _put_channels_last(array: Array) -> Array:
    """(n, channels, H, W) as (n, H, W, channels); anything else as it is."""
    if array.ndim == 4 and array.shape[-1] not in _CHANNELS and array.shape[1] in _CHANNELS:
        return np.moveaxis(array, 1, -1)
    return array


def _drop_channels(array: Array, limits: Limits) -> Array:
    """Grey without its axis, luma of colors; an array without channels as it is."""
    if array.ndim not in (3, 4) or array.shape[-1] not in _CHANNELS or not array.size:
        return array
    if array.shape[-1] == 1:
        return array[..., 0]
    limits.check_slice(_NAME, *array.shape[-3:-1])
    rows = array.reshape(-1, *array.shape[-2:])
    return to_luminance(rows).reshape(array.shape[:-1])


def _check_planes(array: Array, planes: Array, limits: Limits) -> None:
    if planes.ndim not in (2, 3) or 0 in planes.shape:
        raise InputError(_NAME, f"has shape {array.shape}", _SHAPES)
    rows, columns = planes.shape[-2:]
    if planes.ndim == 3 and columns < limits.smallest_side <= min(planes.shape[:2]):
        # (H, W, n): not a picture of n columns.
        raise InputError(_NAME, f"has shape {array.shape}, slices or channels last", _SHAPES)
    limits.check_slice(_NAME, rows, columns)


def _doubt(array: Array) -> tuple[str, ...]:
    """What the shape leaves open, and how it was taken."""
    if array.ndim != 3 or array.shape[-1] in _CHANNELS:
        return ()
    count, rows, columns = array.shape
    if count in (3, 4):
        return (f"{count} planes were taken as slices; give colors as (H, W, {count})",)
    if count == rows != columns:
        return (
            f"the shape {array.shape} was taken as {count} slices of {columns} x {rows}; if slices "
            "are last, give np.moveaxis(array, -1, 0)",
        )
    return ()
