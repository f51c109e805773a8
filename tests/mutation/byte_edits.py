"""What may happen to any bytes: flips, runs, cuts, copies, numbers, pieces of another file."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

__all__ = ["BYTE_EDITS", "ODD_NUMBERS", "Edit", "odd_number", "splice"]

Edit = Callable[[bytes, Random], bytes]
"""Sound bytes and a source of chance in, damaged bytes out."""

ODD_NUMBERS = (
    *(0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 64, 100, 127, 128, 255, 256, 257, 1000, 4096, 32767),
    *(32768, 65534, 65535, 65536, 10**6, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1),
)
_HEADER = 600  # bytes near the start, where most of what matters stands


def odd_number(chance: Random, size: int) -> int:
    """A number that fits ``size`` bytes, at a border of something more often than not."""
    most = 256**size
    return (chance.choice(ODD_NUMBERS) if chance.random() < 0.8 else chance.randrange(most)) % most


def splice(data: bytes, other: bytes, chance: Random) -> bytes:
    """The first part of one file and the last part of another."""
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def _place(data: bytes, chance: Random) -> int:
    near = min(len(data), _HEADER)
    return chance.randrange(near if chance.random() < 0.5 else len(data))


def _run(data: bytes, chance: Random) -> tuple[int, int]:
    start = _place(data, chance)
    longest = 16 if chance.random() < 0.7 else max(16, len(data) // 3)
    return start, min(len(data), start + chance.randint(1, longest))


def _flip_bits(data: bytes, chance: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 12, 40))):
        changed[_place(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _set_bytes(data: bytes, chance: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 12))):
        changed[_place(data, chance)] = chance.choice((0, 1, 127, 128, 254, 255))
    return bytes(changed)


def _fill_run(data: bytes, chance: Random) -> bytes:
    start, end = _run(data, chance)
    fill = bytes([chance.choice((0, 255, 32, 128, chance.randrange(256)))])
    return data[:start] + fill * (end - start) + data[end:]


def _scramble_run(data: bytes, chance: Random) -> bytes:
    start, end = _run(data, chance)
    return data[:start] + chance.randbytes(end - start) + data[end:]


def _remove_run(data: bytes, chance: Random) -> bytes:
    start, end = _run(data, chance)
    return data[:start] + data[end:]


def _double_run(data: bytes, chance: Random) -> bytes:
    start, end = _run(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 1, 2, 20)) + data[end:]


def _move_run(data: bytes, chance: Random) -> bytes:
    start, end = _run(data, chance)
    rest = data[:start] + data[end:]
    at = chance.randint(0, len(rest))
    return rest[:at] + data[start:end] + rest[at:]


def _cut(data: bytes, chance: Random) -> bytes:
    return data[: chance.randint(0, len(data) - 1)]


def _cut_start(data: bytes, chance: Random) -> bytes:
    return data[chance.randint(1, len(data)) :]


def _add_tail(data: bytes, chance: Random) -> bytes:
    size = chance.choice((1, 2, 100, 70_000))
    return data + chance.choice((bytes(size), chance.randbytes(size), data))


def _set_number(data: bytes, chance: Random) -> bytes:
    """A field of 2, 4 or 8 bytes becomes a number at some border."""
    size, form = chance.choice(((2, "H"), (4, "I"), (8, "Q")))
    if len(data) < size:
        return data
    at = min(_place(data, chance), len(data) - size)
    order = chance.choice("<>")
    field = struct.pack(order + form, odd_number(chance, size))
    return data[:at] + field + data[at + size :]


def _shift_length(data: bytes, chance: Random) -> bytes:
    """A field that may be a length, since so much is there, gets a little larger or smaller."""
    order, size = chance.choice("<>"), chance.choice((2, 4))
    form = order + {2: "H", 4: "I"}[size]
    places = [at for at in range(max(0, len(data) - size)) if 0 < _read(form, data, at) < len(data)]
    if not places:
        return data
    at = chance.choice(places)
    value = max(0, _read(form, data, at) + chance.choice((-8, -2, -1, 1, 2, 8, 1000)))
    return data[:at] + struct.pack(form, value % 256**size) + data[at + size :]


def _read(form: str, data: bytes, at: int) -> int:
    value: int = struct.unpack_from(form, data, at)[0]
    return value


BYTE_EDITS: Sequence[Edit] = (
    _flip_bits,
    _set_bytes,
    _fill_run,
    _scramble_run,
    _remove_run,
    _double_run,
    _move_run,
    _cut,
    _cut_start,
    _add_tail,
    _set_number,
    _shift_length,
)
