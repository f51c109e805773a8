"""Reads the image of a row, and checks it against the row."""

from __future__ import annotations

import numpy as np

from tumorlens.data.rows import Row
from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.files.limits import DEFAULT_LIMITS, Limits
from tumorlens.imaging.readers import read_slice
from tumorlens.imaging.slices import Slice

__all__ = ["measure_offset", "read_row"]

_NEAR = 2.0
"""Pixels by which a mask may lie beside its picture: programs place voxels by their corner or their
centre, and round."""


def read_row(row: Row, *, limits: Limits = DEFAULT_LIMITS) -> Slice:
    """The slice that a row names.

    Args:
        row: one slice of a manifest.
        limits: limits on size and memory of one file.

    Raises:
        InputError: the file cannot be read, has no such frame, or a box of the row lies outside
            the picture; names the manifest's line where it is known.
    """
    slice_ = read_slice(row.path, row.frame or 0, limits=limits)
    height, width = slice_.pixels.shape
    for box in row.boxes:
        if box[2] > width or box[3] > height:
            where = f"{row.origin}, column box: " if row.origin else ""
            raise InputError(
                str(row.path),
                f"{where}expected boxes inside the picture of {width} x {height} pixels, "
                f"got {' '.join(f'{edge:g}' for edge in box)}",
                "check the order x0 y0 x1 y1, and whether the picture was scaled",
            )
    return slice_


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
