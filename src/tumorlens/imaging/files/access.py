"""Files are opened for reading: those on disk, and members of an archive."""

from __future__ import annotations

import errno
import io
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from tumorlens.errors import InputError
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.refusal import refuse, unread
from tumorlens.imaging.files.stored_files import StoredFile
from tumorlens.opening import IrregularFile, open_regular

__all__ = ["Opener", "is_file", "is_inside", "open_file"]

_BROKEN = "cannot be unpacked"
_ADVICE = "pack the archive anew"
_LINKED = "check where it leads; DataLad and git-annex fetch a file with git annex get"
_STEP = 2**20
_LONGEST_END = 22 + 2**16  # bytes of the record that ends an archive, with its comment
_ENTRY_GROWTH = 20
"""Memory of a list of members by its size in the file: an entry of 47 bytes or more takes 800."""


def is_file(path: Path) -> bool:
    """Whether a regular file is there and visible; `Path.is_file` raises if access is denied."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def open_file(path: Path, name: str) -> Iterator[BinaryIO]:
    """Open a regular file for reading.

    Args:
        path: the file.
        name: how the caller named it, for messages.

    Raises:
        InputError: it does not exist, may not be read, or is no regular file; or the disk fails
            while it is read.
    """
    try:
        stream = open_regular(path)
    except (OSError, ValueError) as error:
        raise _unopened(path, name, error) from error
    with stream:
        try:
            yield stream
        except OSError as error:
            if error.errno is None:  # a decoder raised it, not the system
                raise
            raise unread(name, error) from error


def _unopened(path: Path, name: str, error: OSError | ValueError) -> InputError:
    if isinstance(error, ValueError):  # a null byte in the name
        return InputError(name, f"is not a possible file name ({error})")
    if isinstance(error, IrregularFile):
        return InputError(name, "is no regular file", "give a file or a folder of files")
    if error.errno == errno.ENOENT and path.is_symlink():
        return InputError(name, "is a link to nothing", _LINKED)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return InputError(name, "no such file", "check the spelling and the folder")
    if error.errno in (errno.EACCES, errno.EPERM):
        return InputError(name, "no permission to read it", "change its access rights")
    return unread(name, error)


class Opener:
    """Opens parts one after another; an archive stays open while its members are asked for."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._files = ExitStack()
        self._archive: tuple[Path, zipfile.ZipFile] | None = None

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def open(self, part: StoredFile, *, ahead: bool = True) -> AbstractContextManager[BinaryIO]:
        """A seekable stream of the part's bytes.

        Args:
            part: a file, or a member of an archive.
            ahead: unpack a member before it is read, into at most a quarter of
                ``limits.memory_bytes``, since its reader needs memory, too. Else it is unpacked
                while it is read.

        Raises:
            InputError: it does not exist or may not be read; a member is encrypted, damaged or
                too large.
        """
        if part.member is None:
            return open_file(part.file, part.path)
        if ahead:
            return nullcontext(self._unpack(part, part.member))
        return self._open_member(part, part.member)

    def read_head(self, part: StoredFile, count: int) -> bytes:
        """The first ``count`` bytes of a member.

        Raises:
            InputError: it is encrypted or damaged.
        """
        with (
            self._open_member(part, part.member or "") as content,
            refuse(part.path, _BROKEN, _ADVICE),
        ):
            return content.read(count)

    def measure_members(self, part: StoredFile) -> list[int]:
        """Bytes that each member of an archive says it unpacks to.

        Raises:
            InputError: it is damaged.
        """
        with refuse(part.path, _BROKEN, _ADVICE):
            return [member.file_size for member in self._open_archive(part).infolist()]

    def list_members(self, part: StoredFile) -> list[str]:
        """Names of the files in an archive, each once: of two with one name the later one counts.

        Raises:
            InputError: it is damaged.
        """
        with refuse(part.path, _BROKEN, _ADVICE):
            names = self._open_archive(part).namelist()
        return [name for name in dict.fromkeys(names) if not name.endswith("/")]

    def _unpack(self, part: StoredFile, member: str) -> BinaryIO:
        largest, unpacked = self._limits.memory_bytes // 4, io.BytesIO()
        with self._open_member(part, member) as content, refuse(part.path, _BROKEN, _ADVICE):
            stated = self._open_archive(part).getinfo(member).file_size  # no more is unpacked
            if stated > largest:
                raise InputError(
                    part.path,
                    f"unpacks to {stated / 1024**2:,.0f} MiB, "
                    f"and {largest / 1024**2:,.0f} MiB are allowed",
                    "unpack the archive first, or raise Limits.memory_bytes",
                )
            shutil.copyfileobj(content, unpacked, _STEP)
        unpacked.seek(0)
        return unpacked

    @contextmanager
    def _open_member(self, part: StoredFile, member: str) -> Iterator[BinaryIO]:
        with refuse(part.path, _BROKEN, _ADVICE):
            archive = self._open_archive(part)
            if archive.getinfo(member).flag_bits & 1:
                raise InputError(part.path, "is encrypted", "unpack the archive first")
            content = archive.open(member)
        with content:
            yield cast(BinaryIO, content)

    def _open_archive(self, part: StoredFile) -> zipfile.ZipFile:
        if self._archive is None or self._archive[0] != part.file:
            self._files.close()
            stream = self._files.enter_context(open_file(part.file, part.path))
            self._limits.check_memory(part.path, _ENTRY_GROWTH * _measure_list(stream))
            self._archive = (part.file, self._files.enter_context(zipfile.ZipFile(stream)))
        return self._archive[1]


def _measure_list(stream: BinaryIO) -> int:
    """Bytes of an archive's list of members (APPNOTE.TXT, 4.3.16); none of it is read."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _LONGEST_END))
    end = stream.read()
    at = end.rfind(b"PK\5\6")
    stated = int.from_bytes(end[at + 12 : at + 16], "little") if at >= 0 else 0
    return min(stated, size)  # 4 GiB or more stand elsewhere; it fits into the file in any case


def is_inside(name: str) -> bool:
    """Whether a relative name stays in the folder it is relative to, on any system."""
    words = name.replace("\\", "/").split("/")
    return ".." not in words and words[0] != "" and ":" not in words[0]
