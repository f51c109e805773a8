"""The fields of a Protocol Buffers message, without the library that knows its schema.

Encoding: protobuf.dev/programming-guides/encoding. Only what stands in ONNX files is taken; what a
more lenient parser would read in two ways is an error here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["MOST_FIELDS", "Field", "Reader"]

MOST_FIELDS = 500_000
"""Fields of one file: a second of reading. The bundled model has about 4,000."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10  # bytes, for 64 bits


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: of the field, by the schema.
        value: of an integer; 0 for all others.
        start, end: where the content of a string, of bytes or of a message lies; equal for others.
    """

    number: int
    value: int
    start: int
    end: int


class Reader:
    """Reads messages that lie in ``data``.

    Raises:
        ValueError: from `read`: the bytes are no message, or hold more than `MOST_FIELDS` fields.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._count = 0

    def read(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message between two places."""
        while start < end:
            self._count += 1
            if self._count > MOST_FIELDS:
                raise ValueError(f"more than {MOST_FIELDS:,} fields")
            tag, start = self._read_varint(start, end)
            number, kind = tag >> 3, tag & 7
            if not 0 < number < 2**29:
                raise ValueError("a field without a number")
            value, first, start = self._read_content(kind, start, end)
            yield Field(number, value, first, start if kind == _BYTES else first)

    def text(self, field: Field, most: int = 80) -> str:
        """The beginning of a field as text, for messages."""
        return self.data[field.start : min(field.end, field.start + most)].decode(errors="replace")

    def _read_content(self, kind: int, start: int, end: int) -> tuple[int, int, int]:
        """Value, where the content starts, and where the next field does."""
        value, first = 0, start
        if kind == _VARINT:
            value, first = self._read_varint(start, end)
            after = first
        elif kind == _BYTES:
            length, first = self._read_varint(start, end)
            after = first + length
        elif kind in _WIDTHS:
            after = start + _WIDTHS[kind]
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if after > end:
            raise ValueError("it is cut short")
        return value, first, after

    def _read_varint(self, start: int, end: int) -> tuple[int, int]:
        value = 0
        for place in range(start, min(end, start + _LONGEST_VARINT)):
            byte = self.data[place]
            value |= (byte & 0x7F) << (7 * (place - start))
            if byte < 0x80:
                return value, place + 1
        raise ValueError("it is cut short")
