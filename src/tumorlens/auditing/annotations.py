"""Checks of masks and boxes against their picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import Edges, Row
from tumorlens.errors import InputError
from tumorlens.imaging.pixels.head import Head
from tumorlens.imaging.pixels.voxels import BLANK
from tumorlens.imaging.readers import read_slice
from tumorlens.imaging.slices import Slice, find_marked, measure_offset

__all__ = ["MISFITS", "check_annotations"]

MISFITS: dict[str, str] = {
    "mask of another size": "scale it with its picture, or find the mask that belongs to it",
    "mask lies elsewhere": "save it with the orientation (affine) of its picture",
    "mask cannot be read": "repair it, or remove it from the manifest",
    "mask is empty": "draw it, or set the label to no_tumor if there is no tumor",
    "mask on a no-tumor slice": "correct the label, or remove the mask",
    "mask outside the head": "find the mask that belongs to the picture; it may be shifted",
    "mask over most of the head": "find the mask of the tumor; this may be that of the brain",
    "box outside the picture": "check the order x0 y0 x1 y1, and whether one of them was scaled",
    "box on a no-tumor slice": "correct the label, or remove the box",
    "box outside the head": "check whether the picture or the box was scaled or turned",
    "box over most of the head": "draw the box around the tumor alone",
    "box without its mask": "one of the two belongs to another slice, or was scaled",
}
"""Fault of an annotation -> what to do."""

_INSIDE = 0.5  # smallest share of an annotation that must lie in the box of the head
_LARGEST = 0.7  # largest share of that box that a lesion may fill

Mask = npt.NDArray[np.bool_]


def check_annotations(row: Row, slice_: Slice, head: Head) -> tuple[str, ...]:
    """Which of `MISFITS` a row's mask and boxes show.

    Args:
        row: the row, with its mask's path and its boxes.
        slice_: its picture.
        head: where the head lies on it.
    """
    mask, problems = _read_mask(row, slice_)
    if mask is not None:
        problems += _check_mask(row, mask, head)
    for box in row.boxes:
        problems += _check_box(row, box, slice_.pixels.shape, head, mask)
    return tuple(dict.fromkeys(problems))


def _read_mask(row: Row, slice_: Slice) -> tuple[Mask | None, list[str]]:
    if row.mask is None:
        return None, []
    try:
        mask = read_slice(row.mask, row.mask_frame, any_content=True)
    except InputError as error:
        if error.reason != BLANK:
            return None, ["mask cannot be read"]
        return None, ["mask is empty"] if row.label == "tumor" else []
    if mask.pixels.shape != slice_.pixels.shape:
        return None, ["mask of another size"]
    if measure_offset(mask, slice_.info):
        return None, ["mask lies elsewhere"]
    return find_marked(mask), []


def _check_mask(row: Row, mask: Mask, head: Head) -> Iterator[str]:
    if not mask.any():
        if row.label == "tumor":
            yield "mask is empty"
        return
    if row.label == "no_tumor":
        yield "mask on a no-tumor slice"
    x0, y0, x1, y1 = (round(edge) for edge in head.box)
    if mask[y0:y1, x0:x1].sum() < _INSIDE * mask.sum():
        yield "mask outside the head"
    elif mask.sum() > _LARGEST * max(1, (x1 - x0) * (y1 - y0)):
        yield "mask over most of the head"


def _check_box(
    row: Row, box: Edges, shape: tuple[int, ...], head: Head, mask: Mask | None
) -> Iterator[str]:
    if row.label == "no_tumor":
        yield "box on a no-tumor slice"
    if box[2] > shape[1] or box[3] > shape[0]:
        yield "box outside the picture"
        return
    if _overlap(box, head.box) < _INSIDE * _area(box):
        yield "box outside the head"
    elif _area(box) > _LARGEST * _area(head.box):
        yield "box over most of the head"
    x0, y0, x1, y1 = (int(edge) for edge in box)
    if mask is not None and not mask[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].any():
        yield "box without its mask"


def _area(box: Edges) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(first: Edges, second: Edges) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)
