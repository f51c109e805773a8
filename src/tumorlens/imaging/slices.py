"""`Slice`: one MRI slice, as every reader gives it and `prepare` takes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import numpy.typing as npt

from tumorlens.finding import SliceInfo

__all__ = ["Slice", "find_marked", "measure_offset"]

_NEAR = 2.0
"""Pixels by which a mask may lie beside its picture: programs place voxels by their corner or their
centre, and round."""
_FEW = 8  # different values of a mask of labels
_BRIGHT = 64  # largest value from which on it is a brightness and no number of a label


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One slice: the scanner's values and where they come from.

    Attributes:
        pixels: (H, W) float32, finite; values after the modality rescale (no window applied),
            in radiological display where ``info.sides_known``. Not resampled in plane.
        info: path, frame, spacing, plane and the rest.
        contrast: typical range of intensities in the slices of its series, in units of the
            pixels, as `contrast.measure_contrast` gives it; None where the slice stands alone.
        extremes: smallest and largest pixel.

    Raises:
        ValueError: ``pixels`` is not a finite two-dimensional float32 array.
    """

    pixels: npt.NDArray[np.float32]
    info: SliceInfo
    contrast: float | None = None
    extremes: tuple[float, float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or 0 in self.pixels.shape:
            raise ValueError(f"pixels must be (H, W), got shape {self.pixels.shape}")
        if self.pixels.dtype != np.float32:
            raise ValueError(f"pixels must be float32, got {self.pixels.dtype}")
        # A NaN anywhere makes both of them NaN.
        extremes = float(self.pixels.min()), float(self.pixels.max())
        if not all(map(isfinite, extremes)):
            raise ValueError("pixels must be finite")
        object.__setattr__(self, "extremes", extremes)

    @property
    def is_blank(self) -> bool:
        """Whether one value fills the slice."""
        lowest, highest = self.extremes
        return lowest == highest


def measure_offset(mask: Slice, picture: SliceInfo) -> float:
    """How far a mask lies from its picture, in mm: the farther of two corners; 0 if that is near.

    A mask that was saved without the orientation of its picture is turned for display in another
    way, so that its frames or its sides are others. Pictures that state no place may lie anywhere.
    """
    if mask.info.lps_mm is None or picture.lps_mm is None:
        return 0.0
    height, width = mask.pixels.shape
    corners = ((0, 0), (width, height))
    own, other = ([one.to_patient(*at) or () for at in corners] for one in (mask.info, picture))
    far = float(np.linalg.norm(np.subtract(own, other), axis=1).max())
    pixel = max(float(np.linalg.norm(step)) for step in picture.lps_mm[1:])
    return far if far > _NEAR * pixel else 0.0


def find_marked(mask: Slice) -> npt.NDArray[np.bool_]:
    """Which pixels a mask marks, (H, W).

    Of a mask with a few values these are all but 0. JPEG and interpolation blur the rim of what was
    drawn, and leave many values: then those count that are at least half of white, or of 1 where
    labels or shares of a label were blurred.
    """
    pixels, brightest = mask.pixels, mask.extremes[1]
    if np.unique(pixels[::4]).size <= _FEW and np.unique(pixels).size <= _FEW:
        return pixels > 0
    return pixels >= (brightest / 2 if brightest >= _BRIGHT else 0.5)
