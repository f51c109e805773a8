"""Files opened for reading: those that come to an end."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO, TextIO, cast

__all__ = ["IrregularFile", "open_regular", "open_table", "read_text"]


class IrregularFile(OSError):
    """A pipe, a socket, a device or a folder, where a file was expected."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "is no regular file")


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; nothing else, which might block for ever or never end.

    Raises:
        IrregularFile: it is no regular file.
        OSError: as `open` raises it, or the file's first byte cannot be read.
        ValueError: no file can have this name.
    """
    _check(os.stat(path))  # noqa: PTH116 - opening some devices changes their state
    stream = cast(BinaryIO, open(path, "rb", opener=_open_at_once))  # noqa: SIM115
    try:
        status = os.fstat(stream.fileno())
        _check(status)  # another file may have the name by now
        # Files of /proc and /sys state no size, whatever they hold; some have nothing to give yet.
        empty = not status.st_size and not stream.peek(1)  # type: ignore[attr-defined]
    except BaseException:
        stream.close()
        raise
    if empty:
        stream.close()
        return io.BytesIO()
    return stream


def open_table(path: Path) -> TextIO:
    """Open a regular file of UTF-8, with or without a byte order mark, for `csv.reader`.

    Raises:
        OSError, ValueError: as `open_regular`.
    """
    return io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="")


def read_text(path: Path) -> str:
    """The text of a regular file of UTF-8.

    Raises:
        OSError, ValueError: as `open_regular`; a ValueError too if it is no UTF-8.
    """
    with open_regular(path) as stream:
        return stream.read().decode()


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise IrregularFile


def _open_at_once(name: str, flags: int) -> int:
    """A pipe that took the file's place does not block the open; files know no such flag."""
    return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
