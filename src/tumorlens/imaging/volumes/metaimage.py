"""MetaImage volumes (.mha, and .mhd with its voxels in a file beside it), which ITK writes.

After itk.org/Wiki/ITK/MetaIO/Documentation and the sources of MetaIO (metaImage.cxx).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError
from tumorlens.imaging.dicom.modality import doubt_modality
from tumorlens.imaging.files.refusal import refuse
from tumorlens.imaging.sequences import guess_sequence
from tumorlens.imaging.volumes.layout import LARGEST_OFFSET, Layout, base_name, color_type
from tumorlens.imaging.volumes.spaces import Space, doubt_signs, find_space, tell_missing
from tumorlens.imaging.volumes.streams import Bytes, Inflated, open_beside, quote

__all__ = ["open_metaimage"]

_ORDER = np.eye(3)
"""Directions that ITK takes: LPS."""
_BROKEN = "has a broken MetaImage header"
_ADVICE = "save it anew, with ITK or 3D Slicer"
_LONGEST_HEADER = 1024**2
_FIELD = re.compile(r"\s*(\w+)\s*[=:]\s*(.*)")
_TYPES = {
    "CHAR": "i1",
    "UCHAR": "u1",
    "SHORT": "i2",
    "USHORT": "u2",
    "INT": "i4",
    "UINT": "u4",
    "LONG": "i4",  # 4 bytes on every system: metaTypes.h
    "ULONG": "u4",
    "LONG_LONG": "i8",
    "ULONG_LONG": "u8",
    "FLOAT": "f4",
    "DOUBLE": "f8",
}
_MOST_COLORS = 4
_MOST_COMPONENTS = 9  # of a tensor: more channels are volumes

Floats = npt.NDArray[np.float64]


class Header(dict[str, str]):
    """Fields by name, of which some have several names."""

    def find(self, *names: str) -> str:
        """The first of some fields that is there; empty if none is."""
        return next((self[name] for name in names if name in self), "")

    def floats(self, *names: str) -> Floats:
        """Numbers of the first of some fields that is there."""
        return np.array([float(word) for word in self.find(*names).split()])

    def is_true(self, *names: str) -> bool:
        """Whether the first of some fields that is there says True."""
        return self.find(*names)[:1] in ("T", "t", "1")


@contextmanager
def open_metaimage(
    stream: BinaryIO, path: str, file: Path | None = None
) -> Iterator[tuple[Bytes, Layout]]:
    """The voxels of a MetaImage file, and what its header says of them.

    Args:
        stream: the file; or a header alone.
        path: how the caller named it.
        file: where it lies on disk, to find voxels in a file beside it.

    Raises:
        InputError: broken, or written in a way that is not read.
    """
    with refuse(path, _BROKEN, _ADVICE):
        header = _parse(stream)
        if (kind := header.get("ObjectType", "Image")) != "Image":
            raise InputError(path, f"is a MetaIO file of {quote(kind)}, no image")
        layout = _lay_out(header, path)
        start, name = stream.tell(), header["ElementDataFile"]
    if name.upper().startswith("LIST") or "%" in name:
        raise InputError(path, "spreads its voxels over several files", _ADVICE)
    local = name.upper() == "LOCAL"
    with nullcontext(stream) if local else open_beside(file, name, path) as data:
        with refuse(path, _BROKEN, _ADVICE):
            voxels, offset = _find_voxels(data, start if local else 0, header, layout)
        yield voxels, replace(layout, offset=offset)


def _parse(stream: BinaryIO) -> Header:
    """Reads to the field that names the voxels' file, which is the last."""
    header = Header()
    stream.seek(0)
    while "ElementDataFile" not in header:
        line = stream.readline(_LONGEST_HEADER)
        if not line or stream.tell() > _LONGEST_HEADER:
            raise ValueError("no ElementDataFile")
        field = _FIELD.fullmatch(line.decode("utf-8", "replace").rstrip())
        if field is not None:
            header.setdefault(field[1], field[2])
    return header


