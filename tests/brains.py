"""Painted heads that differ as brains do: an ellipse, a skull, and folds of their own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorlens.finding import SliceInfo
from tumorlens.imaging.slices import Slice


def paint_brain(seed: int, size: int = 160, skull: int = 220) -> npt.NDArray[np.uint8]:
    """(size, size): a head on black; another seed is another head."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    radius = np.hypot(x / rng.uniform(0.6, 0.7), y / rng.uniform(0.75, 0.85))
    coarse = Image.fromarray(rng.uniform(0, 255, (14, 14)).astype(np.uint8))
    folds = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), float)
    pixels = np.where(radius < 0.9, 60 + 0.5 * folds, 0)
    pixels[(radius > 0.9) & (radius < 1)] = skull
    return np.clip(pixels, 0, 255).astype(np.uint8)


def as_slice(pixels: npt.NDArray[np.uint8] | Image.Image) -> Slice:
    return Slice(np.asarray(pixels, np.float32), SliceInfo("painted"))
