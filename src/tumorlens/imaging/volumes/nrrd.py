"""NRRD volumes (.nrrd, and .nhdr with its voxels in a file beside it), which 3D Slicer writes.

After Gordon Kindlmann, "Definition of NRRD File Format", teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import bz2
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError
from tumorlens.imaging.files.refusal import refuse
from tumorlens.imaging.sequences import guess_sequence
from tumorlens.imaging.volumes.content import LABELS
from tumorlens.imaging.volumes.layout import LARGEST_OFFSET, Layout, base_name, color_type
from tumorlens.imaging.volumes.spaces import (
    METRES,
    MICROMETRES,
    MILLIMETRES,
    Space,
    doubt_signs,
    find_space,
)
from tumorlens.imaging.volumes.streams import Bytes, Inflated, Spelled, open_beside, quote

__all__ = ["open_nrrd"]

_ORDER = np.eye(3)
"""Directions without a space of the patient: rows from top to bottom, as viewers show them."""
_BROKEN = "has a broken NRRD header"
_ADVICE = "save it anew, from 3D Slicer or with unu save -e gzip"
_LONGEST_HEADER = 4 * 1024**2  # bytes: each segment, or gradient of diffusion, has its lines
_LONGEST_LINES = 1000
_MOST_AXES = 16  # NRRD_DIM_MAX of Teem
_FIELD = re.compile(r"([^:]+):(=?)\s*(.*)")
_VECTOR = re.compile(r"\(([^()]*)\)|none", re.IGNORECASE)
_SEGMENT = re.compile(r"Segment\d+_")
_TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, "
    "int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPE_OF = {name: code for code, names in _TYPES.items() for name in names.split(", ")}
_TO_LPS = {
    "right-anterior-superior": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "left-posterior-superior": (1, 1, 1),
    "ras": (-1, -1, 1),
    "las": (1, -1, 1),
    "lps": (1, 1, 1),
}
"""Space of the patient -> signs that turn it into LPS; other spaces tell nothing of the patient."""

_UNITS = {
    MILLIMETRES: "mm millimeter millimeters millimetre millimetres",
    METRES: "m meter meters metre metres",
    MICROMETRES: "um \u00b5m \u03bcm micron microns micrometer micrometers micrometre micrometres",
    "centimetres": "cm centimeter centimeters centimetre centimetres",
    "nanometres": "nm nanometer nanometers nanometre nanometres",
    "inches": "in inch inches",
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_NO_UNITS = ("", "???", "none")

_TEXT = ("ascii", "text", "txt")
_IN_SPACE = ("domain", "space")
_COLORS = {"rgb-color": 3, "3-color": 3, "rgba-color": 4, "4-color": 4}
_LISTS = {"list", "time", "scalar", "stub", "point", "none", "???", ""}
"""Kinds of axes along which one volume follows another; what else there is holds vectors."""


@dataclass(frozen=True, slots=True)
class Header:
    """Fields (names in lower case, without spaces) and key/value pairs, as text."""

    fields: Mapping[str, str]
    pairs: Mapping[str, str]

    def get(self, name: str, default: str = "") -> str:
        """A field's text."""
        return self.fields.get(name, default)

    def words(self, name: str) -> list[str]:
        """A field's words, in lower case."""
        return self.get(name).lower().replace('"', " ").split()

    def kind(self, axis: int) -> str:
        """Kind of an axis; empty where none is stated."""
        return next(iter(self.words("kinds")[axis : axis + 1]), "")

    def vectors(self, name: str) -> list[list[float] | None]:
        """Vectors of a field; None for an axis that has none."""
        found = _VECTOR.finditer(self.get(name))
        return [None if one[1] is None else [float(x) for x in one[1].split(",")] for one in found]