def _lay_out(header: Header, path: str) -> Layout:
    sizes = [int(word) for word in header.find("DimSize").split()]
    if int(header["NDims"]) != len(sizes) or len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"DimSize {header.find('DimSize')!r}")
    x, y, z = (*sizes, 1)[:3]
    dtype, channels, content = _read_type(header, path)
    interleaved = 1 if dtype.names else channels
    note = doubt_modality(header.find("Modality").removeprefix("MET_MOD_"), "")
    return Layout(
        shape=(x, y, z),
        volumes=interleaved * math.prod(sizes[3:]),
        dtype=dtype,
        offset=0,
        scale=(1.0, 0.0),
        space=_find_space(header, len(sizes), (x, y, z)),
        notes=(note,) if note else (),
        sequence=guess_sequence(base_name(path)),
        content=content,
        interleaved=interleaved,
    )


def _read_type(header: Header, path: str) -> tuple[np.dtype[np.generic], int, str]:
    """Type of a voxel, or of one of its channels; their number; what they are, if no scan."""
    name = header.find("ElementType").removeprefix("MET_").removesuffix("_ARRAY")
    if name not in _TYPES or header.find("BinaryData")[:1] in ("F", "f"):
        kind = "text" if name in _TYPES else header.find("ElementType")
        raise InputError(path, f"has voxels of the type {quote(kind)}", _ADVICE)
    order = ">" if header.is_true("BinaryDataByteOrderMSB", "ElementByteOrderMSB") else "<"
    dtype = np.dtype(order + _TYPES[name])
    channels = int(header.get("ElementNumberOfChannels", "1"))
    if channels < 1:
        raise ValueError(f"{channels} channels")
    if name == "UCHAR" and channels in (3, _MOST_COLORS):
        return color_type(dtype, channels), channels, ""
    vectors = 1 < channels <= (_MOST_COMPONENTS if dtype.kind == "f" else _MOST_COLORS)
    return dtype, channels, "a field of vectors" if vectors else ""


def _find_space(header: Header, dimension: int, shape: tuple[int, ...]) -> Space:
    sizes = np.full(3, np.nan)
    stated = header.floats("ElementSpacing", "ElementSize")[:3]
    sizes[: stated.size] = stated
    return doubt_signs(_orient(header, dimension, np.abs(sizes), shape), sizes)


def _orient(header: Header, dimension: int, sizes: Floats, shape: tuple[int, ...]) -> Space:
    """Row ``a`` of the matrix is the direction of axis ``a``, in LPS as ITK has it."""
    matrix = header.floats("TransformMatrix", "Orientation", "Rotation")
    if matrix.size != dimension**2:
        return find_space({}, sizes, shape, _ORDER)
    directions = np.eye(3)
    kept = min(3, dimension)
    directions[:kept, :kept] = matrix.reshape(dimension, dimension)[:kept, :kept]
    origin = np.zeros(3)
    place = header.floats("Offset", "Position", "Origin")[:3]
    origin[: place.size] = place
    known = np.where(np.isfinite(sizes) & (sizes > 0), sizes, 1.0)
    affine = np.column_stack((directions.T * known, origin))
    space = find_space({"orientation": affine}, sizes, shape, _ORDER)
    if space.used is None:
        return space
    return replace(space, notes=(*space.notes, *tell_missing(sizes, shape)))


def _find_voxels(data: BinaryIO, start: int, header: Header, layout: Layout) -> tuple[Bytes, int]:
    """The stream of the voxels, unzipped, and how many bytes of it come before them."""
    skipped = int(header.get("HeaderSize", "0"))
    zipped = header.is_true("CompressedData")
    if not (-1 <= skipped <= LARGEST_OFFSET) or (zipped and skipped < 0):
        raise ValueError(f"skips {skipped} bytes")
    if skipped < 0:
        return data, max(0, data.seek(0, 2) - layout.total_bytes)
    data.seek(start + skipped)
    return (Inflated(data), 0) if zipped else (data, start + skipped)
