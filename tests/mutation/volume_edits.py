"""What may happen to volumes: fields of a NIfTI header, lines of those of NRRD and MetaImage."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from functools import cache
from random import Random

import nibabel as nib
import numpy as np

from mutation.byte_edits import BYTE_EDITS, Edit, odd_number
from mutation.odd_values import odd_float, odd_text

__all__ = ["GZIP_EDITS", "LINE_EDITS", "MGH_EDITS", "NIFTI_EDITS"]

_LARGEST = 4 * 2**20  # bytes of an unpacked file that is still edited


@cache
def _fields(version: int) -> list[tuple[str, np.dtype, int]]:
    """Name, type and first byte of each field of the header, each of several numbers apart."""
    header = nib.Nifti1Header if version == 1 else nib.Nifti2Header
    found = []
    for name, (kind, at) in header.template_dtype.fields.items():
        base, count = kind.base, int(np.prod(kind.shape)) if kind.shape else 1
        found += [(name, base, at + index * base.itemsize) for index in range(count)]
    return found


def _version(data: bytes) -> tuple[int, str]:
    """Of NIfTI, and the order of its bytes."""
    order = "<" if data[:4] in (b"\x5c\1\0\0", b"\x1c\2\0\0") else ">"
    return (2, order) if len(data) >= 544 and b"\x1c\2" in (data[:2], data[3:1:-1]) else (1, order)


def _set_field(data: bytes, chance: Random) -> bytes:
    version, order = _version(data)
    _, kind, at = chance.choice(_fields(version))
    if kind.kind == "S":
        field = (
            odd_text(chance).encode("utf-8", "replace")[: kind.itemsize].ljust(kind.itemsize, b"\0")
        )
    elif kind.kind == "f":
        with np.errstate(over="ignore"):
            field = np.array(odd_float(chance)).astype(kind.newbyteorder(order)).tobytes()
    else:
        size = kind.itemsize
        value = chance.choice((odd_number(chance, size), chance.randrange(20), *_DATATYPES))
        field = (
            value.to_bytes(size, "little" if order == "<" else "big") if value < 256**size else b""
        )
    return data[:at] + field + data[at + len(field) :]


_DATATYPES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1536, 1792, 2048, 2304)


def _set_shape(data: bytes, chance: Random) -> bytes:
    """All sizes at once, whatever follows the header."""
    version, order = _version(data)
    at, form = (40, order + "8h") if version == 1 else (16, order + "8q")
    rank = chance.choice((0, 1, 2, 3, 3, 3, 4, 4, 5, 7, 8))
    sizes = [chance.choice((-1, 0, 1, 1, 2, 3, 16, 24, 28, 300, 2000, 32767)) for _ in range(7)]
    field = struct.pack(form, rank, *sizes)
    return data[:at] + field + data[at + len(field) :]


def _swap_header(data: bytes, chance: Random) -> bytes:
    """The order of the bytes of one field, or of all."""
    version, _ = _version(data)
    changed = bytearray(data)
    fields = [one for one in _fields(version) if one[1].itemsize > 1 and one[1].kind != "S"]
    for _, kind, at in fields if chance.random() < 0.5 else [chance.choice(fields)]:
        changed[at : at + kind.itemsize] = changed[at : at + kind.itemsize][::-1]
    return bytes(changed)


def _add_extension(data: bytes, chance: Random) -> bytes:
    """An extension with an odd length between header and voxels."""
    if len(data) < 352:
        return data
    kind = struct.pack("<2I", odd_number(chance, 4), chance.choice((0, 2, 4, 6, 10**6)))
    return (
        data[:348] + b"\1\0\0\0" + kind + chance.randbytes(chance.choice((0, 8, 32))) + data[352:]
    )


NIFTI_EDITS: Sequence[Edit] = (
    _set_field,
    _set_field,
    _set_field,
    _set_shape,
    _swap_header,
    _add_extension,
)


def _set_number(data: bytes, chance: Random) -> bytes:
    """A number of the header of MGH: version, sizes, type, place."""
    at = chance.choice((*range(0, 28, 4), 30, 34, 38, *range(42, 90, 4)))
    if at < 28:
        field = chance.choice((odd_number(chance, 4), chance.randrange(12))).to_bytes(4, "big")
    else:
        with np.errstate(over="ignore"):
            field = np.array(odd_float(chance)).astype(">f4").tobytes()
    return data[:at] + field + data[at + 4 :]


MGH_EDITS: Sequence[Edit] = (_set_number,)


def _edit_unpacked(data: bytes, chance: Random) -> bytes:
    """What a gzip file holds, packed again."""
    try:
        inner = zlib.decompressobj(31).decompress(data, _LARGEST)
    except zlib.error:
        return data
    edits = NIFTI_EDITS if inner[344:348] in (b"n+1\0", b"ni1\0") else ()
    edits = MGH_EDITS if inner.startswith(b"\0\0\0\1") else edits
    for _ in range(chance.choice((1, 1, 2))):
        inner = chance.choice((*edits, *edits, *BYTE_EDITS))(inner, chance) if inner else b""
    return gzip.compress(inner, 1, mtime=0)


def _append_member(data: bytes, chance: Random) -> bytes:
    """Another gzip stream behind: what it holds is joined, or it is broken."""
    more = chance.choice((b"", bytes(100), bytes(10**6), chance.randbytes(100)))
    return data + (gzip.compress(more, mtime=0) if chance.random() < 0.7 else more)


GZIP_EDITS: Sequence[Edit] = (_edit_unpacked, _edit_unpacked, _edit_unpacked, _append_member)


# Headers in words: `name: value` or `name = value`, one a line.


def _lines(data: bytes) -> tuple[list[bytes], bytes]:
    """Lines of the header, and what follows it."""
    end = data.find(b"\n\n")
    end = data.find(b"\n", data.find(b"ElementDataFile")) if end < 0 else end
    end = len(data) if end < 0 else end
    return data[:end].split(b"\n"), data[end:]


_VALUES = (
    *("1 1 1", "0 0 0", "32 36 3", "2 2 2 2", "-1 5 7", "99999 99999 99999", "short", "float"),
    *("double", "block", "uint64", "long long", "raw", "gzip", "ascii", "hex", "bz2", "big"),
    *("little", "none none none", "(0,0,0) (0,0,0) (0,0,0)", "(nan,0,0) (0,1,0) (0,0,1)", "RAS"),
    *("scanner-xyz", "LIST", "a%03d.raw 1 5 1", "LOCAL", "a.raw", "../../../etc/passwd", "a.nhdr"),
    *("/dev/zero", "/proc/self/mem", "http://localhost/x", "True", "MET_FLOAT", "MET_UCHAR_ARRAY"),
    *("MET_DOUBLE", "1 0 0 0 1 0 0 0 0", "nan nan nan", "(1,0,0) none (0,0,5)", "list 2"),
)


def _set_line(data: bytes, chance: Random) -> bytes:
    """Another value of one name."""
    lines, rest = _lines(data)
    place = chance.randrange(len(lines))
    for sign in (b":=", b":", b"="):
        name, found, _ = lines[place].partition(sign)
        if found:
            value = chance.choice(_VALUES) if chance.random() < 0.7 else odd_text(chance)
            lines[place] = name + sign + b" " + value.encode("utf-8", "replace")
            break
    return b"\n".join(lines) + rest


def _shuffle_lines(data: bytes, chance: Random) -> bytes:
    """A line goes, stands twice, or elsewhere."""
    lines, rest = _lines(data)
    line = lines.pop(chance.randrange(len(lines)))
    for _ in range(chance.choice((0, 1, 2))):
        lines.insert(chance.randint(0, len(lines)), line)
    return b"\n".join(lines) + rest


def _swap_words(data: bytes, chance: Random) -> bytes:
    """One word of a value becomes another, or goes."""
    lines, rest = _lines(data)
    place = chance.randrange(len(lines))
    words = lines[place].split(b" ")
    at = chance.randrange(len(words))
    words[at : at + 1] = (
        [odd_text(chance).encode("utf-8", "replace")] if chance.random() < 0.7 else []
    )
    lines[place] = b" ".join(words)
    return b"\n".join(lines) + rest


LINE_EDITS: Sequence[Edit] = (_set_line, _set_line, _set_line, _shuffle_lines, _swap_words)
