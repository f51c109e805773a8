"""`Deposit`: a folder of files that somebody hands in, within limits."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tumorlens.errors import InputError, UsageError
from tumorlens.imaging.files.access import Opener, is_inside
from tumorlens.imaging.files.contents import HEAD_BYTES, sniff
from tumorlens.imaging.files.limits import DEFAULT_LIMITS, Limits, OverLimit
from tumorlens.imaging.files.sources import is_hidden
from tumorlens.imaging.files.stored_files import StoredFile

__all__ = ["DEFAULT_UPLOAD", "Deposit", "NotKept", "UploadLimits"]

_LONGEST = 200  # characters of one part of a name
_DEEPEST = 24  # folders in a name


class NotKept(InputError):
    """A file for which the disk has no room: no fault of its sender."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Ceilings for what is handed in at once.

    Attributes:
        bytes_per_file: of one file.
        bytes_in_all: of all files together, and of what an archive unpacks to.
        files: how many, those in archives counted.
    """

    bytes_per_file: int = 4 * 1024**3
    bytes_in_all: int = 16 * 1024**3
    files: int = 50_000

    def __post_init__(self) -> None:
        if min(self.bytes_per_file, self.bytes_in_all, self.files) < 1:
            raise UsageError(f"limits count from 1, got {self}")


DEFAULT_UPLOAD = UploadLimits()


@dataclass(slots=True)
class Deposit:
    """A temporary folder that takes files one by one, and goes away when it is told to.

    Attributes:
        limits: for all files together.
        reading: what reading one file may cost; bounds the list of an archive's members.
        parent: where the folder is made; None: where the system has such folders.
        folder: of all that belongs to the deposit.
        size: bytes that were taken.
        names: of the files that were taken, relative and with slashes.
    """

    limits: UploadLimits = DEFAULT_UPLOAD
    reading: Limits = DEFAULT_LIMITS
    parent: Path | None = None
    folder: Path = field(init=False)
    size: int = field(init=False, default=0)
    names: list[str] = field(init=False, default_factory=list)
    _members: int = field(init=False, default=0)
    _unpacked: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="tumorlens-", dir=self.parent))
            self.files.mkdir()
        except OSError as error:
            raise _not_kept("what is handed in", error) from error

    @property
    def files(self) -> Path:
        """The folder of the files that were handed in, under their own names."""
        return self.folder / "files"

    @property
    def paths(self) -> tuple[str, ...]:
        """What to judge: the folder, or the only file, so that its header is read once.

        A hidden folder in which all files lie was named by their sender, so it is named here, too.
        """
        if len(self.names) == 1:
            return (str(self.files.joinpath(*_split(self.names[0]))),)
        tops = {_split(name)[0] for name in self.names}
        top = tops.pop() if len(tops) == 1 else ""
        return (str(self.files / top if is_hidden(top) else self.files),)

    def open(self, name: str) -> Intake:
        """Begin to take a file.

        Args:
            name: as the sender names it; may lie in folders, with slashes between.

        Raises:
            InputError: the name leads out of the folder or is taken.
            OverLimit: there are too many files.
        """
        path = self.files.joinpath(*_split(name))
        if len(self.names) + self._members >= self.limits.files:
            raise OverLimit(name, f"more than {self.limits.files:,} files", "hand in fewer at once")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return Intake(self, name, path)
        except FileExistsError:
            raise InputError(name, "was handed in twice", "give each file its own name") from None
        except OSError as error:
            raise _not_kept(name, error) from error

    def take(self, name: str, chunks: Iterable[bytes]) -> Path:
        """Take a whole file.

        Raises:
            InputError: as `open` and `Intake.write`; nothing of the file is kept then.
        """
        with self.open(name) as intake:
            for chunk in chunks:
                intake.write(chunk)
        return intake.path

    def close(self) -> None:
        """Remove the folder, with all that was made of the files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _check_archive(self, name: str, path: Path) -> None:
        """Refuse an archive that would unpack to more than may be handed in.

        A member may hold more than it says: its reader holds it to `imaging.files.limits`.
        """
        with path.open("rb") as stream:
            if sniff(stream.read(HEAD_BYTES)) != "zip":
                return
        try:
            with Opener(self.reading) as opener:
                stated = opener.measure_members(StoredFile(name, path))
        except InputError:
            return  # its reader reports the fault
        self._members += len(stated)
        self._unpacked += sum(stated)
        if self._members + len(self.names) > self.limits.files:
            raise OverLimit(
                name, f"holds {len(stated):,} files, and {self.limits.files:,} are allowed"
            )
        if self._unpacked > self.limits.bytes_in_all:
            raise OverLimit(
                name,
                f"unpacks to {sum(stated) / 1024**2:,.0f} MiB, and "
                f"{self.limits.bytes_in_all / 1024**2:,.0f} MiB are allowed",
            )


class Intake:
    """One file that is being handed in: a context manager that keeps it whole or not at all.

    Attributes:
        path: where it will lie.
    """

    def __init__(self, deposit: Deposit, name: str, path: Path) -> None:
        self.path = path
        self._deposit, self._name, self._size = deposit, name, 0
        self._stream = path.open("xb")

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            OverLimit: they are too many.
            InputError: the disk is full.
        """
        limits = self._deposit.limits
        self._size += len(chunk)
        for size, most in (
            (self._size, limits.bytes_per_file),
            (self._size + self._deposit.size, limits.bytes_in_all),
        ):
            if size > most:
                raise OverLimit(
                    self._name,
                    f"more than {most / 1024**2:,.0f} MiB",
                    "hand in less at once",
                )
        try:
            self._stream.write(chunk)
        except OSError as error:
            raise _not_kept(self._name, error) from error

    def __enter__(self) -> Intake:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._stream.close()
            if kind is None:
                self._deposit._check_archive(self._name, self.path)
                self._deposit.size += self._size
                self._deposit.names.append(self._name)
                return
        except OSError as error:
            self.path.unlink(missing_ok=True)
            raise _not_kept(self._name, error) from error
        except InputError:
            self.path.unlink(missing_ok=True)
            raise
        self.path.unlink(missing_ok=True)


def _split(name: str) -> tuple[str, ...]:
    """Parts of a name that leads out of no folder on any system."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    sound = all(part.strip(". ") and part.isprintable() and len(part) <= _LONGEST for part in parts)
    if not (parts and is_inside(name) and sound and len(parts) <= _DEEPEST):
        raise InputError(name or "''", "is no possible name of a file here", "rename the file")
    return parts


def _not_kept(name: str, error: OSError) -> NotKept:
    return NotKept(name, f"cannot be kept ({error.strerror})", "make room on the disk")
