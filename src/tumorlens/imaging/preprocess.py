"""`prepare`: from a slice to what the network takes, the same in training and in use.

Version 1, in five steps (docs/preprocess.md holds them with test vectors), after tiny or huge
values were brought into an ordinary range:

1. thumbnail: box averages over blocks, so that no side is longer than about 96;
2. frame: edge rows and columns of one value are trimmed, in turns, until none is left;
3. head: what differs from the background by 12 % of the range, the connected part around the
   densest spot; text and symbols that stand apart are left outside;
4. crop: the head's bounding box with 4 % margin, scaled with antialiasing so that its longer side
   (in mm) fills the square, the shorter side centred;
5. intensity: 0 at the background (or the head's 1st percentile, if lower), 1 at the head's 99th.

Version 2 finds the head on a thumbnail of 64, which costs half, and dims a slice that is darker
than its series: where the range of intensities in a slice is smaller than `Slice.contrast`, the
typical one of its series, the image is scaled by the ratio of the two. Stretched slice by slice,
the dim cap of a head and the noise of an empty end look as bright as a brain.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, ldexp
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorlens.imaging.pixels.head import PREPROCESS_VERSIONS, divide, find_exponent, find_head

if TYPE_CHECKING:  # a card needs the spec alone
    from tumorlens.imaging.slices import Slice

__all__ = ["PREPROCESS_VERSIONS", "Prepared", "PreprocessSpec", "find_gain", "place", "prepare"]

_MARGIN = 0.04  # share of the head's longer side left around it

Array = npt.NDArray[np.float32]
Window = tuple[int, int, int, int]  # x0, y0, x1, y1: half-open


class PreprocessSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How slices become input of a network.

    Attributes:
        version: of the procedure; see `PREPROCESS_VERSIONS`.
        size: side S of the square image, in pixels; a multiple of 32.
    """

    version: int = 1
    size: int = 160

    def __post_init__(self) -> None:
        if self.version not in PREPROCESS_VERSIONS:
            raise ValueError(
                f"preprocess version {self.version} is unknown here, known are "
                f"{PREPROCESS_VERSIONS}; update tumorlens"
            )
        if self.size < 32 or self.size % 32:
            raise ValueError(f"size must be a multiple of 32, got {self.size}")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """What the network takes, and the way back.

    Attributes:
        image: (1, S, S) float32 in [0, 1].
        to_pixels: (2, 3) float64; ``to_pixels @ (x, y, 1)`` takes a point of ``image`` to pixels
            of the slice. On both sides pixel i covers [i, i + 1).
        contrast: range of intensities in the slice, from the value at 0 to the one at 1 before
            the slice was dimmed; in units of its pixels.
    """

    image: Array
    to_pixels: npt.NDArray[np.float64]
    contrast: float


def prepare(slice_: Slice, spec: PreprocessSpec) -> Prepared:
    """Crop the head, make its pixels square, resize with antialiasing, scale to [0, 1].

    Pure and deterministic: no state, no randomness.

    Args:
        slice_: the slice; its pixels may have any range.
        spec: version and size.

    Returns:
        The (1, S, S) image and the affine back to pixels of the slice.
    """
    exponent = find_exponent(slice_)
    picture = Image.fromarray(divide(slice_.pixels, exponent))
    head = find_head(picture, spec.version)
    row, column = slice_.info.spacing_mm or (1.0, 1.0)
    to_pixels, inner, outer = _fit(head.box, row / column, picture.size, spec.size)
    resized = picture.resize(
        (outer[2] - outer[0], outer[3] - outer[1]), Image.Resampling.BILINEAR, box=inner
    )
    image = np.full((1, spec.size, spec.size), head.background, np.float32)
    image[0, outer[1] : outer[3], outer[0] : outer[2]] = np.asarray(resized)
    image -= head.dark
    image /= head.bright - head.dark
    np.clip(image, 0.0, 1.0, out=image)
    contrast = ldexp(head.bright - head.dark, exponent)
    if spec.version > 1:
        image *= np.float32(find_gain(contrast, slice_.contrast))
    return Prepared(image, to_pixels, contrast)


def find_gain(contrast: float, typical: float | None) -> float:
    """By how much a slice is dimmed beside its series.

    Args:
        contrast: range of intensities in the slice.
        typical: the typical range in its series; None where the slice stands alone.

    Returns:
        Their ratio, at most 1: a slice brighter than its series is not brightened further.
    """
    return 1.0 if not typical else min(1.0, contrast / typical)


def place(plane: npt.NDArray[np.uint8], prepared: Prepared) -> npt.NDArray[np.uint8]:
    """Bring a mask of the slice's shape into the prepared image's (S, S), by nearest neighbour."""
    size = prepared.image.shape[-1]
    picture = Image.fromarray(plane).transform(
        (size, size),
        Image.Transform.AFFINE,
        tuple(prepared.to_pixels.ravel()),
        Image.Resampling.NEAREST,
    )
    return np.asarray(picture)


def _fit(
    box: tuple[float, float, float, float], aspect: float, limits: tuple[int, int], size: int
) -> tuple[npt.NDArray[np.float64], tuple[float, float, float, float], Window]:
    """Place a box of the slice into the square.

    Args:
        box: of the head, in pixels of the slice.
        aspect: height of a pixel over its width.
        limits: width and height of the slice.
        size: side of the square.

    Returns:
        The affine back, the part of the slice to read, and the part of the square to fill.
    """
    x0, y0, x1, y1 = box
    side = max(x1 - x0, (y1 - y0) * aspect) * (1 + 2 * _MARGIN)  # in widths of a pixel
    scale = side / size
    x = _fit_axis(x0, x1, scale, limits[0], size)
    y = _fit_axis(y0, y1, scale / aspect, limits[1], size)
    to_pixels = np.array([[scale, 0.0, x.start], [0.0, scale / aspect, y.start]])
    return to_pixels, (x.low, y.low, x.high, y.high), (x.first, y.first, x.last, y.last)


class _Axis(NamedTuple):
    """One axis of the square: where it begins, what it reads (pixels of the slice) and fills."""

    start: float
    low: float
    high: float
    first: int
    last: int


def _fit_axis(low: float, high: float, step: float, limit: int, size: int) -> _Axis:
    """``step`` slice pixels a prepared pixel, the middle of the box in the middle."""
    start = (low + high) / 2 - step * size / 2
    first = min(max(ceil(-start / step - 1e-9), 0), size - 1)
    last = min(max(floor((limit - start) / step + 1e-9), first + 1), size)
    low, high = (min(max(start + edge * step, 0.0), float(limit)) for edge in (first, last))
    return _Axis(start, low, high, first, last)
