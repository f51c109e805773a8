"""What may happen to a zip archive: its directory, the heads of its members, their names."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Sequence
from random import Random

from mutation.byte_edits import BYTE_EDITS, Edit, odd_number

__all__ = ["ZIP_EDITS"]

_HEADS = {  # signature -> (offset, size) of its numbers: APPNOTE.TXT, 4.3
    b"PK\1\2": (
        (4, 2),
        (6, 2),
        (8, 2),
        (10, 2),
        (16, 4),
        (20, 4),
        (24, 4),
        (28, 2),
        (30, 2),
        (32, 2),
        (34, 2),
        (36, 2),
        (38, 4),
        (42, 4),
    ),
    b"PK\3\4": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\5\6": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}
_NAMES = (
    *(
        "../../../escaped",
        "/absolute",
        "C:\\x",
        "a/../../b",
        "",
        ".",
        "a\0b",
        "b" * 5000,
        "日本.dcm",
    ),
    *(
        "IM0001",
        "x.zip",
        "dir/",
        "con",
        "a.png",
        "..\\..\\x",
        "a\nb",
        "\x1b[31m",
        "-rf",
        "a" * 65535,
    ),
)


def _set_head(data: bytes, chance: Random) -> bytes:
    """A number of the directory, of its end or of a member's head."""
    signature = chance.choice(tuple(_HEADS))
    places = [at for at in range(len(data)) if data.startswith(signature, at)]
    if not places:
        return data
    offset, size = chance.choice(_HEADS[signature])
    at = chance.choice(places) + offset
    near = chance.choice((0, 1, 8, 9, 12, 14, 20, 93, 99, 0x800, 0x801, 0x2001))
    value = chance.choice((near, odd_number(chance, size))) % 256**size
    return data[:at] + value.to_bytes(size, "little") + data[at + size :]


def _read(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {one.filename: archive.read(one) for one in archive.infolist()}
    except Exception:  # damaged by an earlier edit
        return {}


def _write(members: list[tuple[str, bytes]], chance: Random) -> bytes:
    stream = io.BytesIO()
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w") as archive:
        for name, content in members:
            entry = zipfile.ZipInfo("x", (2026, 1, 2, 3, 4, 6))
            entry.filename = name  # as it is: the constructor would mend it
            archive.writestr(entry, content, chance.choice(kinds))
    return stream.getvalue()


def _edit_member(data: bytes, chance: Random) -> bytes:
    """The content of a member, packed as it should be."""
    from mutation.mutants import edits_for

    members = list(_read(data).items())
    if not members:
        return data
    place = chance.randrange(len(members))
    name, content = members[place]
    if content:
        content = chance.choice(edits_for(content))(content, chance)
    members[place] = name, content
    return _write(members, chance)


def _rename(data: bytes, chance: Random) -> bytes:
    members = list(_read(data).items())
    if not members:
        return data
    place = chance.randrange(len(members))
    members[place] = chance.choice(_NAMES), members[place][1]
    return _write(members, chance)


def _add_member(data: bytes, chance: Random) -> bytes:
    """Another member: an archive in the archive, a text, zeros, a member again."""
    members = list(_read(data).items())
    content = chance.choice((data, b"text\n", bytes(3 * 10**6), b"", *(one for _, one in members)))
    members.insert(chance.randint(0, len(members)), (chance.choice(_NAMES), content))
    return _write(members, chance)


def _add_comment(data: bytes, chance: Random) -> bytes:
    """A comment at the end, of true length or not; or a second end of the directory."""
    at = data.rfind(b"PK\5\6")
    if at < 0:
        return data
    if chance.random() < 0.3:
        return data + data[at:]
    comment = chance.randbytes(chance.choice((1, 40, 60_000)))
    size = len(comment) if chance.random() < 0.7 else odd_number(chance, 2)
    return data[: at + 20] + struct.pack("<H", size) + comment


ZIP_EDITS: Sequence[Edit] = (
    *(_set_head, _set_head, _set_head, _edit_member, _edit_member, _rename, _add_member),
    *(_add_comment, lambda data, chance: chance.choice(BYTE_EDITS)(data, chance)),
)
