"""How a file stores its picture. Nobody sees it, but it may reveal where the picture comes from."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorlens.errors import InputError
from tumorlens.imaging.codecs.apart import describe_picture
from tumorlens.imaging.files.access import open_file
from tumorlens.imaging.files.limits import DEFAULT_LIMITS

__all__ = ["FORMATS", "Encoding", "decode_bare", "encode_jpeg", "read_encoding"]

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
        with open_file(Path(path), os.fspath(path)) as stream:
            found = describe_picture(stream, os.fspath(path), DEFAULT_LIMITS)
    except InputError:  # the reader reports it
        return Encoding("", size, 0, 0.0)
    return Encoding(found["format"], size, found["channels"], found["quantization"])


def encode_jpeg(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A grey picture (H, W) as the bytes of a JPEG file."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def decode_bare(data: bytes) -> npt.NDArray[np.uint8]:
    """Grey pixels (H, W) by Pillow alone. The time of a reader is compared with this."""
    with Image.open(BytesIO(data), formats=FORMATS[1:]) as picture:
        return np.asarray(picture.convert("L"))
