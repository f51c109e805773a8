"""PNG, JPEG, TIFF, BMP and WebP pictures, one slice a picture or page.

A picture tells neither sides nor millimetres, so it is taken as it is displayed: an EXIF
orientation is applied (any viewer does, and so a heat map lies on what the user sees), colors
become luma, transparency is laid over black. 16-bit grey and float pictures keep their values;
16-bit colors come as 8 bits, which is all that Pillow gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageOps

from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.limits import BYTES_PER_PIXEL, Limits
from tumorlens.imaging.refusal import refuse
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.voxels import BLANK, clean_pixels, is_blank

__all__ = ["RASTER_SUFFIXES", "convert_picture", "read_picture", "read_pictures"]

RASTER_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".dib", ".webp"}
)
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_ORIENTATION, _PHOTOMETRIC, _TILE_WIDTH, _TILE_HEIGHT = 0x0112, 262, 322, 323
_ADVICE = "save the picture anew, or leave it out"


def read_pictures(stream: BinaryIO, path: str, limits: Limits) -> Iterator[Slice]:
    """The slices of a picture: one, or one a page of a TIFF.

    Raises:
        InputError: damaged, too small or too large.
    """
    image = _open(stream, path)
    with refuse(path, "has a broken list of pages", _ADVICE):
        pages = int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
    for frame in range(pages):
        if frame:
            _turn_to(image, frame, path)
        yield _decode(image, path, frame, limits)


def read_picture(stream: BinaryIO, path: str, frame: int, limits: Limits) -> Slice:
    """One picture, or page ``frame`` of a TIFF.

    Raises:
        InputError: as `read_pictures`; or there is no such page, or nothing to see on it.
    """
    image = _open(stream, path)
    if frame:
        _turn_to(image, frame, path)
    slice_ = _decode(image, path, frame, limits)
    if is_blank(slice_.pixels):
        raise InputError(path, BLANK)
    return slice_


def convert_picture(image: Image.Image, path: str, limits: Limits) -> Slice:
    """A Pillow image as a slice.

    Raises:
        InputError: as `read_pictures`.
    """
    return _decode(image, path, 0, limits)


def _open(stream: BinaryIO, path: str) -> Image.Image:
    try:
        with refuse(path, "is no readable picture", _ADVICE):
            return Image.open(stream, formats=_FORMATS)
    except InputError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            reason = f"has far too many pixels ({error.__cause__})"
            raise InputError(path, reason, "make the picture smaller") from error
        raise


def _turn_to(image: Image.Image, frame: int, path: str) -> None:
    with refuse(path, f"has no readable page {frame}", "count pages from 0"):
        if image.format != "TIFF":
            raise EOFError("one picture a file")
        image.seek(frame)


def _decode(image: Image.Image, path: str, frame: int, limits: Limits) -> Slice:
    limits.check_slice(path, image.height, image.width)
    with refuse(path, "is damaged or cut short", _ADVICE):
        _check_tiles(image, path, limits)
        image.load()
        orientation = _orientation(image)
        notes: tuple[str, ...] = ()
        if orientation is not None:
            image = ImageOps.exif_transpose(image)
            notes = (f"turned as its EXIF orientation {orientation} says",)
        values: npt.NDArray[Any] = np.asarray(_grey(image))
        if image.mode.startswith("I;16") and _tags(image).get(_PHOTOMETRIC) == 0:
            values = np.iinfo(np.uint16).max - values  # white is zero; Pillow turns 8 bits only
    pixels, mended = clean_pixels(values, path)
    return Slice(pixels, SliceInfo(path=path, frame=frame, notes=notes + mended))


def _check_tiles(image: Image.Image, path: str, limits: Limits) -> None:
    """Tiles larger than the picture would be allocated as they say."""
    width, height = (int(_tags(image).get(tag, 0)) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
    limits.check_memory(path, BYTES_PER_PIXEL * width * height)


def _tags(image: Image.Image) -> dict[int, Any]:
    return getattr(image, "tag_v2", {})


def _grey(image: Image.Image) -> Image.Image:
    """Luma, with transparency laid over black; deep grey and float pictures as they are."""
    if image.mode == "L" and "transparency" not in image.info:
        return image
    if image.mode in _DEEP:
        return image
    if image.mode in _ALPHA or "transparency" in image.info:
        colors = image.convert("RGBA")
        return ImageChops.multiply(colors.convert("L"), colors.getchannel("A"))
    if image.mode == "LAB":
        return image.getchannel(0)
    return image.convert("L")


def _orientation(image: Image.Image) -> int | None:
    """EXIF orientation 2 to 8, or None. Pillow turns TIFF pages by itself."""
    if image.format == "TIFF" or "exif" not in image.info:
        return None
    with suppress(Exception):  # a broken EXIF block is no reason to refuse a sound picture
        value = image.getexif().get(_ORIENTATION, 1)
        return int(value) if value in range(2, 9) else None
    return None
