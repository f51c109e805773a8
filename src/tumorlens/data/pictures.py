"""Reads the image of a row, and checks it against the row."""

from __future__ import annotations

from tumorlens.data.rows import Row
from tumorlens.errors import InputError
from tumorlens.imaging.files.limits import DEFAULT_LIMITS, Limits
from tumorlens.imaging.readers import read_slice
from tumorlens.imaging.slices import Slice

__all__ = ["read_row"]


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
