"""The folder of a watch: the queue, and the files of studies that are on their way.

Only its owner can read it, because it holds scans. What was sent is removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tumorlens.errors import UsageError
from tumorlens.integration.pacs.study_queue import QueuedStudy

__all__ = ["Spool", "name_image", "save_whole"]


@dataclass(frozen=True, slots=True)
class Spool:
    """Where the files of studies lie.

    Attributes:
        folder: of the watch; made if it is not there.

    Raises:
        UsageError: it cannot be made.
    """

    folder: Path

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.incoming.mkdir(exist_ok=True, mode=0o700)
            (self.folder / "studies").mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise UsageError(
                f"{self.folder}: no folder can be made there ({error.strerror}); name another one "
                "with `queue=`"
            ) from error

    @property
    def database(self) -> Path:
        """The file of the queue."""
        return self.folder / "queue.sqlite"

    @property
    def incoming(self) -> Path:
        """What is received before its study is complete: a folder a study."""
        return self.folder / "incoming"

    def find(self, study: QueuedStudy) -> Path:
        """The folder of a study."""
        return self.folder / "studies" / study.key

    def find_images(self, study: QueuedStudy) -> Path:
        """Its images."""
        return self.find(study) / "images"

    def find_objects(self, study: QueuedStudy) -> Path:
        """The objects that were made of it."""
        return self.find(study) / "objects"

    def drop(self, study: QueuedStudy) -> None:
        """Remove all files of a study."""
        shutil.rmtree(self.find(study), ignore_errors=True)

    @contextmanager
    def fill(self, target: Path) -> Iterator[Path]:
        """Give an empty folder, which becomes ``target`` if the block ends well."""
        partial = target.with_name(f"{target.name}.partial")
        for old in (partial, target):
            shutil.rmtree(old, ignore_errors=True)
        try:
            partial.mkdir(parents=True, mode=0o700)
            yield partial
            for path in partial.iterdir():
                _sync(path)
            _sync(partial)
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)  # on a full disk the queue needs the room
            raise
        _sync(target.parent)


def name_image(instance: str) -> str:
    """The file of an image: told by its UID, which cannot be read from it."""
    return f"{sha256(instance.encode()).hexdigest()[:24]}.dcm"


def save_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is whole, or not there, also after a loss of power."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)  # a full disk has no room for it
        raise
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk, where the system can do that."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
