"""PNG, JPEG, TIFF, BMP and WebP pictures, one slice a picture or page.

A picture tells neither sides nor millimetres, so it is taken as it is displayed: an EXIF
orientation is applied (any viewer does, and so a heat map lies on what the user sees), colors
become luma, transparency is laid over black. 16-bit grey and float pictures keep their values;
16-bit colors come as 8 bits, which is all that Pillow gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageOps

from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.limits import Limits
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
    """The slices of a picture: one, or one a page of a TIFF; blank pages of several are left out.

    Raises:
        InputError: damaged, too small, too large, or nothing to see.
    """
    image = _open(stream, path)
    with refuse(path, "has a broken list of pages", _ADVICE):
        pages = int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
    if pages == 1:
        yield _finish(image, path, 0, limits)
        return
    seen = False
    for frame in range(pages):
        with refuse(path, f"page {frame} is damaged", _ADVICE):
            image.seek(frame)
        values, notes = _decode(image, path, limits)
        if not is_blank(values):
            seen = True
            yield _deliver(values, path, frame, notes)
    if not seen:
        raise InputError(path, BLANK)


def read_picture(stream: BinaryIO, path: str, frame: int, limits: Limits) -> Slice:
    """One picture, or page ``frame`` of a TIFF.

    Raises:
        InputError: as `read_pictures`, or there is no such page.
    """
    image = _open(stream, path)
    if frame:
        with refuse(path, f"has no page {frame}", "count pages from 0"):
            if image.format != "TIFF":
                raise EOFError("one picture a file")
            image.seek(frame)
    return _finish(image, path, frame, limits)


def convert_picture(image: Image.Image, path: str, limits: Limits) -> Slice:
    """A Pillow image as a slice.

    Raises:
        InputError: as `read_pictures`.
    """
    return _finish(image, path, 0, limits)


def _open(stream: BinaryIO, path: str) -> Image.Image:
    try:
        with refuse(path, "is no readable picture", _ADVICE):
            return Image.open(stream, formats=_FORMATS)
    except InputError as error:
        if isinstance(error.__cause__, Image.DecompressionBombError):
            reason = f"has far too many pixels ({error.__cause__})"
            raise InputError(path, reason, "make the picture smaller") from error
        raise


def _finish(image: Image.Image, path: str, frame: int, limits: Limits) -> Slice:
    values, notes = _decode(image, path, limits)
    if is_blank(values):
        clean_pixels(values, path)  # all NaN is another error than constant
        raise InputError(path, BLANK)
    return _deliver(values, path, frame, notes)


def _deliver(values: npt.NDArray[Any], path: str, frame: int, notes: tuple[str, ...]) -> Slice:
    pixels, mended = clean_pixels(values, path)
    return Slice(pixels, SliceInfo(path=path, frame=frame, notes=notes + mended))


def _decode(
    image: Image.Image, path: str, limits: Limits
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    limits.check_slice(path, image.height, image.width)
    tags = getattr(image, "tag_v2", {})
    with refuse(path, "has a broken tag", _ADVICE):
        limits.check_memory(
            path, 4 * int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_HEIGHT, 0))
        )
    with refuse(path, "is damaged or cut short", _ADVICE):
        image.load()
        grey = _grey(image)
        values: npt.NDArray[Any] = np.asarray(grey)
        if image.mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == 0:
            values = np.iinfo(np.uint16).max - values  # white is zero; Pillow turns 8 bits only
        orientation = _orientation(image)
        if orientation is None:
            return values, ()
        turned = ImageOps.exif_transpose(image)
        return np.asarray(_grey(turned)), (f"turned as its EXIF orientation {orientation} says",)


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
    value = image.getexif().get(_ORIENTATION, 1)
    return int(value) if value in range(2, 9) else None
