"""What may happen to the elements of a DICOM file: tag, VR, length, value, place and nesting."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from mutation.byte_edits import BYTE_EDITS, Edit, odd_number
from mutation.codestream_edits import MARKER_EDITS
from mutation.odd_values import odd_float, odd_text

__all__ = ["DICOM_EDITS"]

_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_SHORT = (
    *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN"),
    *(b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
)
_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_SYNTAXES = (
    *("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"),
    *("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"),
    *("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"),
    *("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.100", "1.2.3"),
    *("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.110", "1.2.840.10008.1.20"),
)
_CLASSES = (
    *("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.2"),
    *("1.2.840.10008.1.3.10", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.7"),
)
_WORDS = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "ARGB")
_ASKED_FOR: dict[int, bytes] = {
    **dict.fromkeys((0x00280002, 0x00280006, 0x00280010, 0x00280011, 0x00280100), b"US"),
    **dict.fromkeys((0x00280101, 0x00280102, 0x00280103, 0x00280120, 0x00280121), b"US"),
    **dict.fromkeys((0x00281101, 0x00281102, 0x00281103), b"US"),
    **dict.fromkeys((0x00280004, 0x00080005, 0x00080008, 0x00080060, 0x00180015), b"CS"),
    **dict.fromkeys((0x00200020, 0x00282110, 0x00281056), b"CS"),
    **dict.fromkeys((0x00280030, 0x00200032, 0x00200037, 0x00281050, 0x00281051), b"DS"),
    **dict.fromkeys((0x00281052, 0x00281053, 0x00201041, 0x00180050, 0x00180088), b"DS"),
    **dict.fromkeys((0x00181164, 0x00182010, 0x00180080, 0x00180081), b"DS"),
    **dict.fromkeys((0x00280008, 0x00200011, 0x00200013, 0x00280034, 0x00200012), b"IS"),
    **dict.fromkeys((0x0020000D, 0x0020000E, 0x00080016, 0x00080018, 0x00020010), b"UI"),
    **dict.fromkeys((0x0008103E, 0x00181030, 0x00100020, 0x00100021, 0x00281054), b"LO"),
    **dict.fromkeys((0x7FE00010, 0x7FE00008, 0x7FE00009, 0x7FE00001, 0x00281201), b"OW"),
    **dict.fromkeys((0x52009229, 0x52009230, 0x00283000, 0x00289145, 0x00409096), b"SQ"),
    **dict.fromkeys((0x0020930F, 0x00289110, 0x00209113, 0x00209116, 0x04000500), b"SQ"),
    **dict.fromkeys((0x00041220, 0x00041500, 0x00100010, 0x00181020, 0x0019100A), b"SH"),
}
"""Elements that the readers ask for."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How numbers are written."""

    order: str
    explicit: bool


@dataclass(frozen=True, slots=True)
class _Element:
    """Where an element stands: its first byte, its value, what comes after it."""

    start: int
    value: int
    end: int
    tag: int
    vr: bytes
    form: _Form


def _find_form(data: bytes) -> tuple[_Form, int, int]:
    """Form and first byte of the data set, and the first byte of all elements."""
    if data[128:132] != b"DICM":
        return _Form("<", data[4:6].isalpha()), 0, 0
    at = 132
    form, syntax = _Form("<", True), b""
    while data[at : at + 2] == b"\2\0":
        element = _read(data, at, form)
        if element is None:
            break
        if element.tag == 0x00020010:
            syntax = data[element.value : element.end].rstrip(b"\0 ")
        at = element.end
    order = ">" if syntax.endswith(b"1.2.2") and len(syntax) == 19 else "<"
    return _Form(order, syntax != b"1.2.840.10008.1.2"), at, 132


def _read(data: bytes, at: int, form: _Form) -> _Element | None:
    if at + 8 > len(data):
        return None
    group, element = struct.unpack_from(form.order + "2H", data, at)
    tag, vr = group << 16 | element, data[at + 4 : at + 6] if form.explicit else b""
    if form.explicit and group != 0xFFFE and vr not in _LONG:
        value, size = at + 8, struct.unpack_from(form.order + "H", data, at + 6)[0]
    elif form.explicit and group != 0xFFFE:
        if at + 12 > len(data):
            return None
        value, size = at + 12, struct.unpack_from(form.order + "I", data, at + 8)[0]
    else:
        value, size = at + 8, struct.unpack_from(form.order + "I", data, at + 4)[0]
    # What has no length is taken for its head alone: its items follow as elements of their own.
    inside = group == 0xFFFE or vr == b"SQ" or size == _UNDEFINED
    end = value if inside else value + size
    return None if end > len(data) else _Element(at, value, end, tag, vr, form)