@contextmanager
def open_nrrd(
    stream: BinaryIO, path: str, file: Path | None = None
) -> Iterator[tuple[Bytes, Layout]]:
    """The voxels of an NRRD file, and what its header says of them.

    Args:
        stream: the file; or a header alone.
        path: how the caller named it.
        file: where it lies on disk, to find voxels in a file beside it.

    Raises:
        InputError: broken, or written in a way that is not read.
    """
    with refuse(path, _BROKEN, _ADVICE):
        header = _parse(stream)
        layout = _lay_out(header, path)
        start, name = stream.tell(), header.get("datafile")
    if name.startswith("LIST") or "%" in name:
        raise InputError(path, "spreads its voxels over several files", _ADVICE)
    with open_beside(file, name, path) if name else nullcontext(stream) as data:
        with refuse(path, _BROKEN, _ADVICE):
            voxels, offset = _find_voxels(data, 0 if name else start, header, layout, path)
        yield voxels, replace(layout, offset=offset)


def _parse(stream: BinaryIO) -> Header:
    """Reads to the empty line that ends the header, or to the end of a header alone."""
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    stream.seek(0)
    stream.readline(_LONGEST_HEADER)  # the magic
    while line := stream.readline(_LONGEST_HEADER):
        if stream.tell() > _LONGEST_HEADER:
            raise ValueError("the header has no end")
        text = line.decode("utf-8", "replace").rstrip()
        if not text or fields.get("datafile", "").startswith("LIST"):
            break
        if text.startswith("#"):
            continue
        field = _FIELD.fullmatch(text)
        if field is None:
            raise ValueError(f"a line without a field: {text[:40]!r}")
        if field[2]:
            pairs.setdefault(field[1], field[3])
        else:
            fields.setdefault(field[1].lower().replace(" ", ""), field[3])
    return Header(fields, pairs)


def _lay_out(header: Header, path: str) -> Layout:
    sizes = [int(word) for word in header.words("sizes")]
    if not int(header.get("dimension")) == len(sizes) <= _MOST_AXES or min(sizes) < 1:
        raise ValueError(f"sizes {header.get('sizes')!r}")
    axes = _find_axes(header, len(sizes))
    if not 2 <= len(axes) <= 3 or axes != list(range(axes[0], axes[-1] + 1)):
        raise InputError(path, "has axes in an order that is not read", _ADVICE)
    x, y, z = (*(sizes[axis] for axis in axes), 1)[:3]
    dtype, inner = _read_type(header, path), sizes[: axes[0]]
    if inner and inner == [_COLORS.get(header.kind(0))]:
        dtype, inner = color_type(dtype, inner[0]), []
    unit = _read_unit(header, axes, path)
    interleaved, outer = math.prod(inner), sizes[axes[-1] + 1 :]
    several = [*range(len(inner)), *range(axes[-1] + 1, len(sizes))]
    return Layout(
        shape=(x, y, z),
        volumes=interleaved * math.prod(outer),
        dtype=dtype,
        offset=0,
        scale=(1.0, 0.0),
        space=_find_space(header, axes, (x, y, z), unit),
        notes=(),
        sequence=guess_sequence(base_name(path)),
        content=_find_content(header, {header.kind(axis) for axis in several if sizes[axis] > 1}),
        interleaved=interleaved,
    )


def _find_axes(header: Header, dimension: int) -> list[int]:
    """The axes that lie in space."""
    vectors = header.vectors("spacedirections")
    axes = [axis for axis, vector in enumerate(vectors) if vector and not np.isnan(vector).all()]
    if len(vectors) == dimension and len(axes) >= min(2, dimension):
        return axes
    axes = [axis for axis in range(dimension) if header.kind(axis) in _IN_SPACE]
    first = int(header.kind(0) in _COLORS)
    return axes or list(range(dimension))[first : first + 3]


def _read_type(header: Header, path: str) -> np.dtype[Any]:
    name = " ".join(header.words("type"))
    if name not in _TYPE_OF:
        raise InputError(path, f"has voxels of the type {quote(name)}", _ADVICE)
    dtype, order = np.dtype(_TYPE_OF[name]), header.get("endian").lower()
    needs_order = dtype.itemsize > 1 and _read_encoding(header) not in _TEXT
    if needs_order and order not in ("little", "big"):
        raise ValueError("no byte order")
    return dtype.newbyteorder(">" if order == "big" else "<")


