"""Results on their way to an object store: each is stored whole, and only when it has changed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

from tumorlens.errors import UsageError
from tumorlens.progress import Notice, stay_silent
from tumorlens.remote.stores import Store
from tumorlens.writing import partial_path

__all__ = ["ENDINGS", "Results"]

_SECONDS = 30.0
"""Between two times that unfinished records are stored: so much of a killed run may be lost."""

_AT_ONCE = 16  # files of a folder that are stored
_SHARE = 20
"""The pause is at least so many times as long as storing took: at most 5 % of a run."""

ENDINGS = (".partial", ".shard.json", "")
"""Of records: unfinished, the note of a shard, and finished, in the order in which they are stored.
"""

Stamp = tuple[int, int]
"""Time of the last change and bytes of a file."""


@dataclass(frozen=True, slots=True)
class _Result:
    store: Store
    place: str
    file: Path
    folder: bool
    records: bool


class Results:
    """The results of a run that go to a store.

    ``FILE.partial`` with the finished records is stored now and then, as an object of that name,
    and removed when ``FILE`` is there.

    Args:
        notice: takes sentences for a person.
    """

    def __init__(self, notice: Notice = stay_silent) -> None:
        self._notice = notice
        self._results: list[_Result] = []
        self._stored: dict[Path, Stamp] = {}
        self._claimed: set[Path] = set()
        self._due = monotonic() + _SECONDS

    def add(
        self, store: Store, place: str, file: Path, *, folder: bool = False, records: bool = False
    ) -> None:
        """A result that will be written to ``file``.

        Raises:
            UsageError: an object has the name of its folder.
        """
        try:
            (file if folder else file.parent).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(
                f"{store.name(place)}: an object has this name, or that of the folder; choose "
                "another place for the result"
            ) from error
        self._results.append(_Result(store, place, file, folder, records))

    def claim(self) -> None:
        """Write an empty ``FILE.partial`` where there is none, to learn whether that is allowed.

        Raises:
            UsageError: it is not.
        """
        for result in self._results:
            unfinished = partial_path(result.file)
            if result.records and unfinished not in self._stored:
                result.store.clear(f"{result.place}.partial")
                self._claimed.add(unfinished)

    def owns(self, file: Path) -> bool:
        """Whether a file is a result of this run, and not one of its inputs."""
        return any(
            not one.folder and file.parent == one.file.parent and file.name in _names(one)
            for one in self._results
        )

    def know(self, file: Path, copy: Path) -> None:
        """A file is going to be this copy, which is as it is in the store."""
        self._stored[file] = _stamp(copy)

    def knows(self, file: Path) -> bool:
        """Whether a file is still as it is in its store."""
        return file.is_file() and self._stored.get(file) == _stamp(file)

    def keep_up(self) -> None:
        """Store what is finished so far, if the last time is long enough ago.

        A store that cannot be reached now may be reached later: it is told, and tried again.
        """
        if not self._results or monotonic() < self._due:
            return
        began = monotonic()
        try:
            self.store_all()
        except UsageError as error:
            self._notice(f"{error}. The run goes on, and tries again")
        ended = monotonic()
        self._due = ended + max(_SECONDS, _SHARE * (ended - began))

    def store_all(self, *, last: bool = False) -> None:
        """Store each file that has changed.

        Args:
            last: the run has ended, well or not.

        Raises:
            UsageError: one cannot be written.
        """
        for result in self._results:
            changed = [
                one for one in _list_files(result) if one[0].is_file() and not self.knows(one[0])
            ]
            with ThreadPoolExecutor(_AT_ONCE if result.folder else 1) as pool:
                for _ in pool.map(partial(self._store, result.store), changed):
                    pass  # raises the first fault
            if last and result.records:
                self._drop_partial(result)

    def _store(self, store: Store, changed: tuple[Path, str]) -> None:
        file, place = changed
        stamp = _stamp(file)
        store.store(file, place)
        self._stored[file] = stamp

    def _drop_partial(self, result: _Result) -> None:
        """``FILE.partial`` became ``FILE``, or never held anything."""
        unfinished = partial_path(result.file)
        if unfinished.exists() or unfinished not in {*self._stored, *self._claimed}:
            return
        place = f"{result.place}.partial"
        try:
            result.store.remove(place)
        except UsageError as error:
            self._notice(f"{error}; remove {result.store.name(place)} yourself")


def _list_files(result: _Result) -> Iterator[tuple[Path, str]]:
    """Files of a result and their places, in the order in which they are stored.

    The note of a shard says that it is complete before its records are there, as on a disk.
    """
    if result.folder:
        for file in sorted(result.file.rglob("*")):
            if file.is_file() and not file.name.endswith(".partial"):
                yield file, f"{result.place}/{file.relative_to(result.file).as_posix()}"
        return
    for ending in ENDINGS if result.records else ("",):
        yield result.file.with_name(result.file.name + ending), result.place + ending


def _names(result: _Result) -> tuple[str, ...]:
    return tuple(result.file.name + ending for ending in ENDINGS)


def _stamp(file: Path) -> Stamp:
    status = file.stat()
    return status.st_mtime_ns, status.st_size
