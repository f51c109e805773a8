"""What may happen to pictures and frames: chunks of PNG, markers of JPEG, tags of TIFF."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from random import Random

from mutation.byte_edits import BYTE_EDITS, ODD_NUMBERS, Edit, odd_number

__all__ = ["BMP_EDITS", "MARKER_EDITS", "PNG_EDITS", "TIFF_EDITS", "WEBP_EDITS"]

Chunk = tuple[bytes, bytes]

_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"eXIf")
_CHUNKS += (b"acTL", b"fcTL", b"fdAT", b"cHRM", b"sRGB", b"pHYs", b"IEND")


def _split(data: bytes) -> list[Chunk]:
    chunks, at = [], 8
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        chunks.append((kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
    return chunks


def _join(chunks: Sequence[Chunk]) -> bytes:
    """With right lengths and checks, so that the content is what decoders come to."""
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _edit_chunk(data: bytes, chance: Random) -> bytes:
    chunks = _split(data)
    if not chunks:
        return data
    place = chance.randrange(len(chunks))
    kind, body = chunks[place]
    if kind == b"IDAT" and chance.random() < 0.5:
        body = _edit_deflated(body, chance)
    elif body:
        body = chance.choice(BYTE_EDITS)(body, chance)
    return _join([*chunks[:place], (kind, body), *chunks[place + 1 :]])


def _edit_deflated(body: bytes, chance: Random) -> bytes:
    try:
        inner = zlib.decompress(body)
    except zlib.error:
        return body
    return zlib.compress(chance.choice(BYTE_EDITS)(inner, chance)) if inner else body


def _add_chunk(data: bytes, chance: Random) -> bytes:
    chunks = _split(data)
    body = chance.choice(
        (b"", bytes(8), chance.randbytes(30), b"a\0\0" + zlib.compress(bytes(10**6)))
    )
    body = b"Exif\0\0" + _small_tiff(chance) if chance.random() < 0.2 else body
    chunks.insert(chance.randint(0, len(chunks)), (chance.choice(_CHUNKS), body))
    return _join(chunks)


def _move_chunk(data: bytes, chance: Random) -> bytes:
    chunks = _split(data)
    if chunks:
        one = chance.choice(chunks)
        chunks.insert(chance.randint(0, len(chunks)), one)
        if chance.random() < 0.5:
            chunks.remove(one)
    return _join(chunks)


def _set_header(data: bytes, chance: Random) -> bytes:
    """Size, depth, color or interlacing of a PNG."""
    at, size = chance.choice(((16, 4), (20, 4), (24, 1), (25, 1), (26, 1), (27, 1), (28, 1)))
    chunks = _split(data)
    if not chunks or len(chunks[0][1]) < 13:
        return data
    body = bytearray(chunks[0][1])
    body[at - 16 : at - 16 + size] = odd_number(chance, size).to_bytes(size, "big")
    return _join([(chunks[0][0], bytes(body)), *chunks[1:]])


PNG_EDITS: Sequence[Edit] = (_edit_chunk, _edit_chunk, _add_chunk, _move_chunk, _set_header)


# JPEG, JPEG-LS and JPEG 2000: markers, most of them with a length of two bytes behind.


def _markers(data: bytes) -> list[int]:
    return [at for at in range(len(data) - 3) if data[at] == 0xFF and 1 <= data[at + 1] < 0xFF]


def _set_marker(data: bytes, chance: Random) -> bytes:
    """Another code, another length, or a number in what follows."""
    places = _markers(data)
    if not places:
        return data
    at = chance.choice(places[: chance.choice((4, 12, None))])
    changed = bytearray(data)
    what = chance.randrange(3)
    if what == 0:
        changed[at + 1] = chance.choice(
            (*range(0xC0, 0xE0), 0xF7, 0xF8, 0x4F, 0x51, 0x52, 0x5C, 0x90)
        )
    elif what == 1:
        changed[at + 2 : at + 4] = odd_number(chance, 2).to_bytes(2, "big")
    else:
        start, size = at + chance.randint(4, 24), chance.choice((1, 2, 4))
        changed[start : start + size] = odd_number(chance, size).to_bytes(size, "big")
    return bytes(changed)


def _double_segment(data: bytes, chance: Random) -> bytes:
    """A marker with all up to the next but few stands twice, or elsewhere."""
    places = [*_markers(data), len(data)]
    if len(places) < 3:
        return data
    first = chance.randrange(len(places) - 1)
    last = min(len(places) - 1, first + chance.choice((1, 1, 2)))
    piece = data[places[first] : places[last]]
    at = chance.choice((places[first], chance.choice(places)))
    return data[:at] + piece * chance.choice((1, 1, 50)) + data[at:]


def _wrap_in_boxes(data: bytes, chance: Random) -> bytes:
    """A JPEG 2000 codestream in the boxes of a JP2 file, one of them with an odd length."""
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return data
    bits = struct.pack(">2IHBBBB", 32, 36, 1, 15, 7, 0, 0)
    color = struct.pack(">3BI", 1, 0, 0, 17)
    header = _box(b"ihdr", bits, chance) + _box(b"colr", color, chance)
    boxes = [_box(b"jP  ", b"\r\n\x87\n", None), _box(b"ftyp", b"jp2 \0\0\0\0jp2 ", chance)]
    return b"".join([*boxes, _box(b"jp2h", header, chance), _box(b"jp2c", data[start:], chance)])


def _box(kind: bytes, body: bytes, chance: Random | None) -> bytes:
    size = len(body) + 8
    if chance is not None and chance.random() < 0.25:
        size = chance.choice((0, 1, 2, 7, 8, 9, size - 1, size + 1, *ODD_NUMBERS)) % 2**32
    return struct.pack(">I", size) + kind + body


MARKER_EDITS: Sequence[Edit] = (_set_marker, _set_marker, _double_segment, _wrap_in_boxes)


# TIFF: a directory of entries of 12 bytes: tag, type, count, value or place.

_TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 284, 317, 320, 322, 323)
_TAGS += (324, 325, 330, 338, 339, 347, 512, 513, 700, 34377, 34665, 34675, 34853, 40960, 50838)


def _entries(data: bytes, order: str) -> list[int]:
    if len(data) < 8:
        return []
    start = struct.unpack_from(order + "I", data, 4)[0]
    if start + 2 > len(data):
        return []
    count = struct.unpack_from(order + "H", data, start)[0]
    return [at for at in range(start + 2, start + 2 + 12 * count, 12) if at + 12 <= len(data)]


def _set_entry(data: bytes, chance: Random) -> bytes:
    """Tag, type, count or value of an entry."""
    order = ">" if data[:2] == b"MM" else "<"
    places = _entries(data, order)
    if not places:
        return data
    at, what = chance.choice(places), chance.randrange(4)
    changed = bytearray(data)
    if what == 0:
        struct.pack_into(order + "H", changed, at, chance.choice(_TAGS))
    elif what == 1:
        struct.pack_into(order + "H", changed, at + 2, chance.choice((*range(20), 65535)))
    else:
        struct.pack_into(order + "I", changed, at + 4 * (what - 1), odd_number(chance, 4))
    return bytes(changed)


def _link_directory(data: bytes, chance: Random) -> bytes:
    """The list of pages leads back to itself, or somewhere else."""
    order = ">" if data[:2] == b"MM" else "<"
    places = _entries(data, order)
    if not places or places[-1] + 16 > len(data):
        return data
    changed = bytearray(data)
    goal = chance.choice((places[0] - 2, odd_number(chance, 4), chance.randrange(len(data))))
    struct.pack_into(order + "I", changed, places[-1] + 12, goal)
    return bytes(changed)


def _small_tiff(chance: Random) -> bytes:
    """A directory as EXIF has it, with entries of odd types and counts."""
    entries = [
        struct.pack(
            "<2H2I",
            chance.choice(_TAGS),
            chance.randrange(14),
            odd_number(chance, 4),
            chance.randrange(20),
        )
        for _ in range(3)
    ]
    return b"II*\0\x08\0\0\0\x03\0" + b"".join(entries) + bytes(4)


TIFF_EDITS: Sequence[Edit] = (_set_entry, _set_entry, _set_entry, _link_directory)


def _set_field(data: bytes, chance: Random) -> bytes:
    """A number of 2 or 4 bytes in the first header, where it is aligned."""
    size = chance.choice((2, 4))
    at = chance.randrange(2, min(len(data), 60), 2) if len(data) > 2 else 0
    return data[:at] + odd_number(chance, size).to_bytes(size, "little") + data[at + size :]


BMP_EDITS: Sequence[Edit] = (_set_field,)
WEBP_EDITS: Sequence[Edit] = (_set_field,)
