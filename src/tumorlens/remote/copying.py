"""Objects become files of a folder, whatever their keys are."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from uuid import uuid4

from tumorlens.errors import InputError, UsageError
from tumorlens.progress import Notice, stay_silent
from tumorlens.remote.addresses import spell_address
from tumorlens.remote.stores import Store, StoreError
from tumorlens.remote.uploads import Results

__all__ = ["Copies", "StoredObject"]

_AT_ONCE = 16  # objects that are fetched
_PACE = 10.0  # seconds between two lines
_FEW = 3  # addresses that a message names
_LONGEST = 255  # bytes of a part of a path, on nearly all disks
_ROOM = "make room, name fewer inputs, or let TMPDIR name a folder on a larger disk"
_NO_NAME = (
    "its key cannot be the name of a file (an empty part, '.', '..', or one that is too long)"
)
_NO_FOLDER = (
    "has the name of a folder of other objects, or lies below an object, and no disk can hold both"
)
_OTHER_KEY = "give the object another key"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object, as its store lists it.

    Attributes:
        store: in which it lies.
        place: ``BUCKET/KEY``.
        size: in bytes.
    """

    store: Store
    place: str
    size: int

    @property
    def address(self) -> str:
        """With its scheme."""
        return self.store.name(self.place)


class Copies:
    """A temporary folder with copies of objects. Nobody else may look into it.

    Args:
        results: what a run makes in the same folder; that is never fetched.
        notice: told how far fetching has come.

    Attributes:
        root: the folder; None before it is needed.
    """

    def __init__(self, results: Results, notice: Notice = stay_silent) -> None:
        self.root: Path | None = None
        self._results = results
        self._notice = notice
        self._copied: dict[Path, bool] = {}  # file -> whether it is whole

    def find_place(self, store: Store, place: str) -> Path:
        """The file of an object: below the folder, whatever its key.

        Raises:
            InputError: its key cannot be the name of a file.
        """
        words = place.rstrip("/").split("/")
        if not all(map(_is_name, words)):
            raise InputError(store.name(place), _NO_NAME, _OTHER_KEY)
        if self.root is None:
            self.root = Path(os.path.realpath(tempfile.mkdtemp(prefix="tumorlens-")))
        return self.root.joinpath(store.scheme, *words)

    def check_room(
        self, names: Iterable[str], objects: Collection[StoredObject], notice: Notice
    ) -> None:
        """Say what will be fetched.

        Args:
            names: the addresses that stand for the objects.
            objects: to fetch.
            notice: whom to tell.

        Raises:
            UsageError: the disk has no room for it.
        """
        assert self.root is not None
        needed, free = sum(one.size for one in objects), shutil.disk_usage(self.root).free
        named = _name_few([spell_address(name) for name in names])
        count = "1 object" if len(objects) == 1 else f"{len(objects):,} objects"
        if needed > free:
            raise UsageError(
                f"{named}: {count} of {_say_bytes(needed)} do not fit on the disk of "
                f"{self.root.parent}, which has {_say_bytes(free)} free; {_ROOM}"
            )
        notice(f"fetching {count} of {_say_bytes(needed)} from {named}")

    def copy_all(self, objects: Iterable[StoredObject], *, whole: bool) -> list[InputError]:
        """Copy objects that are not there; gives the faults of single ones, in their order.

        Raises:
            StoreError: the store gives no answer, so that no more can be copied.
            UsageError: the disk is full.
        """
        wanted = [one for one in objects if not self._has(one, whole=whole)]
        faults = dict(_find_clashes(wanted))
        pool, last = ThreadPoolExecutor(_AT_ONCE), monotonic()
        try:
            futures = {
                pool.submit(self.copy, one, whole=whole): number
                for number, one in enumerate(wanted)
                if number not in faults
            }
            for done, future in enumerate(as_completed(futures), start=1):
                try:
                    future.result()
                except StoreError:
                    raise
                except InputError as error:
                    faults[futures[future]] = error
                if monotonic() - last >= _PACE:
                    last = monotonic()
                    self._notice(f"fetched {done:,} of {len(wanted):,} objects")
        finally:
            pool.shutdown(cancel_futures=True)
        return [faults[number] for number in sorted(faults)]

    def copy(self, one: StoredObject, *, whole: bool) -> None:
        """Copy an object to its file; without ``whole`` its first bytes, which tell what it is.

        Raises:
            InputError: it cannot be read.
            UsageError: the disk is full.
        """
        file = self.find_place(one.store, one.place)
        assert self.root is not None
        begun = self.root / uuid4().hex  # half an object has no name, so no result can be half one
        try:
            _fill(begun, one, whole=whole)
            self._results.know(file, begun)
            file.parent.mkdir(parents=True, exist_ok=True)
            begun.replace(file)
        except BaseException as error:
            for left in (begun, file):
                with suppress(OSError):
                    left.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _explain(error, one, file) from error
            raise
        self._copied[file] = whole

    def drop_unchanged(self) -> None:
        """Remove what is in its store, and leave the results that are not."""
        for path in filter(self._results.knows, self._copied):
            with suppress(OSError):
                path.unlink()

    def _has(self, one: StoredObject, *, whole: bool) -> bool:
        """Whether an object is here, or is a result of the run, which is no input."""
        with suppress(InputError):
            file = self.find_place(one.store, one.place)
            if self._copied.get(file, False) or (whole and self._results.owns(file)):
                return True
            return file.is_file() and not self._results.knows(file)
        return False  # its copying reports the fault


def _fill(file: Path, one: StoredObject, *, whole: bool) -> None:
    if not whole:
        file.write_bytes(one.store.read_head(one.place) if one.size else b"")
        return
    one.store.fetch(one.place, file)
    if file.stat().st_size != one.size:
        raise InputError(one.address, "changed while it was fetched", "run it again")


def _explain(error: OSError, one: StoredObject, file: Path) -> InputError | UsageError:
    """Why an object cannot become a file."""
    if isinstance(error, (FileExistsError, IsADirectoryError, NotADirectoryError)):
        return InputError(one.address, _NO_FOLDER, _OTHER_KEY)
    return UsageError(
        f"{one.address}: cannot be kept on the disk of {file.anchor} ({error.strerror}); {_ROOM}"
    )


def _find_clashes(objects: Sequence[StoredObject]) -> Iterator[tuple[int, InputError]]:
    """Objects with the name of a folder of others."""
    folders = {
        "/".join(words[:count])
        for words in (one.place.split("/") for one in objects)
        for count in range(1, len(words))
    }
    for number, one in enumerate(objects):
        if one.place.rstrip("/") in folders:
            yield number, InputError(one.address, _NO_FOLDER, _OTHER_KEY)


def _is_name(word: str) -> bool:
    strange = {"/", "\0"} | ({"\\", ":"} if os.name == "nt" else set())
    too_long = len(word.encode(errors="surrogatepass")) > _LONGEST
    return word not in ("", ".", "..") and not strange & set(word) and not too_long


def _name_few(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + rest


def _say_bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
