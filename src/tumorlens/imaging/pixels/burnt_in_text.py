"""Find letters that were burnt into a picture beside the head."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorlens.imaging.pixels.head import Head, find_head
from tumorlens.imaging.slices import Slice
from tumorlens.optional import load

__all__ = ["find_burnt_in_text", "locate_head"]

_CONTRAST = 0.35  # of the head's range: how far a stroke stands off from the background
_HEIGHTS = (0.012, 0.09)  # of the picture's longer side: letters people burn in
_WIDEST = 0.12
_FILLED = (0.15, 0.92)  # share of its box that a letter fills: no frame, no solid patch
_LEAST = 4  # pixels: smaller spots are noise
_MOST = 400  # parts: noise, not text
_QUIET = 0.12  # of the head's range: how little may be seen around a letter
_RIM = 2  # pixels around its box that are looked at
_CLEAR = 1.1  # half-axes of the head's ellipse: inside it lie eyes, ears and scalp
_LINE = 3  # letters side by side that are text wherever they stand
_REACH = 6  # heights of a letter that the next ones of its line may be away
_MARGIN = 0.06  # of the picture's longer side: how near to its border a letter stands alone
_CUT = 0.012  # of that side: what is nearer may be cut off by the border, as ears are
_CORNER = 0.1  # of that side: how near to a corner what is cut off may be text still
_SLIMMEST = 3.5  # height of a lone letter by its width: lines of noise are slimmer

Box = tuple[int, int, int, int]
Boxes = list[Box]


def locate_head(slice_: Slice) -> Head:
    """The head that `prepare` would crop, in pixels of the slice."""
    return find_head(Image.fromarray(slice_.pixels), version=1)


def find_burnt_in_text(slice_: Slice, head: Head) -> Boxes:
    """Boxes (x0, y0, x1, y1), half-open, of parts that look like letters outside the head.

    A part looks like a letter if it has a letter's height, is neither a line nor a solid patch,
    stands off from the background as the head does, and has sharp edges: around it lies nothing but
    background and other strokes. It stands in a line of three or more, or alone at the border of
    the picture; elsewhere eyes, ears and the crumbs of heads that were cut out look the same. Text
    laid over the head itself is not found.

    Raises:
        MissingExtra: SciPy is not installed.
    """
    ndimage = load("scipy.ndimage", "looking for burnt-in text")
    away = np.abs(slice_.pixels - head.background) / (head.bright - head.dark)
    strokes = away > _CONTRAST
    numbers, count = ndimage.label(strokes, np.ones((3, 3), np.int8))
    if count > _MOST:
        return []
    parts = enumerate(ndimage.find_objects(numbers), start=1)
    letters = [
        (part[1].start, part[0].start, part[1].stop, part[0].stop)
        for number, part in parts
        if _is_letter(numbers[part] == number, max(strokes.shape))
        and _is_clear(part, head)
        and _is_alone(away, strokes, part)
    ]
    return [
        one for one in letters if _stands_in_line(one, letters) or _is_at_border(one, strokes.shape)
    ]


def _stands_in_line(box: Box, letters: Boxes) -> bool:
    x0, y0, x1, y1 = box
    height = y1 - y0
    mates = [
        one
        for one in letters
        if abs(one[1] - y0) + abs(one[3] - y1) <= height / 2 + 1
        and abs(one[0] + one[2] - x0 - x1) / 2 < _REACH * height
    ]
    return len(mates) >= _LINE  # the letter itself is one


def _is_at_border(box: Box, shape: tuple[int, ...]) -> bool:
    x0, y0, x1, y1 = box
    if x1 - x0 < _LEAST or y1 - y0 > _SLIMMEST * (x1 - x0):
        return False
    side = max(shape)
    near, far = sorted((min(x0, shape[1] - x1) / side, min(y0, shape[0] - y1) / side))
    return near < _MARGIN and (near > _CUT or far < _CORNER)


def _is_letter(part: npt.NDArray[np.bool_], side: int) -> bool:
    height, width = part.shape
    low, high = _HEIGHTS[0] * side, _HEIGHTS[1] * side
    filled = float(part.mean())
    return (
        max(_LEAST, low) <= height <= max(high, _LEAST + 2)
        and 2 <= width <= _WIDEST * side
        and _FILLED[0] <= filled <= _FILLED[1]
    )


def _is_clear(part: tuple[slice, slice], head: Head) -> bool:
    """Whether a part lies outside the ellipse that the head's box holds."""
    x0, y0, x1, y1 = head.box
    x = (part[1].start + part[1].stop) / 2 - (x0 + x1) / 2
    y = (part[0].start + part[0].stop) / 2 - (y0 + y1) / 2
    return bool(np.hypot(2 * x / max(x1 - x0, 1), 2 * y / max(y1 - y0, 1)) > _CLEAR)


def _is_alone(
    away: npt.NDArray[np.float32], strokes: npt.NDArray[np.bool_], part: tuple[slice, slice]
) -> bool:
    """Whether the rim around a part is background: tissue fades out, letters do not."""
    around = tuple(slice(max(0, one.start - _RIM), one.stop + _RIM) for one in part)
    rim = ~strokes[around]
    inside = tuple(
        slice(one.start - wide.start, one.stop - wide.start)
        for one, wide in zip(part, around, strict=True)
    )
    rim[inside] = False
    return bool(rim.any()) and float(np.percentile(away[around][rim], 75)) < _QUIET
