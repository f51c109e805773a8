"""Requests that a service must refuse: broken, bloated, lying and strange bodies.

A body is built from its number alone, so that one that does harm can be sent again.
"""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

from integration.service.services import make_form

__all__ = ["Hostile", "make_hostile"]

SECRET = "DOE^JANE"
"""A name that stands in bodies, and must stand in no log."""


@dataclass(frozen=True)
class Hostile:
    """One request.

    Attributes:
        words: what is wrong with it.
        path: where it goes.
        kind: its Content-Type; None: no such header.
        body: of it.
    """

    words: str
    path: str
    kind: str | None
    body: bytes


def make_hostile(number: int) -> Hostile:
    """The request of this number."""
    chance = random.Random(number)
    make = _MAKERS[number % len(_MAKERS)]
    words, kind, body = make(chance)
    return Hostile(
        f"{number}: {words}", chance.choice(["/predict", "/predict", "/jobs"]), kind, body
    )


Made = tuple[str, str | None, bytes]


def _zip(*members: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def _empty(chance: random.Random) -> Made:
    kind = chance.choice(["application/zip", "application/dicom", "image/png", "text/plain", None])
    return "nothing at all", kind, b""


def _broken_zip(chance: random.Random) -> Made:
    whole = bytearray(_zip(("a/IM1.dcm", chance.randbytes(3000)), (SECRET, b"x" * 500)))
    if chance.random() < 0.5:
        return "a torn archive", "application/zip", bytes(whole[: chance.randrange(4, len(whole))])
    for _ in range(40):
        whole[chance.randrange(4, len(whole))] = chance.randrange(256)
    return "a damaged archive", "application/zip", bytes(whole)


def _bomb(chance: random.Random) -> Made:
    big = bytes(chance.choice([8, 16, 32]) * 2**20)
    if chance.random() < 0.5:
        return "a zip bomb", "application/zip", _zip((f"{SECRET}.dcm", big))
    many = [(f"{number}.dcm", b"") for number in range(80)]
    return "an archive of many files", "application/zip", _zip(*many)


def _lying_bomb(chance: random.Random) -> Made:
    data = bytearray(_zip(("a.dcm", bytes(16 * 2**20))))
    size, small = struct.pack("<I", 16 * 2**20), struct.pack("<I", 100)
    return "a zip bomb that lies", "application/zip", bytes(data.replace(size, small))


def _traversal(chance: random.Random) -> Made:
    name = chance.choice(
        ["../../etc/passwd", "/etc/passwd", "..\\..\\x", "C:\\x", "a/../../../x", "a/" * 40 + "x"]
    )
    if chance.random() < 0.5:
        return "a member that leads out", "application/zip", _zip((name, b"x" * 200))
    return "a name that leads out", *make_form([(name, b"x" * 200)])


def _wrong_type(chance: random.Random) -> Made:
    kind = chance.choice(
        ["application/json", "text/html", "x", "", "multipart/mixed; boundary=a", "\xff/\xfe"]
    )
    return "a type that holds no files", kind, f'{{"patient": "{SECRET}"}}'.encode()


def _broken_form(chance: random.Random) -> Made:
    kind, body = make_form([(f"{SECRET}.dcm", chance.randbytes(400))])
    what = chance.randrange(6)
    if what == 0:
        return "a form without its end", kind, body[: chance.randrange(10, len(body) - 6)]
    if what == 1:
        return "a form without a boundary", "multipart/form-data", body
    if what == 2:
        return "a form with another boundary", "multipart/form-data; boundary=other", body
    if what == 3:
        return "a form of text", kind, body.replace(b"filename", b"fieldname")
    if what == 4:
        return "a form with long headers", kind, body.replace(b"files", b"f" * 40_000)
    return "a form of nothing", kind, body[-40:].lstrip(b"\r\n")


def _same_name(chance: random.Random) -> Made:
    return "two files of one name", *make_form([("a", b"xx"), ("a", b"yy")])


def _too_many(chance: random.Random) -> Made:
    return "many files", *make_form([(f"{n}.png", b"x") for n in range(chance.randrange(70, 120))])


def _noise(chance: random.Random) -> Made:
    kind = chance.choice(
        ["application/dicom", "image/png", "image/jpeg", "application/gzip", "image/tiff"]
    )
    return "noise", kind, chance.randbytes(chance.randrange(1, 5000))


def _false_start(chance: random.Random) -> Made:
    """The first bytes of a format, and then noise."""
    start = chance.choice(
        [
            bytes(128) + b"DICM\x02\x00\x10\x00UI\x14\x00" + SECRET.encode(),
            b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
            b"II*\x00\x08\x00\x00\x00\xff\xff",
            struct.pack("<i", 348) + bytes(36) + struct.pack("<8h", 3, *[32767] * 7),
            b"NRRD0004\ntype: float\ndimension: 3\nsizes: 99999 99999 99999\nencoding: raw\n\n",
            b"PK\x03\x04",
            b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        ]
    )
    body = start + chance.randbytes(chance.randrange(0, 3000))
    if chance.random() < 0.3:
        return "the start of a format, zipped", "application/zip", _zip(("x.dcm", body))
    return "the start of a format", "application/octet-stream", body


def _gzip_bomb(chance: random.Random) -> Made:
    header = bytearray(348)
    header[:4] = struct.pack("<i", 348)
    header[40:56] = struct.pack("<8h", 3, 9000, 9000, 900, 1, 1, 1, 1)
    header[70:74] = struct.pack("<hh", 16, 32)
    header[108:112] = struct.pack("<f", 352)
    header[344:348] = b"n+1\0"
    return "a gzip bomb", "application/gzip", gzip.compress(bytes(header) + bytes(8 * 2**20))


def _nested(chance: random.Random) -> Made:
    inner = _zip(("b.dcm", bytes(1000)))
    for _ in range(chance.randrange(1, 6)):
        inner = _zip((f"{SECRET}.zip", inner))
    return "archives in archives", "application/zip", inner


_MAKERS: tuple[Callable[[random.Random], Made], ...] = (
    _empty, _broken_zip, _bomb, _traversal, _wrong_type, _broken_form, _same_name, _too_many,
    _noise, _false_start, _gzip_bomb, _nested, _lying_bomb,
)  # fmt: skip
