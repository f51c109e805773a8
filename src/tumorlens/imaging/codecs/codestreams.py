"""The size that a compressed picture states about itself, read without decoding it."""

from __future__ import annotations

import struct

__all__ = ["read_size"]

_NOT_FRAMES = (0xC4, 0xC8, 0xCC)  # tables and reserved markers between the frame headers
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length


def read_size(stream: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG, JPEG-LS or JPEG 2000 codestream, or None.

    ITU-T T.81 (frame header, B.2.2), T.87 (C.2.2) and T.800 (image and tile size, A.5.1).
    """
    if stream.startswith(b"\0\0\0\x0cjP  "):
        start = stream.find(b"\xff\x4f\xff\x51")
        return read_size(stream[start:]) if start > 0 else None
    if stream.startswith(b"\xff\x4f\xff\x51") and len(stream) >= 24:
        right, bottom, left, top = struct.unpack(">4I", stream[8:24])
        return bottom - top, right - left
    if stream.startswith(b"\xff\xd8"):
        return _read_frame_header(stream)
    return None


def _read_frame_header(stream: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES):
            rows, columns = struct.unpack(">2H", stream[at + 5 : at + 9])
            return rows, columns
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            at += 2 + struct.unpack(">H", stream[at + 2 : at + 4])[0]
    return None
