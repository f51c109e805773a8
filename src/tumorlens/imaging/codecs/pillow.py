"""Pillow's side of a picture file: its pages, their size, and their grey values.

No NumPy here: the process in which pictures are decoded starts in a moment without it.
"""

from __future__ import annotations

import io
import re
from contextlib import suppress
from typing import Any, NamedTuple

from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from tumorlens.errors import InputError
from tumorlens.imaging.files.limits import BYTES_PER_PIXEL
from tumorlens.imaging.files.refusal import refuse

__all__ = ["FORMATS", "DecodedImage", "Grey"]

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
"""Picture formats that are read, by Pillow's names."""

# Blocks of Pillow's own size, 16 MiB, stay with the thread that had them: a large picture costs
# each thread its memory for ever. What is larger than malloc keeps is given back at once.
Image.core.set_block_size(128 * 2**20)  # type: ignore[attr-defined]

_DEEP = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2", "I;16N": "=u2", "I": "=i4", "F": "=f4"}
"""Pillow's deep grey modes, and NumPy's names for their values."""
_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_ORIENTATION, _PHOTOMETRIC, _TILE_WIDTH, _TILE_HEIGHT = 0x0112, 262, 322, 323
_SUBFILE, _BITS, _DESCRIPTION, _PLANES, _SAMPLE_FORMAT, _DEPTH = 254, 258, 270, 284, 339, 32997
_COPY, _MASK = 1, 4  # bits of the first of them: a page is a smaller copy, or a mask, of another
_SIGNED, _APART = 2, 2  # values of the format and of the planes: with a sign, colors plane by plane
_IMAGEJ = re.compile(r"ImageJ=.*?^images=(\d+)", re.DOTALL | re.MULTILINE)
_DIM = 32  # of 255: colors of 16 bits whose upper halves stay below it say next to nothing
_ADVICE = "save the picture again, or leave it out"
_UNKNOWN = "is damaged, or stores its pixels in a way that is not read, such as 64-bit floats"
_SAVE_AS = "save it as PNG, or as TIFF of 8 or 16 bits or of 32-bit floats"


class Grey(NamedTuple):
    """The values of a page.

    Attributes:
        rows, columns: number of pixels.
        dtype: of a value, by NumPy's name.
        white_is_zero: whether deep values are upside down; Pillow turns 8 bits only.
        notes: what was done to them.
        values: row by row.
    """

    rows: int
    columns: int
    dtype: str
    white_is_zero: bool
    notes: list[str]
    values: bytes


