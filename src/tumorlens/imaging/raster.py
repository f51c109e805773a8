"""PNG, JPEG, TIFF, BMP and WebP pictures, one slice a picture or page.

A picture tells neither sides nor millimetres, so it is taken as it is displayed: an EXIF
orientation is applied (any viewer does, and so a heat map lies on what the user sees), colors
become luma, transparency is laid over black. 16-bit grey and float pictures keep their values;
16-bit colors come as 8 bits, which is all that Pillow gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy.typing as npt
from PIL import Image

from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.codecs.apart import ImageFile, to_values
from tumorlens.imaging.codecs.pillow import DecodedImage
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.pixels.voxels import BLANK, clean_pixels
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.volumes.content import (
    LABELS,
    is_label_picture,
    names_labels,
    refuse_content,
)

__all__ = [
    "RASTER_SUFFIXES",
    "convert_picture",
    "holds_labels",
    "read_picture",
    "read_pictures",
]

RASTER_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".dib", ".webp"}
)


def read_pictures(
    stream: BinaryIO, path: str, limits: Limits, *, any_content: bool = False
) -> Iterator[Slice]:
    """The slices of a picture: one, or one a page of a TIFF.

    Args:
        stream: the file.
        path: how the caller named it; a picture named after a mask may be one.
        limits: for each page.
        any_content: read label maps, too.

    Raises:
        InputError: damaged, too small, too large or no scan.
    """
    if not any_content and holds_labels(stream, path, limits):
        raise refuse_content(path, LABELS)
    with ImageFile(stream, path, limits, count=True) as picture:
        # The file is closed before a single picture is given on: its caller may take long.
        first = _read(picture, path, 0)
        if picture.pages > 1:
            yield first
            for page in range(1, picture.pages):
                yield _read(picture, path, page)
            return
    yield first


def holds_labels(stream: BinaryIO, path: str, limits: Limits) -> bool:
    """Whether a picture is a label map, by its name and by the values of each of its pages.

    Raises:
        InputError: damaged, too small or too large.
    """
    if not names_labels(path):
        return False
    with ImageFile(stream, path, limits, count=True) as picture:
        found = is_label_picture(picture.read(0)[0])
        pages = range(1, picture.pages)
        return found and all(is_label_picture(picture.read(page)[0]) for page in pages)


def read_picture(stream: BinaryIO, path: str, frame: int, limits: Limits) -> Slice:
    """One picture, or page ``frame`` of a TIFF.

    Raises:
        InputError: as `read_pictures`; or there is no such page, or nothing to see on it.
    """
    with ImageFile(stream, path, limits, count=False) as picture:
        slice_ = _read(picture, path, frame)
    if slice_.is_blank:
        raise InputError(path, BLANK)
    return slice_


def convert_picture(image: Image.Image, path: str, limits: Limits) -> Slice:
    """A Pillow image as a slice.

    Raises:
        InputError: as `read_pictures`.
    """
    try:
        picture = DecodedImage(image)
        rows, columns, needed = picture.measure()
        limits.check_slice(path, rows, columns)
        limits.check_memory(path, needed)
        *grey, values = picture.decode()
    except InputError as error:  # Pillow images have no path, so the error gets it here
        raise InputError(path, error.reason, error.advice) from error
    return _as_slice(*to_values(grey, values), path, 0)


def _read(picture: ImageFile, path: str, page: int) -> Slice:
    return _as_slice(*picture.read(page), path, page)


def _as_slice(values: npt.NDArray[Any], notes: tuple[str, ...], path: str, frame: int) -> Slice:
    pixels, mended = clean_pixels(values, path)
    return Slice(pixels, SliceInfo(path=path, frame=frame, notes=notes + mended))