def _find_content(header: Header, kinds: Set[str]) -> str:
    """What the voxels are, if no scan; ``kinds`` of the axes beside those in space."""
    if any(_SEGMENT.match(name) for name in header.pairs):
        return LABELS
    if kinds <= _LISTS or header.pairs.get("modality") == "DWMRI":
        return ""
    return "a field of vectors"


def _read_unit(header: Header, axes: Sequence[int], path: str) -> str:
    """Of the voxel sizes; empty where none is stated."""
    words = header.words("spaceunits") or header.words("units")[axes[0] : axes[-1] + 1]
    stated = dict.fromkeys(word for text in words if (word := text.strip(",")) not in _NO_UNITS)
    units = list(dict.fromkeys(_UNIT_OF.get(word) or quote(word) for word in stated))
    if len(units) > 1:
        reason = f"states its voxel sizes in several units ({', '.join(map(quote, stated))})"
        raise InputError(path, reason, "save it with one unit, mm")
    return units[0] if units else ""


def _find_space(header: Header, axes: Sequence[int], shape: tuple[int, ...], unit: str) -> Space:
    spacings = [*map(float, header.words("spacings")), *[np.nan] * (axes[-1] + 1)]
    sizes = np.array([*(spacings[axis] for axis in axes), np.nan][:3])
    stated, known = _orient(header, axes, np.abs(sizes))
    return doubt_signs(find_space(stated, known, shape, _ORDER, unit), sizes)


def _orient(
    header: Header, axes: Sequence[int], sizes: npt.NDArray[np.float64]
) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
    """The orientation by its name, if one is stated in a space of the patient; and the sizes."""
    vectors = dict(enumerate(header.vectors("spacedirections")))
    steps = [vector for axis in axes if (vector := vectors.get(axis)) and len(vector) == 3]
    if len(steps) != len(axes):
        return {}, sizes
    if len(steps) == 2:
        steps.append((np.cross(steps[0], steps[1]) / np.linalg.norm(steps[1])).tolist())
    signs = _TO_LPS.get(header.get("space").lower())
    if signs is None:
        return {}, np.linalg.norm(np.transpose(steps), axis=0)
    origin = next((one for one in header.vectors("spaceorigin") if one and len(one) == 3), [0] * 3)
    affine = np.array(signs)[:, np.newaxis] * np.transpose([*steps, origin])
    return {"orientation": affine}, sizes


def _find_voxels(
    data: BinaryIO, start: int, header: Header, layout: Layout, path: str
) -> tuple[Bytes, int]:
    """The stream of the voxels, unzipped, and how many bytes of it come before them."""
    data.seek(start)
    lines, skipped = int(header.get("lineskip", "0")), int(header.get("byteskip", "0"))
    if not (0 <= lines <= _LONGEST_LINES and -1 <= skipped <= LARGEST_OFFSET):
        raise ValueError(f"skips {lines} lines and {skipped} bytes")
    for _ in range(lines):
        data.readline(_LONGEST_HEADER)
    encoding = _read_encoding(header)
    if encoding == "raw":
        if skipped >= 0:
            return data, data.tell() + skipped
        return data, max(0, data.seek(0, 2) - layout.total_bytes)
    if skipped >= 0 and encoding in ("gzip", "gz"):
        return Inflated(data), skipped
    if skipped >= 0 and encoding in ("bzip2", "bz2"):
        return bz2.BZ2File(data), skipped
    if skipped >= 0 and encoding in (*_TEXT, "hex"):
        data.seek(skipped, 1)
        return Spelled(data, _read_hex if encoding == "hex" else _make_reader(header, path)), 0
    raise InputError(path, f"has voxels in the encoding {quote(encoding)}", _ADVICE)


def _read_encoding(header: Header) -> str:
    return header.get("encoding").lower()


def _make_reader(header: Header, path: str) -> Callable[[Sequence[bytes]], bytes]:
    """What turns decimal numbers into voxels; one that the type cannot hold is an error."""
    dtype = _read_type(header, path)
    convert: type[float] = float if dtype.kind == "f" else int
    return lambda words: np.array([*map(convert, words)], dtype).tobytes()


def _read_hex(words: Sequence[bytes]) -> bytes:
    return bytes.fromhex(b"".join(words).decode("ascii"))
