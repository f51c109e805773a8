"""The kind of a file, recognised by its first bytes and never by its name."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Literal

__all__ = [
    "DRAWN",
    "DRAWN_BY",
    "HEAD_BYTES",
    "VOLUMES",
    "Kind",
    "describe",
    "is_drawn",
    "sniff",
]

Kind = Literal["raster", "dicom", "nifti", "analyze", "nrrd", "metaimage", "mgh", "zip", "secure"]

VOLUMES: frozenset[Kind] = frozenset({"nifti", "analyze", "nrrd", "metaimage", "mgh"})
"""Kinds of files that hold volumes, and are opened by `volumes.reading`."""

HEAD_BYTES = 1024
"""Enough to inflate the 348 bytes of a NIfTI header from a gzip stream."""

DRAWN_BY = "tumorlens"
"""What begins the text ``Software`` (PNG, 11.3.3.2; TIFF, tag 305; a JPEG's comment) of pictures
that this program draws, and the description of NIfTI volumes that it writes."""

DRAWN = "a result of tumorlens"
"""How `describe` names such files. A result is no scan, wherever it lies."""

_PNG = b"\x89PNG\r\n\x1a\n"
_DRAWN_MARK = b"tEXtSoftware\0" + DRAWN_BY.encode()
_COMMENT = re.compile(rb"\xff\xfe..tumorlens overlay", re.DOTALL)
_TIFF, _SOFTWARE = (b"II*\0", b"MM\0*"), b"tumorlens overlay\0"
_DESCRIPTION = slice(148, 228)  # bytes of a NIfTI-1 header
_RASTER = (_PNG, b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM")
_ENVELOPED = bytes.fromhex("06092a864886f70d010703")  # OID pkcs7-envelopedData, RFC 5652
_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR "
    b"US UT UV".split()
)
_METAIMAGE = re.compile(
    rb"(?:\s*\w+\s*[=:][^\r\n]*\r?\n)*?\s*(?:NDims\s*[=:]\s*\d|ObjectType\s*[=:]\s*\w)"
)
"""Fields of a header, one of which is rare in other texts."""

_FOREIGN = (
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 or MINC 2 file (MINC: convert it with mnc2nii)"),
    (b"CDF\x01", "a netCDF or MINC 1 file (MINC: convert it with mnc2nii)"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"MATRIX7", "an ECAT file"),
    (b"TRACK\0", "a TrackVis file"),
    (b"# === DATA DESCRIPTION", "a PAR/REC header"),
    (b"\x1f\x8b", "a gzip file without a NIfTI image"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"BZh", "a file packed with bzip2 (unpack it first)"),
    (b"\xfd7zXZ\0", "a file packed with xz (unpack it first)"),
    (b"\x28\xb5\x2f\xfd", "a file packed with Zstandard (unpack it first)"),
    (b"PK\5\6", "an empty zip archive"),
    (b"PK\7\x08", "a part of a split zip archive (join its parts first)"),
    (b"\x93NUMPY", "a NumPy array (load it, and give the array to tumorlens.predict)"),
    (b"version https://git-lfs", "a pointer of Git LFS (fetch the file with git lfs pull)"),
    (b"/annex/objects/", "a pointer of git-annex (fetch the file with git annex get)"),
    (b"<?xml", "an XML file"),
    (b"<!DOCTYPE html", "a web page"),
    (b"<html", "a web page"),
)
_HEIF = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis")
"""Brands of ISO base media files (ISO/IEC 23008-12, 10.2) that are pictures."""


def sniff(head: bytes) -> Kind | None:
    """Kind of a file by its first `HEAD_BYTES` bytes; None for others, and for results of ours."""
    return None if is_drawn(head) else _sniff(head)


def _sniff(head: bytes) -> Kind | None:
    if head[128:132] == b"DICM":  # first, because the preamble may look like a TIFF
        return "dicom"
    if _starts_picture(head):
        return "raster"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head[:1] == b"\x30" and _ENVELOPED in head[:64]:
        return "secure"
    return _sniff_volume(head) or ("dicom" if _starts_with_element(head) else None)


def _starts_picture(head: bytes) -> bool:
    return head.startswith(_RASTER) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def describe(head: bytes) -> str:
    """What a file that cannot be read seems to be, for an error message."""
    if not head:
        return "an empty file"
    known = DRAWN if is_drawn(head) else _name_foreign(head)
    if known:
        return known
    if not head.strip(b"\0"):
        return "a file of zeros"
    return "a text file" if _is_text(head) else "a file of an unknown type"


def _name_foreign(head: bytes) -> str | None:
    """What a file is that other programs read, with what to do; None if that is not known."""
    content = _inflate(head)
    if content[128:132] == b"DICM":
        return "a gzipped DICOM file (unpack it first)"
    if content[257:262] == b"ustar":  # POSIX.1, ustar interchange format
        return "a tar archive (unpack it first)"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF:
        return "a HEIF picture (HEIC or AVIF)"
    return next((name for magic, name in _FOREIGN if head.startswith(magic)), None)


def is_drawn(head: bytes) -> bool:
    """Whether a file by its first bytes is a picture or a volume that this program wrote."""
    if head.startswith(_PNG):
        return _DRAWN_MARK in head[:HEAD_BYTES]
    if head.startswith(b"\xff\xd8\xff"):
        return _COMMENT.search(head[:HEAD_BYTES]) is not None
    if head.startswith(_TIFF):
        return _SOFTWARE in head[:HEAD_BYTES]
    header = _inflate(head)
    is_nifti = header[344:348] == b"n+1\0"
    return is_nifti and header[_DESCRIPTION].startswith(DRAWN_BY.encode())


def _inflate(head: bytes) -> bytes:
    """The head itself; if it is gzipped, its content."""
    if not head.startswith(b"\x1f\x8b"):
        return head
    try:
        return zlib.decompressobj(31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def _sniff_volume(head: bytes) -> Kind | None:
    if head.startswith(b"NRRD000"):
        return "nrrd"
    if _METAIMAGE.match(head):
        return "metaimage"
    header = _inflate(head)
    if header[128:132] == b"DICM":
        return None
    return "mgh" if _is_mgh(header) else _sniff_nifti(header)


def _sniff_nifti(header: bytes) -> Kind | None:
    """NIfTI-1 (348 bytes), NIfTI-2 (540 bytes) or, without a magic, Analyze 7.5."""
    if header[344:348] in (b"n+1\0", b"ni1\0") or header[4:8] in (b"n+2\0", b"ni2\0"):
        return "nifti"
    lengths = (
        struct.unpack("<i", header[:4]) + struct.unpack(">i", header[:4]) if header[3:] else ()
    )
    return "analyze" if 348 in lengths else None


def _is_mgh(header: bytes) -> bool:
    """FreeSurfer: version 1, a shape, and a type of voxel that there is; all big-endian."""
    if len(header) < 28 or not header.startswith(b"\0\0\0\1"):
        return False
    *shape, kind, _ = struct.unpack(">6i", header[4:28])
    return min(shape) > 0 and kind in (0, 1, 3, 4, 10)


def _starts_with_element(head: bytes) -> bool:
    """A DICOM data set without preamble: its first element is of group 2 or 8."""
    if len(head) < 12 or head[:2] not in (b"\x02\0", b"\x08\0", b"\0\x08"):
        return False
    if head[4:6] in _VRS:
        return True
    length = struct.unpack("<I", head[4:8])[0]
    return head[:2] != b"\0\x08" and length <= 128 and length % 2 == 0


def _is_text(head: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
