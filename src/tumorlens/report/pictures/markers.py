"""What is drawn onto a slice beside heat: boxes, the strongest point, the patient's sides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import ImageDraw, ImageFont

from tumorlens.design.tokens import Color, find_color, find_sign
from tumorlens.finding import Box, Finding, Verdict
from tumorlens.report.pictures.heat import speaks

__all__ = [
    "DARK",
    "INK",
    "MARKER",
    "Markers",
    "choose_markers",
    "draw_box",
    "draw_peak",
    "draw_sides",
    "draw_sign",
    "find_font",
]

INK = find_color("text")
MARKER = find_color("mark")  # boxes and peak: a hue that neither greys nor the heat scale hold
DARK = (0, 0, 0)
_LEAST_INSIDE = 0.5  # share of a box that lies in the head, if it is to be drawn

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Markers:
    """What of a finding is shown.

    Attributes:
        boxes: regions, the head's part of them.
        peak: the strongest point.
        outside: the verdict asks to look, but its strongest point does not lie in the head.
    """

    boxes: tuple[Box, ...] = ()
    peak: Point | None = None
    outside: bool = False


def choose_markers(
    finding: Finding, outline: npt.NDArray[np.bool_], shape: tuple[int, ...]
) -> Markers:
    """Boxes and peak where the verdict is tumor or uncertain, and in the head alone.

    A frame around weak evidence would contradict a verdict that sees no tumor, or gives none. The
    record keeps regions and point whatever the verdict.

    Args:
        finding: of the slice.
        outline: (h, w), the head; it spans the slice.
        shape: (H, W) of the slice.
    """
    if not speaks(finding):
        return Markers()
    clipped = (_clip(box, outline, shape) for box in finding.boxes or ())
    boxes = tuple(box for box in clipped if box is not None)
    peak = finding.peak_xy
    if peak is None:
        return Markers(boxes)
    row, column = (
        min(max(int(at * count / side), 0), count - 1)
        for at, count, side in zip(peak[::-1], outline.shape, shape, strict=True)
    )
    inside = bool(outline[row, column])
    return Markers(boxes, peak if inside else None, not inside)


def _clip(box: Box, outline: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> Box | None:
    """The part of a box around what it holds of the head; None if most of it lies outside."""
    down, across = (side / count for side, count in zip(shape, outline.shape, strict=True))
    top, left = int(box.y0 / down), int(box.x0 / across)
    part = outline[top : int(np.ceil(box.y1 / down)), left : int(np.ceil(box.x1 / across))]
    if not part.size or part.mean() < _LEAST_INSIDE:
        return None
    (rows,), (columns,) = np.nonzero(part.any(axis=1)), np.nonzero(part.any(axis=0))
    return Box(
        max(box.x0, (left + int(columns[0])) * across),
        max(box.y0, (top + int(rows[0])) * down),
        min(box.x1, (left + int(columns[-1]) + 1) * across),
        min(box.y1, (top + int(rows[-1]) + 1) * down),
        box.score,
    )


def draw_box(
    pen: ImageDraw.ImageDraw, corners: tuple[Point, Point], score: float, unit: int
) -> None:
    """A frame with its score.

    Args:
        pen: of the drawing.
        corners: first and one past the last, in pixels of the drawing.
        score: of the region.
        unit: height of a line of text.
    """
    (x0, y0), (x1, y1) = corners
    line = max(2, unit // 10)
    edges = (x0, y0, max(x0 + 1, x1 - 1), max(y0 + 1, y1 - 1))
    pen.rectangle(_grow(edges, line // 2), outline=DARK, width=line * 2)
    pen.rectangle(edges, outline=MARKER, width=line)
    above = y0 - unit
    at = (x0, above if above >= 0 else y0 + line * 2)
    _draw_outlined(pen, at, f"{score:.2f}", find_font(round(unit * 0.75)), MARKER)


def draw_peak(pen: ImageDraw.ImageDraw, point: Point, unit: int) -> None:
    """A cross; ``point`` in pixels of the drawing."""
    x, y = point
    arm = unit * 0.5
    for color, width in ((DARK, max(4, unit // 5)), (MARKER, max(2, unit // 10))):
        pen.line((x - arm, y, x + arm, y), color, width)
        pen.line((x, y - arm, x, y + arm), color, width)


def draw_sign(pen: ImageDraw.ImageDraw, verdict: Verdict, corner: Point, side: float) -> None:
    """The sign of a verdict in its colour, in a square whose upper left corner is given."""
    points = [(corner[0] + x * side, corner[1] + y * side) for x, y in find_sign(verdict)]
    pen.polygon(points, fill=find_color(verdict))


def draw_sides(pen: ImageDraw.ImageDraw, size: tuple[int, int], unit: int) -> None:
    """Radiological display: the patient's right is on the viewer's left."""
    font = find_font(round(unit * 1.4))
    y = size[1] / 2 - unit * 0.7
    _draw_outlined(pen, (unit * 0.4, y), "R", font, INK)
    _draw_outlined(pen, (size[0] - unit * 0.4 - font.getlength("L"), y), "L", font, INK)


@cache
def find_font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own font, which looks the same everywhere."""
    font = ImageFont.load_default(max(8, size))
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _grow(edges: tuple[float, ...], by: float) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = edges
    return x0 - by, y0 - by, x1 + by, y1 + by


def _draw_outlined(
    pen: ImageDraw.ImageDraw, point: Point, words: str, font: ImageFont.FreeTypeFont, ink: Color
) -> None:
    stroke = max(1, round(font.size / 10))
    pen.text(point, words, ink, font, stroke_width=stroke, stroke_fill=DARK)
