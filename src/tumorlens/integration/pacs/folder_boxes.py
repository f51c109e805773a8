"""A watch over a folder, and answers into a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tumorlens.digits import say_count
from tumorlens.errors import UsageError
from tumorlens.integration.pacs.boxes import Unreachable
from tumorlens.integration.pacs.image_headers import (
    ImageHeader,
    SeriesFilter,
    make_arrival,
    read_image_header,
)
from tumorlens.integration.pacs.spool import name_image, save_whole
from tumorlens.integration.pacs.study_queue import Arrival, QueuedStudy, StudyQueue
from tumorlens.progress import Notice, stay_silent
from tumorlens.writing import make_folder

__all__ = ["FolderInbox", "FolderOutbox"]

_UNFINISHED = (".partial", ".part", ".tmp", ".filepart", ".crdownload")
"""Endings that programs give to files while they write them."""

Stamp = tuple[int, int, int]
"""Size, time of the last change, time of the last change of the name."""


@dataclass(slots=True)
class _Group:
    """The files of one study, as they were at the last look."""

    files: dict[Path, Stamp] = field(default_factory=dict)
    images: dict[str, Path] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)  # unchanged since then

    def arrive(self, study: str) -> Arrival:
        return make_arrival(study, self.images)


@dataclass(slots=True)
class FolderInbox:
    """Studies that are laid into a folder, at any depth. The folder itself is never changed.

    A study is complete when none of its files has come or changed for a while.

    Attributes:
        folder: that is looked at.
        wanted: the filters.
        pause: seconds without a change.
        notice: takes sentences for a person.
        keeps_images: no: they are in the folder.

    Raises:
        UsageError: there is no such folder.
    """

    folder: Path
    wanted: SeriesFilter
    pause: float = 10.0
    notice: Notice = stay_silent
    keeps_images: bool = False
    _headers: dict[Path, tuple[Stamp, ImageHeader | None]] = field(default_factory=dict)
    _groups: dict[str, _Group] = field(default_factory=dict)
    _sums: dict[tuple[Path, Stamp], str] = field(default_factory=dict)
    _told: int = 0

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder}: is no folder; make it, or name another one")

    def look(self, queue: StudyQueue) -> bool:
        """See `boxes.Inbox`."""
        arriving = self._group()
        for study, group in self._groups.items():
            if self._is_quiet(group):
                queue.receive(group.arrive(study), time.time())
            else:
                arriving = True
        return arriving

    def fetch(self, study: QueuedStudy, folder: Path) -> bool:
        """See `boxes.Inbox`."""
        if study.study not in self._groups:
            self._group()
        group = self._groups.get(study.study, _Group())
        if group.arrive(study.study).content != study.content:
            return False
        try:
            for instance, path in group.images.items():
                shutil.copyfile(path, folder / name_image(instance))
        except FileNotFoundError:
            return False
        return True

    def close(self) -> None:
        """See `boxes.Inbox`."""

    def _group(self) -> bool:
        """Sort all files by study; gives whether one is there that is not yet whole."""
        found = dict(self._list())
        self._headers = {path: one for path, one in self._headers.items() if path in found}
        self._sums = {key: one for key, one in self._sums.items() if key in found.items()}
        groups: dict[str, _Group] = {}
        foreign, growing = 0, False
        for path, stamp in sorted(found.items()):
            header = self._read(path, stamp)
            if header is None:
                growing = growing or self._is_young(stamp)
                foreign += 1
            elif not header.is_own:
                group = groups.setdefault(header.study, _Group())
                group.files[path] = stamp
                if self.wanted.passes(header):
                    name = self._name(header.instance, path, group.images)
                    group.images.setdefault(name, path)
        for study, before in self._groups.items():
            if study in groups and before.files == groups[study].files:
                groups[study] = before
        self._groups = groups
        self._tell_foreign(foreign if not growing else 0)
        return growing

    def _list(self) -> Iterator[tuple[Path, Stamp]]:
        def fail(error: OSError) -> None:
            raise Unreachable(f"{self.folder} cannot be read ({error.strerror})") from error

        for place, folders, names in os.walk(self.folder, onerror=fail):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                if name.startswith(".") or name.lower().endswith(_UNFINISHED):
                    continue
                path = Path(place, name)
                try:
                    state = path.stat()
                except OSError:  # removed in between, or a link to nothing
                    continue
                yield path, (state.st_size, state.st_mtime_ns, state.st_ctime_ns)

    def _read(self, path: Path, stamp: Stamp) -> ImageHeader | None:
        known = self._headers.get(path)
        if known is None or known[0] != stamp:
            known = stamp, read_image_header(path)
            self._headers[path] = known
        return known[1]

    def _name(self, instance: str, path: Path, known: Mapping[str, Path]) -> str:
        """Its UID; with a digest where another file of that UID differs, as of some anonymisers."""
        if instance not in known or self._sum(path) == self._sum(known[instance]):
            return instance
        return f"{instance} {self._sum(path)}"

    def _sum(self, path: Path) -> str:
        key = path, self._headers[path][0]
        if key not in self._sums:
            try:
                self._sums[key] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            except OSError:  # removed in between
                return ""
        return self._sums[key]

    def _is_young(self, stamp: Stamp) -> bool:
        age = time.time() - max(stamp[1:]) / 1e9
        return 0 <= age < self.pause

    def _is_quiet(self, group: _Group) -> bool:
        """Whether nothing changes any more, by the times of the files or by what was seen.

        The clock of a file server may be wrong, and a copy may bear the times of its original.
        """
        ages = [time.time() - max(stamp[1:]) / 1e9 for stamp in group.files.values()]
        return min(ages) >= self.pause or time.monotonic() - group.since >= self.pause

    def _tell_foreign(self, count: int) -> None:
        if count > self._told:
            files = say_count(count, "file is", "files are")
            self.notice(f"{self.folder}: {files} no DICOM that can be read: passed over")
            self._told = count


@dataclass(frozen=True, slots=True)
class FolderOutbox:
    """Answers into a folder, a folder a study: ``STUDY_INSTANCE_UID/NAME.dcm``.

    Attributes:
        folder: made if it is not there.

    Raises:
        UsageError: it cannot be made.
    """

    folder: Path

    def __post_init__(self) -> None:
        make_folder(self.folder)

    @property
    def name(self) -> str:
        """For the log."""
        return str(self.folder)

    def deliver(self, study: str, files: Mapping[str, Path]) -> Iterator[str]:
        """See `boxes.Outbox`."""
        place = self.folder / study
        for instance, path in files.items():
            kind = path.suffixes[-2] if len(path.suffixes) > 1 else ""
            target = place / f"{instance}{kind}.dcm"
            try:
                place.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    save_whole(target, path.read_bytes())
            except OSError as error:
                raise Unreachable(
                    f"{self.folder} cannot be written ({error.strerror or 'unknown reason'})"
                ) from error
            yield instance
