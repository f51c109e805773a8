"""Slices of a NumPy array: its shape tells which axes are slices and which is a channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError, UsageError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.pixels.contrast import share_contrast
from tumorlens.imaging.pixels.voxels import clean_pixels, to_luminance
from tumorlens.imaging.slices import Slice

__all__ = ["read_array"]

Array = npt.NDArray[Any]

_NAME = "<array>"
_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
_ORDER = "DHWC"
_SHAPES = (
    "give (H, W) or (slices, H, W), with or without a last axis of 1, 3 or 4 channels, or say with "
    "`axes=` what the axes are"
)


def read_array(
    array: Array, limits: Limits, axes: str | None = None
) -> Iterator[Slice | InputError]:
    """Slices of an array of integers or floats.

    Axes have letters: ``D`` counts slices, ``H`` rows, ``W`` columns, ``C`` channels. Without
    ``axes`` the shape must tell which axis is which:

    - two axes are ``HW``;
    - a last axis of 1 (grey), 3 or 4 (colors) holds channels, as in OpenCV, Keras and TensorFlow:
      ``HWC``, ``DHWC``; a second of four axes does, as in torch: ``DCHW``;
    - three other axes are ``DHW``, slices first, where H and W are more alike in length than D and
      H. So (20, 64, 64) is 20 slices. (64, 64, 20) and (64, 64, 64) are refused: their slices may
      be last, as in arrays of nibabel.
    - A first of three axes of 3 or 4 is refused: it may hold slices or colors.

    Args:
        array: of two to four axes. Masked values become background. Slices are taken as axial ones
            where there are several.
        limits: for each slice.
        axes: a letter an axis, in any order, with ``H`` and ``W``: ``"DHW"``, ``"HWD"``,
            ``"CHW"``, ….

    Raises:
        InputError: the array holds no numbers, has another shape, or the shape does not tell its
            axes.
        UsageError: ``axes`` are no axes, or not as many as the array has.
    """
    if array.dtype.kind not in "biuf":
        raise InputError(_NAME, f"holds {array.dtype} values", "give integers or floats")
    axes = _tell_axes(array.shape) if axes is None else _check_axes(axes, array.shape)
    if np.ma.is_masked(array):  # no value: background, like all that is not finite
        array = np.ma.filled(array.astype(np.float64), np.nan)
    array = np.asarray(array)  # a masked array without a mask answers in its own way
    ordered = array.transpose([axes.index(letter) for letter in _ORDER if letter in axes])
    planes = _drop_channels(ordered, limits) if "C" in axes else ordered
    limits.check_slice(_NAME, *planes.shape[-2:])
    yield from share_contrast(_cut(planes, array, "axial" if "D" in axes else None))


def _cut(planes: Array, array: Array, plane: str | None) -> Iterator[Slice | InputError]:
    for frame, values in enumerate(planes[np.newaxis] if planes.ndim == 2 else planes):
        try:
            pixels, notes = clean_pixels(values, _NAME)
        except InputError as error:
            yield error
        else:
            # A copy, so that the slice stays what it was when the caller writes to the array.
            pixels = pixels.copy() if np.shares_memory(pixels, array) else pixels
            yield Slice(pixels, SliceInfo(path=_NAME, frame=frame, plane=plane, notes=notes))


def _tell_axes(shape: tuple[int, ...]) -> str:
    """The axes that a shape tells by itself."""
    if 0 in shape or not 2 <= len(shape) <= 4:
        raise InputError(_NAME, f"has shape {shape}", _SHAPES)
    if len(shape) == 2:
        return "HW"
    if shape[-1] in _CHANNELS:
        return "HWC" if len(shape) == 3 else _put_slices_first(shape, "DHWC")
    if len(shape) == 3:
        return _put_slices_first(shape, "DHW")
    if shape[1] in _CHANNELS:
        return "DCHW"
    raise InputError(_NAME, f"has shape {shape}", _SHAPES)


def _put_slices_first(shape: tuple[int, ...], axes: str) -> str:
    """The axes, if no other interpretation is as likely.

    Raises:
        InputError: slices may be last, or colors first.
    """
    count, rows, columns = shape[:3]
    if len(shape) == 3 and count in _CHANNELS[1:]:
        raise InputError(
            _NAME,
            f"has shape {shape}, which does not tell slices from colors",
            f'give `axes="DHW"` for {count} slices, or `axes="CHW"` for one slice in colors',
        )
    if _compare(rows, columns) < _compare(count, rows):
        return axes
    last = axes.replace("DHW", "HWD")
    raise InputError(
        _NAME,
        f"has shape {shape}, which does not tell the axis of the slices",
        f'give `axes="{axes}"` if slices are first, or `axes="{last}"` if they are last',
    )


def _compare(one: int, other: int) -> float:
    """How many times the longer of two axes is as long as the other."""
    return max(one, other) / min(one, other)


def _check_axes(axes: str, shape: tuple[int, ...]) -> str:
    """The axes that the caller names, if the array can have them."""
    if len(set(axes)) < len(axes) or not set("HW") <= set(axes) <= set(_ORDER):
        raise UsageError(
            f"`axes={axes!r}` must name H (rows) and W (columns), and may name D (slices) and C "
            "(channels), each once"
        )
    if len(axes) != len(shape):
        raise UsageError(f"`axes={axes!r}` names {len(axes)} axes, but the array has shape {shape}")
    if 0 in shape:
        raise InputError(_NAME, f"has shape {shape}", _SHAPES)
    if "C" in axes and shape[axes.index("C")] not in _CHANNELS:
        raise InputError(
            _NAME,
            f"has {shape[axes.index('C')]} channels",
            "1 (grey), 3 or 4 (colors) channels are read",
        )
    return axes


def _drop_channels(array: Array, limits: Limits) -> Array:
    """Grey without its last axis, luma of colors."""
    if array.shape[-1] == 1:
        return array[..., 0]
    limits.check_slice(_NAME, *array.shape[-3:-1])
    rows = array.reshape(-1, *array.shape[-2:])
    return to_luminance(rows).reshape(array.shape[:-1])
