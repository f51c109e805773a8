"""The File Meta Information at the head of a DICOM file (PS3.10, section 7.1), without pydicom.

It names the transfer syntax and the class of the object, and so tells a DICOMDIR from an image and
a deflated file from a plain one before anything is parsed or inflated.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from tumorlens.imaging.files.limits import Limits

__all__ = ["DIRECTORY", "FileMeta", "check_inflated", "read_file_meta"]

DIRECTORY = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR: Media Storage Directory Storage."""

_DEFLATED = "1.2.840.10008.1.2.1.99"
_LONG = (b"OB", b"OW", b"OF", b"SQ", b"UT", b"UN")  # four-byte lengths; PS3.5, 7.1.2
_LONGEST_META = 64 * 1024
_STEP = 1024**2


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What stands in group 2.

    Attributes:
        sop_class: Media Storage SOP Class UID, or empty.
        syntax: Transfer Syntax UID, or empty.
        end: offset of the data set.
    """

    sop_class: str
    syntax: str
    end: int


def read_file_meta(stream: BinaryIO) -> FileMeta:
    """Read group 2; the stream is left at its start."""
    stream.seek(0)
    head = stream.read(_LONGEST_META)
    stream.seek(0)
    at = 132 if head[128:132] == b"DICM" else 0
    values: dict[int, str] = {}
    while at + 8 <= len(head) and head[at : at + 2] == b"\x02\0":
        element, vr, short = struct.unpack("<H2sH", head[at + 2 : at + 8])
        at += 8
        if vr in _LONG:
            short = struct.unpack("<I", head[at : at + 4].ljust(4, b"\0"))[0]
            at += 4
        elif not vr.isalpha():  # implicit: the length stands where the VR should
            short = struct.unpack("<I", head[at - 4 : at])[0]
        values[element] = head[at : at + short].rstrip(b"\0 ").decode("ascii", "replace")
        at += short
    return FileMeta(values.get(0x0002, ""), values.get(0x0010, ""), at)


def check_inflated(stream: BinaryIO, path: str, limits: Limits) -> None:
    """Refuse a file that is too large, or a deflated one that inflates to too much.

    Inflates in steps and keeps nothing, so that a bomb goes off in a bounded room. The stream is
    left at its start.

    Raises:
        InputError: over ``limits.memory_bytes``.
        zlib.error: damaged.
    """
    limits.check_memory(path, stream.seek(0, 2))
    meta = read_file_meta(stream)
    if meta.syntax == _DEFLATED:
        stream.seek(meta.end)
        inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while not inflater.eof and (data := inflater.unconsumed_tail or stream.read(_STEP)):
            total += len(inflater.decompress(data, _STEP))
            limits.check_memory(path, 2 * total)  # pydicom holds the bytes and their elements
    stream.seek(0)
