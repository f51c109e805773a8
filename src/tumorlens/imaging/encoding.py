"""How a file stores its picture: what nobody sees, and what may still tell where it comes from."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

__all__ = ["FORMATS", "Encoding", "read_encoding"]

FORMATS = ("", "JPEG", "PNG", "WEBP", "TIFF", "BMP")
"""Picture formats by Pillow's names; anything else, such as DICOM, is the empty one."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a picture is stored.

    Attributes:
        format: one of `FORMATS`.
        bytes: size of the file; 0 where it cannot be asked.
        channels: values a pixel, transparency included; 0 where unknown.
        quantization: mean step of the first JPEG table, larger for coarser pictures; else 0.
    """

    format: str
    bytes: int
    channels: int
    quantization: float


def read_encoding(path: str | os.PathLike[str]) -> Encoding:
    """The encoding of a file; pixels are not decoded. What cannot be read is unknown."""
    size = 0
    with suppress(OSError):
        size = Path(path).stat().st_size
    try:
        with Image.open(path, formats=FORMATS[1:]) as picture:
            tables = getattr(picture, "quantization", None) or {}
            steps = next(iter(tables.values()), [0])
            return Encoding(
                picture.format or "", size, len(picture.getbands()), sum(steps) / len(steps)
            )
    except Exception:  # Pillow raises anything on damaged files; readers tell of them
        return Encoding("", size, 0, 0.0)