def _walk(data: bytes) -> Iterator[_Element]:
    """Elements, those of sequences among them, until something makes no sense."""
    form, dataset, at = _find_form(data)
    meta = _Form("<", True)
    while (element := _read(data, at, meta if at < dataset else form)) is not None:
        yield element
        at = element.end


def _write(tag: int, vr: bytes, value: bytes, form: _Form) -> bytes:
    head = struct.pack(form.order + "2H", tag >> 16, tag & 0xFFFF)
    if not form.explicit:
        return head + struct.pack(form.order + "I", len(value)) + value
    if vr in _LONG:
        return head + vr + b"\0\0" + struct.pack(form.order + "I", len(value)) + value
    value = value[:65534]
    return head + vr + struct.pack(form.order + "H", len(value)) + value


def _odd_value(chance: Random, vr: bytes, order: str) -> bytes:
    """A value that this VR can hold, or hardly."""
    if vr in (b"US", b"SS", b"OW"):
        return _pack_many(chance, order + "H", lambda: odd_number(chance, 2))
    if vr in (b"UL", b"SL", b"AT"):
        return _pack_many(chance, order + "I", lambda: odd_number(chance, 4))
    if vr in (b"FD", b"OD"):
        return _pack_many(chance, order + "d", lambda: odd_float(chance))
    if vr in (b"FL", b"OF"):
        return _pack_many(chance, order + "f", lambda: odd_float(chance))
    if vr == b"UI":
        text = chance.choice((*_SYNTAXES, *_CLASSES, odd_text(chance)))
    elif vr == b"CS":
        text = chance.choice((*_WORDS, odd_text(chance)))
    else:
        text = "\\".join(odd_text(chance) for _ in range(chance.choice((1, 1, 1, 2, 3, 6))))
    code = chance.choice(("latin-1", "utf-8", "utf-8"))
    value = text.encode(code, "replace")[:65534]
    return value + b" " * (len(value) % 2)


def _pack_many(chance: Random, form: str, draw: object) -> bytes:
    count = chance.choice((0, 1, 1, 1, 2, 3, 6, 300))
    return b"".join(struct.pack(form, draw()) for _ in range(count))  # type: ignore[operator]


def _choose(data: bytes, chance: Random) -> _Element | None:
    """Any element, or more often one that the readers ask for."""
    found = list(_walk(data))
    asked = [one for one in found if one.tag in _ASKED_FOR]
    chosen = asked if asked and chance.random() < 0.7 else found
    return chance.choice(chosen) if chosen else None


def _on_element(edit: object) -> Edit:
    """An edit of one element of the file."""

    def changed(data: bytes, chance: Random) -> bytes:
        element = _choose(data, chance)
        return data if element is None else edit(data, element, chance)  # type: ignore[operator]

    changed.__name__ = edit.__name__  # type: ignore[attr-defined]
    return changed


def _set_value(data: bytes, one: _Element, chance: Random) -> bytes:
    vr = one.vr or _ASKED_FOR.get(one.tag, b"LO")
    value = _odd_value(chance, vr, one.form.order)
    return data[: one.start] + _write(one.tag, one.vr, value, one.form) + data[one.end :]


def _set_vr(data: bytes, one: _Element, chance: Random) -> bytes:
    """Another VR, with the length in its place or not."""
    vr = chance.choice((*_LONG, *_SHORT, b"??", b"\0\0"))
    if chance.random() < 0.5:
        return data[: one.start + 4] + vr + data[one.start + 6 :]
    value = data[one.value : one.end]
    return data[: one.start] + _write(one.tag, vr, value, one.form) + data[one.end :]


def _set_length(data: bytes, one: _Element, chance: Random) -> bytes:
    size = 4 if one.vr in _LONG or not one.form.explicit else 2
    at, now = one.value - size, one.end - one.value
    near = [max(0, now + step) for step in (-2, -1, 1, 2, 100)]
    number = chance.choice((*near, odd_number(chance, size))) % 256**size
    field = struct.pack(one.form.order + {2: "H", 4: "I"}[size], number)
    return data[:at] + field + data[one.value :]


def _set_tag(data: bytes, one: _Element, chance: Random) -> bytes:
    tag = chance.choice((*_ASKED_FOR, chance.randrange(2**32)))
    head = struct.pack(one.form.order + "2H", tag >> 16, tag & 0xFFFF)
    return data[: one.start] + head + data[one.start + 4 :]


def _remove(data: bytes, one: _Element, chance: Random) -> bytes:
    return data[: one.start] + data[one.end :]


