"""Greys of a slice and the heat over them: which evidence gets which colour.

Evidence below the cell threshold of the model is faint. So is all evidence if the verdict is
neither tumor nor uncertain: a striking colour would contradict the word below it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageFilter

from tumorlens.design.tokens import list_heat
from tumorlens.finding import Finding
from tumorlens.imaging.pixels.voxels import find_range
from tumorlens.imaging.slices import Slice

__all__ = [
    "USUAL_THRESHOLD",
    "WEAK",
    "blend_heat",
    "color_table",
    "level_heat",
    "paint_greys",
    "paint_scale",
    "scale_colors",
    "speaks",
    "spread_evidence",
    "tell_weak",
]

WEAK = "some evidence, below the threshold"
"""Explains visible heat beside the verdict no tumor, because the two seem to contradict."""

USUAL_THRESHOLD = 0.5
"""Used in place of the cell threshold if a finding does not have it."""

_NOTHING = 0.3  # share of the threshold below which nothing is drawn
_FAINT, _FULL = 0.13, 0.55  # opacity at the threshold, and well above it
_RISE = 0.4  # share of what is above the threshold along which the opacity rises
_SEEN = 5  # smallest opacity (of 255) at which colour is visible over grey
_WHITE = 0.6  # share of the pixels that a sound window leaves white, at most

Size = tuple[int, int]
Array = npt.NDArray[np.float64]


@cache
def color_table() -> npt.NDArray[np.uint8]:
    """(256, 3) colours of evidence, from none to most: interpolated between the design tokens."""
    points = np.array(list_heat(), float)
    along = np.linspace(0, len(points) - 1, 256)
    channels = [np.interp(along, np.arange(len(points)), channel) for channel in points.T]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def speaks(finding: Finding) -> bool:
    """Whether the verdict asks a person to look: tumor or uncertain."""
    return finding.verdict in ("tumor", "uncertain")


def tell_weak(finding: Finding) -> str:
    """A sentence if the picture shows heat beside the verdict no tumor; else an empty text."""
    if finding.verdict != "no_tumor" or finding.activation is None:
        return ""
    strongest = round(255 * min(float(finding.activation.max()), 1.0))
    return WEAK if _opacities_of(finding)[strongest] >= _SEEN else ""


def paint_greys(slice_: Slice) -> npt.NDArray[np.uint8]:
    """Greys by the file's own window; by the middle 99.4 % of the values if it has none or a
    senseless one. A slice that is dimmer than its series stays so: noise of an empty one is dark.
    """
    low, high = find_range(slice_.pixels)
    high = max(high, low + (slice_.contrast or 0.0))
    if low == high:
        return np.full(slice_.pixels.shape, 128, np.uint8)
    if slice_.info.window is not None:
        center, width = slice_.info.window
        first, last = center - width / 2, center + width / 2
        if width > 0 and _fits(slice_.pixels, first, last, (low, high)):
            low, high = first, last
    greys = np.clip((slice_.pixels - low) * (255.0 / (high - low)), 0, 255)
    return np.asarray(greys, np.uint8)


def _fits(
    pixels: npt.NDArray[np.float32], first: float, last: float, found: tuple[float, float]
) -> bool:
    """Whether a window shows the values: one that misses them would show one flat grey."""
    low, high = found
    reaches = first < high and last > low and last - first < 20 * (high - low)
    return reaches and float((pixels >= last).mean()) <= _WHITE


def blend_heat(
    picture: Image.Image,
    outline: npt.NDArray[np.bool_],
    finding: Finding,
    scale: tuple[float, float],
) -> Image.Image:
    """Lay a finding's heat over its slice, inside of the head.

    Args:
        picture: the slice as drawn, RGB.
        outline: (h, w), the head; it spans the slice.
        finding: without its activation the picture is given back.
        scale: pixels of the drawing for one of the slice, (x, y).
    """
    if finding.activation is None or finding.to_pixels is None:
        return picture
    # The few cells hold no detail that the last enlargement could lose.
    small = (max(1, picture.width // 4), max(1, picture.height // 4))
    shape = Image.fromarray(outline).convert("L").filter(ImageFilter.GaussianBlur(1))
    shape = shape.resize(small, Image.Resampling.BICUBIC)
    heat = ImageChops.multiply(_spread(finding, picture.size, small, scale), shape)
    heat = heat.resize(picture.size, Image.Resampling.BICUBIC)
    return Image.composite(_color(heat), picture, heat.point(_opacities_of(finding)))


def paint_scale(finding: Finding, size: Size) -> Image.Image:
    """The scale from 0 to 1, as heat of this finding looks over grey."""
    heat = Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90).resize(size)
    grey = Image.new("RGB", size, (110, 110, 110))
    return Image.composite(_color(heat), grey, heat.point(_opacities_of(finding)))


def scale_colors(threshold: float) -> npt.NDArray[np.uint8]:
    """(256, 4) red, green, blue and opacity of each level of evidence where the verdict speaks.

    A viewer that lays evidence over a scan by this table shows what `draw` paints.

    Args:
        threshold: of the model's cells.
    """
    opacity = np.array(_opacities(threshold, full=True), np.uint8)
    return np.column_stack([color_table(), opacity])


def spread_evidence(finding: Finding, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The evidence of each pixel of a slice, 0 to 255, smoothly between the centres of cells.

    Args:
        finding: with its activation.
        shape: (H, W) of the slice.

    Raises:
        ValueError: the finding has no activation.
    """
    if finding.activation is None:
        raise ValueError(f"{finding.info.path}: the finding holds no activation")
    size = (shape[1], shape[0])
    return np.asarray(_spread(finding, size, size, (1.0, 1.0)))


