"""What a compressed picture states about itself, read without decoding it."""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = ["CodestreamHeader", "read_codestream_header"]

_NOT_FRAMES = (0xC4, 0xC8, 0xCC)  # tables and reserved markers between the frame headers
_ALONE = (0x01, *range(0xD0, 0xD9))  # markers without a length


_JPEG_2000 = "JPEG 2000"
_PROCESSES = {0xC0: "JPEG", 0xC1: "JPEG", 0xC3: "lossless JPEG", 0xF7: "JPEG-LS"}
"""Frame headers (T.81, table B.1; T.87, table C.1) -> what the codestream is."""


class CodestreamHeader(NamedTuple):
    """Size of a picture, the bits of its samples, and how it is compressed; empty if unusual."""

    rows: int
    columns: int
    bits: int
    kind: str


def read_codestream_header(stream: bytes) -> CodestreamHeader | None:
    """Of a JPEG, JPEG-LS or JPEG 2000 codestream, or None.

    ITU-T T.81 (frame header, B.2.2), T.87 (C.2.2) and T.800 (image and tile size, A.5.1).
    """
    if stream.startswith(b"\0\0\0\x0cjP  "):
        start = stream.find(b"\xff\x4f\xff\x51")
        return read_codestream_header(stream[start:]) if start > 0 else None
    if stream.startswith(b"\xff\x4f\xff\x51") and len(stream) >= 43:
        right, bottom, left, top = struct.unpack(">4I", stream[8:24])
        return CodestreamHeader(bottom - top, right - left, (stream[42] & 0x7F) + 1, _JPEG_2000)
    if stream.startswith(b"\xff\xd8"):
        return _read_frame_header(stream)
    return None


def _read_frame_header(stream: bytes) -> CodestreamHeader | None:
    at = 2
    while at + 9 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES):
            bits, rows, columns = struct.unpack(">B2H", stream[at + 4 : at + 9])
            return CodestreamHeader(rows, columns, bits, _PROCESSES.get(marker, ""))
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            at += 2 + struct.unpack(">H", stream[at + 2 : at + 4])[0]
    return None