def _double(data: bytes, one: _Element, chance: Random) -> bytes:
    return data[: one.end] + data[one.start : one.end] + data[one.end :]


def _move(data: bytes, one: _Element, chance: Random) -> bytes:
    rest = data[: one.start] + data[one.end :]
    other = _choose(rest, chance)
    at = len(rest) if other is None else other.start
    return rest[:at] + data[one.start : one.end] + rest[at:]


def _nest(data: bytes, one: _Element, chance: Random) -> bytes:
    """The element stands in sequences in sequences, each of undefined length or of its true one."""
    inner, undefined = data[one.start : one.end], chance.random() < 0.5
    order = one.form.order
    for _ in range(chance.choice((1, 2, 10, 300, 3000 if undefined else 30))):
        item = struct.pack(order + "2HI", 0xFFFE, 0xE000, _UNDEFINED if undefined else len(inner))
        closed = struct.pack(order + "2HI", 0xFFFE, 0xE00D, 0) if undefined else b""
        inner = item + inner + closed
        head = struct.pack(order + "2H", 0x0028, 0x3000)
        head += b"SQ\0\0" if one.form.explicit else b""
        head += struct.pack(order + "I", _UNDEFINED if undefined else len(inner))
        inner = head + inner + (struct.pack(order + "2HI", 0xFFFE, 0xE0DD, 0) if undefined else b"")
    return data[: one.start] + inner + data[one.end :]


def _insert(data: bytes, one: _Element, chance: Random) -> bytes:
    tag = chance.choice(tuple(_ASKED_FOR))
    vr = _ASKED_FOR[tag] if chance.random() < 0.8 else chance.choice(_SHORT)
    value = b"" if vr == b"SQ" else _odd_value(chance, vr, one.form.order)
    return data[: one.start] + _write(tag, vr, value, one.form) + data[one.start :]


def _damage_value(data: bytes, one: _Element, chance: Random) -> bytes:
    """Bytes of the value alone, in its length."""
    value = bytearray(data[one.value : one.end])
    for _ in range(min(len(value), chance.choice((1, 1, 3, 20)))):
        value[chance.randrange(len(value))] = chance.randrange(256)
    return data[: one.value] + bytes(value) + data[one.end :]


def _set_syntax(data: bytes, chance: Random) -> bytes:
    """The pixels are said to be stored in another way."""
    element = next((one for one in _walk(data) if one.tag == 0x00020010), None)
    if element is None:
        return data
    value = chance.choice(_SYNTAXES).encode()
    new = _write(element.tag, b"UI", value + b"\0" * (len(value) % 2), element.form)
    return data[: element.start] + new + data[element.end :]


def _damage_codestream(data: bytes, chance: Random) -> bytes:
    """A compressed frame, in an item whose length is right again."""
    at = data.rfind(struct.pack("<2H", 0xFFFE, 0xE000))
    if not _holds_frames(data) or at < 0 or at + 8 >= len(data):
        return data
    size = min(struct.unpack_from("<I", data, at + 4)[0], len(data) - at - 8)
    frame = data[at + 8 : at + 8 + size]
    for _ in range(chance.choice((1, 1, 2, 4))):
        frame = chance.choice((*BYTE_EDITS, *MARKER_EDITS * 4))(frame, chance) if frame else b""
    frame += b"\0" * (len(frame) % 2)
    return data[: at + 4] + struct.pack("<I", len(frame)) + frame + data[at + 8 + size :]


def _holds_frames(data: bytes) -> bool:
    return b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" in data


_EDITS: Sequence[Edit] = (
    *map(_on_element, (_set_value, _set_value, _set_value, _set_vr, _set_length, _set_tag)),
    *map(_on_element, (_remove, _double, _move, _nest, _insert, _insert, _damage_value)),
    _set_syntax,
)


def _edit_inflated(data: bytes, chance: Random) -> bytes:
    """The same on what a deflated file holds."""
    edit = chance.choice((*_EDITS[:-1], *BYTE_EDITS))
    at = _find_form(data)[1]
    try:
        inner = zlib.decompress(data[at:], -zlib.MAX_WBITS)
    except zlib.error:
        return data
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return data[:at] + squeezer.compress(edit(inner, chance) if inner else b"") + squeezer.flush()


def _edit_any(data: bytes, chance: Random) -> bytes:
    deflated = data[128:132] == b"DICM" and _DEFLATED in data[132:600]
    if _holds_frames(data) and chance.random() < 0.5:
        return _damage_codestream(data, chance)
    return _edit_inflated(data, chance) if deflated else chance.choice(_EDITS)(data, chance)


DICOM_EDITS: Sequence[Edit] = (_edit_any,)