def level_heat(
    finding: Finding, outline: npt.NDArray[np.bool_], shape: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """The level of `scale_colors` that each pixel of a slice is shown with.

    It is the evidence inside of the head. Where the verdict does not speak it ends at the threshold
    of the cells: there the scale is still faint. A slice that is not judged has none.

    Args:
        finding: with its activation.
        outline: (h, w), the head; it spans the slice.
        shape: (H, W) of the slice.
    """
    if finding.verdict == "not_judged":
        return np.zeros(shape, np.uint8)
    head = Image.fromarray(outline).convert("L").filter(ImageFilter.GaussianBlur(1))
    head = head.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    level = np.asarray(ImageChops.multiply(Image.fromarray(spread_evidence(finding, shape)), head))
    threshold = finding.cell_threshold or USUAL_THRESHOLD
    return level if speaks(finding) else np.minimum(level, np.uint8(255 * threshold))


def _spread(finding: Finding, size: Size, small: Size, scale: tuple[float, float]) -> Image.Image:
    """Activation as 0 to 255, smoothly between the centres of cells, at a part of the full size."""
    activation, to_pixels = finding.activation, finding.to_pixels
    assert activation is not None and to_pixels is not None
    side = finding.image_size or activation.shape[1]
    cells = np.diag([activation.shape[1] / side, activation.shape[0] / side, 1.0])
    pixels = np.vstack([to_pixels, [0.0, 0.0, 1.0]])
    drawing = np.diag([size[0] / (scale[0] * small[0]), size[1] / (scale[1] * small[1]), 1.0])
    to_cells = cells @ np.linalg.inv(pixels) @ drawing
    drawn = Image.fromarray(np.asarray(activation, np.float32) * np.float32(255)).transform(
        small,
        Image.Transform.AFFINE,
        tuple(to_cells[:2].ravel()),
        Image.Resampling.BICUBIC,
    )
    return drawn.convert("L")


def _color(heat: Image.Image) -> Image.Image:
    colors = heat.copy()
    colors.putpalette(color_table().tobytes())
    return colors.convert("RGB")


def _opacities_of(finding: Finding) -> list[int]:
    """Opacity of each level of evidence, by the threshold and the verdict of a finding."""
    return _opacities(finding.cell_threshold or USUAL_THRESHOLD, full=speaks(finding))


def _opacities(threshold: float, *, full: bool) -> list[int]:
    """Opacity, 0 to 255, of each of 256 levels of evidence."""
    threshold = min(max(threshold, 0.05), 0.95)
    level = np.arange(256) / 255
    opacity = _FAINT * _step(level, _NOTHING * threshold, threshold)
    if full:
        opacity += (_FULL - _FAINT) * _step(level, threshold, threshold + _RISE * (1 - threshold))
    return [round(255 * value) for value in opacity.tolist()]


def _step(values: Array, low: float, high: float) -> Array:
    """0 below ``low``, 1 above ``high``, smoothly between."""
    along = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(along * along * (3 - 2 * along))