class DecodedImage:
    """An open picture file.

    Every error is an `InputError` that names no file.
    """

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    @classmethod
    def open(cls, data: bytes) -> DecodedImage:
        """The picture that a file holds."""
        try:
            with refuse("", "is no readable picture", _ADVICE):
                return cls(Image.open(io.BytesIO(data), formats=FORMATS))
        except InputError as error:
            if isinstance(error.__cause__, Image.DecompressionBombError):
                reason = f"has too many pixels ({error.__cause__})"
                raise InputError("", reason, "make the picture smaller") from error
            if isinstance(error.__cause__, UnidentifiedImageError):
                raise InputError("", _UNKNOWN, _SAVE_AS) from error
            raise

    def count_pages(self) -> int:
        """Pages of a TIFF; any other file has one."""
        with refuse("", "has a broken list of pages", _ADVICE):
            return int(getattr(self._image, "n_frames", 1)) if self._is_tiff() else 1

    def turn_to(self, page: int) -> None:
        """Go to a page, counted from 0."""
        with refuse("", f"has no readable page {page}", "count pages from 0"):
            if not self._is_tiff():
                raise EOFError("one picture a file")
            self._image.seek(page)

    def measure(self) -> tuple[int, int, int]:
        """Rows and columns of the page, and the bytes that decoding it may take."""
        with refuse("", "is damaged or cut short", _ADVICE):
            # Tiles larger than the picture are allocated as they say.
            width, height = (int(self._tags().get(tag, 0)) for tag in (_TILE_WIDTH, _TILE_HEIGHT))
        rows, columns = self._image.height, self._image.width
        return rows, columns, BYTES_PER_PIXEL * max(rows * columns, width * height)

    def decode(self) -> Grey:
        """The page's values, turned as its EXIF orientation says."""
        with refuse("", "is damaged or cut short", _ADVICE):
            self._refuse_deep_planes()
            image, notes, are_deep = self._image, self._tell_hidden_pages(), self._has_deep_colors()
            image.load()
            orientation = self._orientation()
            if orientation is not None:
                image = ImageOps.exif_transpose(image)
                notes = [*notes, f"turned as its EXIF orientation {orientation} says"]
            frames = 1 if self._is_tiff() else getattr(self._image, "n_frames", 1)
            if frames > 1:
                notes = [
                    *notes,
                    f"the first of {frames} frames of a moving picture: the others are left out",
                ]
            if self._tags().get(_SUBFILE, 0) & (_COPY | _MASK):
                notes = [*notes, "the file calls this page a smaller copy or a mask of another one"]
            upside_down = image.mode in _DEEP and self._tags().get(_PHOTOMETRIC) == 0
            grey = _to_grey(image)
            if are_deep:
                notes = [*notes, _tell_depth(grey)]
            dtype = self._name_dtype(grey.mode)
            return Grey(grey.height, grey.width, dtype, upside_down, notes, grey.tobytes())

    def describe(self) -> dict[str, Any]:
        """How the file stores its picture; pixels are not decoded."""
        tables = getattr(self._image, "quantization", None) or {}
        steps = next(iter(tables.values()), [0])
        return {
            "format": self._image.format or "",
            "channels": len(self._image.getbands()),
            "quantization": sum(steps) / len(steps),
        }

    def _is_tiff(self) -> bool:
        return self._image.format == "TIFF"

    def _tags(self) -> dict[int, Any]:
        return getattr(self._image, "tag_v2", {})

    def _name_dtype(self, mode: str) -> str:
        """NumPy's name of the values; Pillow says nothing of the sign of 8 and of 32 bits."""
        tags, source = self._tags(), self._image.mode
        signed = tags.get(_SAMPLE_FORMAT, ())[:1] == (_SIGNED,)
        if source == "I" and self._is_tiff() and tags.get(_BITS) == (32,) and not signed:
            return "=u4"
        return _DEEP.get(mode, "|i1" if signed and source == "L" else "|u1")

    def _has_deep_colors(self) -> bool:
        """Whether colors have 16 bits in the file; Pillow gives the upper 8 of them."""
        return len(self._image.getbands()) > 1 and any(
            ";16" in str(tile[3]) for tile in getattr(self._image, "tile", ())
        )

    def _tell_hidden_pages(self) -> list[str]:
        """A note on pages that the file counts and its list of pages lacks, as ImageJ's may."""
        tags = self._tags()
        found = _IMAGEJ.match(str(tags.get(_DESCRIPTION, "")))
        count = int(found[1]) if found else tags.get(_DEPTH, 1)
        listed = getattr(self._image, "n_frames", 1)
        if count <= listed:
            return []
        return [f"the file speaks of {count} pages and lists {listed}: the others are not read"]

    def _refuse_deep_planes(self) -> None:
        """Refuse colors of more than 8 bits that lie plane by plane: Pillow shows other ones."""
        tags = self._tags()
        if tags.get(_PLANES) == _APART and len(bits := tags.get(_BITS, ())) > 1 and max(bits) > 8:
            raise InputError("", f"keeps colors of {max(bits)} bits plane by plane", _SAVE_AS)

    def _orientation(self) -> int | None:
        """EXIF orientation 2 to 8, or None. Pillow turns TIFF pages by itself."""
        if self._is_tiff() or "exif" not in self._image.info:
            return None
        with suppress(Exception):  # a broken EXIF block is no reason to refuse a sound picture
            value = self._image.getexif().get(_ORIENTATION, 1)
            return int(value) if value in range(2, 9) else None
        return None


def _tell_depth(grey: Image.Image) -> str:
    """A note on colors of 16 bits, of which the upper 8 are there.

    Raises:
        InputError: they say next to nothing, as of 12-bit values that are kept in 16 bits.
    """
    if not any(grey.histogram()[_DIM:256]):
        reason = "keeps its values in the lower bits of colors of 16 bits, which are not read"
        raise InputError("", reason, "save it in grey of 16 bits")
    return "of colors of 16 bits the upper 8 are read"


def _to_grey(image: Image.Image) -> Image.Image:
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
