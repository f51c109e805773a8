"""Reads the image of a row, and checks it against the row; masks are checked against the image."""

from __future__ import annotations

from pathlib import Path

from tumorlens.data.rows import Row
from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.files.limits import DEFAULT_LIMITS, Limits
from tumorlens.imaging.readers import read_slice
from tumorlens.imaging.slices import Slice, measure_offset

__all__ = ["read_mask", "read_row"]


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


def read_mask(
    file: Path, frame: int, shape: tuple[int, ...] | None = None, info: SliceInfo | None = None
) -> Slice:
    """A mask that a row names.

    Args:
        file: of the mask.
        frame: index inside it.
        shape: (H, W) of the image; None leaves it unchecked.
        info: where the image lies; None leaves it unchecked.

    Raises:
        InputError: the mask cannot be read, has another size, or lies elsewhere.
    """
    mask = read_slice(file, frame, any_content=True)
    if shape is not None and mask.pixels.shape != shape:
        size, wanted = (f"{width} x {height}" for height, width in (mask.pixels.shape, shape))
        reason = f"mask of {size} pixels on a slice of {wanted}"
        raise InputError(str(file), reason, "give masks the size of their slices")
    if info is not None and (apart := measure_offset(mask, info)):
        reason = f"mask that lies {apart:.0f} mm away from its picture"
        advice = "save it with the orientation (affine) of the picture"
        raise InputError(str(file), reason, advice)
    return mask
