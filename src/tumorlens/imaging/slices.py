"""`Slice`: one MRI slice, as every reader gives it and `prepare` takes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import numpy.typing as npt

from tumorlens.finding import SliceInfo

__all__ = ["Slice"]


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
