"""From decoded values to the pixels of a slice: luminance, finiteness, something to see."""

from __future__ import annotations

from math import frexp
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorlens.errors import InputError

__all__ = [
    "BLANK",
    "FAR_INTERCEPT",
    "NOT_FINITE",
    "choose_window",
    "clean_pixels",
    "find_range",
    "is_out_of_reach",
    "to_luminance",
]

BLANK = "constant image, nothing to see"
FAR_INTERCEPT = "the rescale intercept is too large beside the slope: it is left out"
NOT_FINITE = "no voxel is finite (all NaN or infinite)"
_FRACTION = 24  # bits of a number in single precision
_SINGLE = (2.0**-100, float(np.finfo(np.float32).max))

_BT601 = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in luma: ITU-R BT.601-7, section 2.5.1."""


def is_out_of_reach(slope: float, intercept: float, bits: int) -> bool:
    """Whether single precision cannot tell neighbours of stored values apart after the rescale.

    No stored value brings the sum back near 0. Without the intercept the picture survives.

    Args:
        slope, intercept: of the rescale.
        bits: of a stored value.
    """
    return 0 < abs(slope) * 2.0 ** max(bits, _FRACTION) < abs(intercept)


def to_luminance(colors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Luma (H, W) of colors (H, W, 3) or (H, W, 4); alpha is laid over black.

    8-bit colors give 8-bit luma, the same as Pillow's mode ``L``; others give float32.
    """
    grey: npt.NDArray[Any]
    if colors.dtype == np.uint8:
        grey = np.asarray(Image.fromarray(np.ascontiguousarray(colors[..., :3])).convert("L"))
        full = 255.0
    else:
        grey = colors[..., :3].astype(np.float32) @ _BT601
        full = float(np.iinfo(colors.dtype).max) if colors.dtype.kind in "iu" else 1.0
    if colors.shape[-1] == 4 and (colors[..., 3] != full).any():
        grey = grey * (colors[..., 3].astype(np.float32) / np.float32(full))
    return grey


def clean_pixels(
    values: npt.NDArray[Any], path: str
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Finite float32 pixels, and a note on what had to be mended.

    Non-finite voxels become background: the smallest finite value, or 0 if that is smaller. Values
    of double precision that single precision cannot hold are multiplied by a power of two.

    Raises:
        InputError: no value is finite.
    """
    values, notes = _fit_single_precision(values)
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = np.ascontiguousarray(values, dtype=np.float32)
    if values.dtype.kind in "biu":
        return pixels, notes
    finite = np.isfinite(pixels)
    count = int(finite.size - np.count_nonzero(finite))
    if not count:
        return pixels, notes
    if count == finite.size:
        raise InputError(path, NOT_FINITE, "export it anew")
    background = min(np.float32(0), pixels[finite].min())
    notes = (*notes, f"{count} non-finite voxels set to background")
    return np.where(finite, pixels, background), notes


def _fit_single_precision(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    if values.dtype.kind != "f" or values.dtype.itemsize <= 4:
        return values, ()
    largest = float(np.abs(values).max(where=np.isfinite(values), initial=0.0))
    if largest == 0 or _SINGLE[0] <= largest <= _SINGLE[1]:
        return values, ()
    power = -frexp(largest)[1]
    return np.ldexp(values, power), (f"values multiplied by 2^{power} to fit single precision",)


def find_range(values: npt.NDArray[Any]) -> tuple[float, float]:
    """The middle 99.4 % of some 250,000 of the finite values; their ends, where those are equal."""
    step = max(1, round((values.size / 250_000) ** (1 / values.ndim)))
    sample = values[(slice(None, None, step),) * values.ndim]
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, (0.3, 99.7)).tolist() if sample.size else (0.0, 0.0)
    if high > low:
        return low, high
    return float(np.fmin.reduce(values, axis=None)), float(np.fmax.reduce(values, axis=None))


def choose_window(volume: npt.NDArray[Any]) -> tuple[float, float] | None:
    """(center, width) that shows a volume whole; None if it holds one value."""
    low, high = find_range(volume)
    return ((low + high) / 2, high - low) if high > low else None
