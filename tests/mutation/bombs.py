"""Small files that unpack to far more than they hold: what they promise must be asked for first."""

from __future__ import annotations

import base64
import struct
import zlib
from functools import cache
from random import Random

import onnx

import builders
from tumorlens.model.contract import SEEN_KEY

__all__ = ["detonate"]

_MIB = (3, 40, 300, 1000, 2100, 6000)
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_SHARES = (8, 8, 4, 2, 2, 1)  # the large ones take seconds to unpack
_GZIP = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def detonate(data: bytes, chance: Random) -> bytes:
    """A bomb of the format of ``data``; ``data`` itself where none is known."""
    size = chance.choices(_MIB, _SHARES)[0]
    if data.startswith(b"\x89PNG"):
        return _png(size)
    if data.startswith(b"PK\3\4"):
        return _zip(size, chance)
    if data.startswith(b"\x1f\x8b"):
        return _nifti(size, chance)
    if data.startswith(b"NRRD") or b"ElementDataFile" in data[:600]:
        return _headed(data, size)
    if data[128:132] == b"DICM":
        return _deflated(data, size)
    return _memory(data, size) if b"tumorlens.card" in data else data


@cache
def _zeros(size: int, before: bytes = b"") -> bytes:
    return builders.deflate_zeros(size, before)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(size: int) -> bytes:
    """Grey, square, of about ``size`` MiB."""
    side = int((size * 2**20) ** 0.5)
    head = _chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0))
    body = _chunk(b"IDAT", b"\x78\x01" + _zeros(size + 1) + bytes(4))
    return b"\x89PNG\r\n\x1a\n" + head + body + _chunk(b"IEND", b"")


def _zip(size: int, chance: Random) -> bytes:
    """Members that are DICOM files by their first bytes; sizes are stated truly or not."""
    packed = _zeros(size, bytes(128) + b"DICM\2\0\0\0UL\4\0\0\0\0\0")
    stated = min(size * 2**20 + 144, 2**32 - 2)
    if chance.random() >= 0.5:
        stated = chance.choice((0, 144, 2**32 - 2))
    places, files = [], b""
    for number in range(chance.choice((1, 1, 3))):
        name = f"IM{number}".encode()
        fields = struct.pack("<5H3I2H", 20, 0, 8, 0, 33, 0, len(packed), stated, len(name), 0)
        places.append((name, len(files)))
        files += b"PK\3\4" + fields + name + packed
    entries = b"".join(
        b"PK\1\2"
        + struct.pack(
            "<6H3I5H2I", 20, 20, 0, 8, 0, 33, 0, len(packed), stated, len(name), *[0] * 5, at
        )
        + name
        for name, at in places
    )
    end = struct.pack("<4H2IH", 0, 0, len(places), len(places), len(entries), len(files), 0)
    return files + entries + b"PK\5\6" + end


def _nifti(size: int, chance: Random) -> bytes:
    """A volume of about ``size`` MiB, in one time point or in many."""
    points = chance.choice((1, 1, 20))
    slices = max(1, size * 2**20 // (2 * 512 * 512 * points))
    header = bytearray(builders.nib.Nifti1Header().binaryblock)
    struct.pack_into("<8h", header, 40, 4 if points > 1 else 3, 512, 512, slices, points, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    return _GZIP + _zeros(size, bytes(header) + bytes(4)) + bytes(8)


def _deflated(data: bytes, size: int) -> bytes:
    """A deflated DICOM file whose pixels go on and on; another DICOM file stays as it is."""
    at = data.find(b"\x02\0\x10\0UI\x16\0" + _DEFLATED)
    at = data.find(b"\x02\0\x12\0UI", at)
    if at < 0:
        return data
    at += 8 + struct.unpack_from("<H", data, at + 6)[0]
    try:
        inner = zlib.decompress(data[at:], -zlib.MAX_WBITS)
    except zlib.error:
        return data
    head = inner[: inner.find(b"\xe0\x7f\x10\0") + 8] + struct.pack(
        "<I", min(2**32 - 2, size << 20)
    )
    return data[:at] + _zeros(size, head)


def _headed(data: bytes, size: int) -> bytes:
    """The sizes of an NRRD or MetaImage grow, and what follows is gzip or zlib of zeros."""
    is_nrrd = data.startswith(b"NRRD")
    last = data.find(b"\n\n") + 1 if is_nrrd else data.find(b"\n", data.find(b"ElementDataFile"))
    head = data[: last + 1]
    slices = str(max(1, size * 2**20 // (2 * 512 * 512))).encode()
    head = head.replace(b"32 36 3", b"512 512 " + slices)
    head = head.replace(b"encoding: raw", b"encoding: gzip").replace(
        b"Data = False", b"Data = True"
    )
    return head + (_GZIP if is_nrrd else b"\x78\x01") + _zeros(size) + bytes(8)


def _memory(data: bytes, size: int) -> bytes:
    """A model file whose list of training pictures unpacks to zeros."""
    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # damaged by an earlier edit
        return data
    entry = model.metadata_props.add()
    entry.key = SEEN_KEY
    packed = b"\x78\x01" + _zeros(size) + bytes(4)
    entry.value = "chain:" + base64.b85encode(packed).decode()
    return bytes(model.SerializeToString())
