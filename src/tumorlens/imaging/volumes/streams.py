"""Streams of voxels: plain, zipped or written as text, in the file of their header or beside it."""

from __future__ import annotations

import bz2
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, TypeGuard

from tumorlens.errors import InputError
from tumorlens.imaging.files.access import open_file

__all__ = [
    "Bytes",
    "Inflated",
    "Spelled",
    "check_end",
    "is_plain",
    "open_beside",
    "quote",
    "seek_voxels",
    "unzip",
]

_STEP = 1024**2
_GZIP = b"\x1f\x8b"
_LONGEST_QUOTE = 60
_ELSEWHERE = "name a file in the folder of the header"


class Inflated:
    """A zlib or gzip stream that is inflated as far as it is asked for.

    Args:
        stream: at the first zipped byte.

    Raises:
        zlib.error: damaged, or a checksum that fails at its end.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either head
        self._rest = b""

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes; none at the end of the zipped data or of the file."""
        while not self._inflater.eof or self._goes_on():
            packed = self._rest or self._inflater.unconsumed_tail or self._stream.read(_STEP)
            self._rest = b""
            if found := self._inflater.decompress(packed, count):
                return found
            if not packed:
                break
        return b""

    def _goes_on(self) -> bool:
        """Whether another gzip member follows, as parallel packers write them; it is begun."""
        rest = self._inflater.unused_data
        rest += self._stream.read(_STEP) if len(rest) < len(_GZIP) else b""
        if not rest.startswith(_GZIP):
            return False
        self._inflater, self._rest = zlib.decompressobj(zlib.MAX_WBITS | 32), rest
        return True


class Spelled:
    """Voxels that are written as words, turned into bytes as far as they are asked for.

    Args:
        stream: at the first word; blanks, ends of lines and commas part words.
        convert: gives the bytes of some words.

    Raises:
        ValueError: a word has no end; and whatever ``convert`` raises.
    """

    def __init__(
        self, stream: BinaryIO, convert: Callable[[Sequence[bytes]], bytes | bytearray]
    ) -> None:
        self._stream, self._convert = stream, convert
        self._begun = b""
        self._ready = io.BytesIO()

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes; none at the end of the file."""
        while not (found := self._ready.read(count)):
            text = self._stream.read(_STEP)
            if not (text or self._begun):
                break
            *words, self._begun = re.split(rb"[\s,]+", self._begun + (text or b" "))
            if len(self._begun) >= _STEP:
                raise ValueError("a number without an end")
            self._ready = io.BytesIO(self._convert([word for word in words if word]))
        return found


Bytes = BinaryIO | gzip.GzipFile | bz2.BZ2File | Inflated | Spelled


def unzip(stream: BinaryIO) -> Bytes:
    """The stream from its start, inflated if it is a gzip file."""
    stream.seek(0)
    magic = stream.read(2)
    stream.seek(0)
    return gzip.GzipFile(fileobj=stream) if magic == _GZIP else stream


def is_plain(stream: Bytes) -> TypeGuard[BinaryIO]:
    """Whether the stream's length tells how much it holds."""
    return not isinstance(stream, (gzip.GzipFile, bz2.BZ2File, Inflated, Spelled))


def seek_voxels(stream: Bytes, offset: int) -> None:
    """Go to byte ``offset`` of a plain stream, or over so many of another."""
    if is_plain(stream):
        stream.seek(offset)
        return
    while offset > 0 and (read := len(stream.read(min(offset, _STEP)))):
        offset -= read


def check_end(stream: Bytes) -> None:
    """Let the checksum be compared, which happens at the end; what may follow is let pass."""
    try:
        stream.read(1)
    except EOFError:
        return
    except gzip.BadGzipFile as error:
        if "Not a gzipped file" not in str(error):
            raise


def quote(text: str) -> str:
    """A header's words for a message: on one line, and no more than a few."""
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")


@contextmanager
def open_beside(file: Path | None, name: str, path: str) -> Iterator[BinaryIO]:
    """Open the file of voxels that a header names: in the header's own folder, and nowhere else.

    Args:
        file: the header, where it lies on disk.
        name: of the voxels' file, as the header gives it.
        path: how the caller named the header.

    Raises:
        InputError: the name leads elsewhere, or nothing is there.
    """
    plain, quoted = name.removeprefix("./"), quote(name)
    if not plain or any(mark in plain for mark in "/\\:") or plain in (".", ".."):
        raise InputError(path, f"keeps its voxels outside of its folder ({quoted})", _ELSEWHERE)
    if file is None:
        raise InputError(path, f"keeps its voxels in another file ({quoted})", "name it on disk")
    with ExitStack() as opened:
        try:
            stream = opened.enter_context(open_file(file.with_name(plain), path))
        except InputError as error:
            reason = f"keeps its voxels in {quote(plain)} beside it: {error.reason}"
            raise InputError(path, reason, "put both into one folder") from error
        yield stream
