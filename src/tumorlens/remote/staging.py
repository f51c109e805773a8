"""Staging: inputs of an object store as files of this machine, and results on their way back.

The staging folder is a temporary one, ``…/s3/BUCKET/KEY``. Inputs and results lie in one tree, so
that what protects one from the other on a disk does so here. Whoever speaks of a file in it names
its address (`Staging.show`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import url2pathname

from tumorlens.errors import InputError, MissingExtra, TumorlensError, UsageError
from tumorlens.progress import Notice, stay_silent
from tumorlens.remote.addresses import (
    SCHEMES,
    hide_secrets,
    is_address,
    scheme_of,
    spell_address,
)
from tumorlens.remote.copying import Copies, StoredObject
from tumorlens.remote.file_addresses import drop_host
from tumorlens.remote.stores import Store, StoreError
from tumorlens.remote.uploads import ENDINGS, Results

__all__ = ["Staging", "open_staging"]


class Staging:
    """Files of this machine in the place of addresses; see `open_staging`.

    Args:
        notice: told how far fetching has come.

    Attributes:
        faults: objects below a folder that could not be fetched; each is an input that failed.
        results: what goes back.
    """

    def __init__(self, notice: Notice = stay_silent) -> None:
        self.notice = notice
        self.faults: list[InputError] = []
        self.results = Results(notice)
        self._stores: dict[str, Store] = {}
        self._copies = Copies(self.results, notice)

    def place(self, name: str | os.PathLike[str]) -> str:
        """The file of this machine that an address stands for; any other name as it is.

        Raises:
            UsageError: no such address can be; nothing of a password is told.
            MissingExtra: the library of its store is not installed.
        """
        name = os.fspath(name)
        if not is_address(name):
            return name
        if scheme_of(name) == "file":
            return _find_file(name)
        store, place = self._open(name)
        return str(self._copies.find_place(store, place))

    def expect(
        self, result: Path | None, *, records: bool = False, resume: bool = False
    ) -> Path | None:
        """The file of this machine in which a result is made; its own if it is no address.

        If the store has the result already, the file is there, too, but for its content: only a run
        that goes on needs that.

        Args:
            result: as the caller named it.
            records: it has ``FILE.partial`` and ``FILE.shard.json`` beside it.
            resume: fetch what is there.

        Raises:
            InputError, UsageError: the store says no.
        """
        if result is None or scheme_of(str(result)) not in SCHEMES:
            return None if result is None else Path(self.place(result))
        store, place = self._open(str(result))
        if store.is_folder(place):
            raise UsageError(f"{store.name(place)}: is a folder; name a file")
        file = self._copies.find_place(store, place)
        endings = ENDINGS if records else ("",)
        for name in (place + ending for ending in endings):
            size = store.measure(name)
            if size is not None:
                self._copies.copy(StoredObject(store, name, size), whole=resume and records)
        self.results.add(store, place, file, records=records)
        return file

    def expect_folder(self, folder: Path | None) -> Path | None:
        """As `expect`, for a folder of results: what is in it must not be replaced unseen."""
        if folder is None or scheme_of(str(folder)) not in SCHEMES:
            return None if folder is None else Path(self.place(folder))
        store, place = self._open(str(folder))
        place = place.rstrip("/")
        file = self._copies.find_place(store, place)
        objects = [StoredObject(store, *one) for one in store.list_below(place).items()]
        for fault in self._copies.copy_all(objects, whole=False):
            raise fault
        self.results.add(store, place, file, folder=True)
        return file

    def fetch(self, names: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
        """Fetch all that some addresses stand for; gives the files and folders in their place.

        Raises:
            InputError: an address leads to nothing, or cannot be read. Nothing is fetched then.
            UsageError: the disk has no room for it.
        """
        return self._fetch(names, self.notice)

    def _fetch(self, names: Iterable[str | os.PathLike[str]], notice: Notice) -> tuple[str, ...]:
        listed = tuple(os.fspath(name) for name in names)
        files = tuple(self.place(name) for name in listed)
        objects: dict[str, StoredObject] = {}
        for name in listed:
            if scheme_of(name) in SCHEMES:
                store, place = self._open(name)
                found = store.find(place).items()
                objects |= {store.name(one): StoredObject(store, one, size) for one, size in found}
        if objects:
            named = [name for name in listed if scheme_of(name) in SCHEMES]
            self._copies.check_room(named, objects.values(), notice)
            self.faults += self._copies.copy_all(objects.values(), whole=True)
        return files

    def fetch_whole(self, names: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
        """As `fetch`, for data that must have no gap.

        Raises:
            InputError, UsageError: also where one object of a folder cannot be fetched.
        """
        files = self.fetch(names)
        for fault in self.take_faults():
            raise fault
        return files

    def fetch_each(self, names: Iterable[str | os.PathLike[str]]) -> Iterator[str]:
        """As `fetch`, one by one as they are named; one that cannot be read is a fault.

        Raises:
            StoreError: the store gives no answer, so that the names to come are no faults.
            UsageError: as `fetch` raises it.
        """
        for name in names:
            try:
                yield from self._fetch([name], stay_silent)
            except StoreError:
                raise
            except InputError as error:
                self.faults.append(error)

    def fetch_records(self, names: Iterable[str | os.PathLike[str]]) -> list[Path]:
        """Files of records, each with ``FILE.partial`` and ``FILE.shard.json`` as far as they are.

        Args:
            names: files, addresses, and patterns of addresses.

        Raises:
            InputError, UsageError: an address cannot be read; a pattern leads to nothing.
        """
        files, objects = [], []
        for name in (os.fspath(one) for one in names):
            if scheme_of(name) not in SCHEMES:
                files.append(Path(self.place(name)))
                continue
            store, given = self._open(name)
            for place in store.match(given):
                files.append(self._copies.find_place(store, place))
                for one in (place + ending for ending in ENDINGS):
                    size = store.measure(one)
                    objects += [] if size is None else [StoredObject(store, one, size)]
        for fault in self._copies.copy_all(objects, whole=True):
            raise fault
        return files

    def take_faults(self) -> Iterator[InputError]:
        """The faults that nobody has taken yet."""
        while self.faults:
            yield self.faults.pop(0)

    @property
    def is_used(self) -> bool:
        """Whether any address of a store was named."""
        return self._copies.root is not None

    def holds(self, files: Iterable[str]) -> bool:
        """Whether any of some files is a staged one."""
        root = self._copies.root
        return root is not None and any(root in Path(file).parents for file in files)

    def follow(self, advance: Callable[[int], None]) -> Callable[[int], None]:
        """What tells ``advance`` of progress, and stores finished results now and then."""

        def go_on(count: int) -> None:
            advance(count)
            self.results.keep_up()

        return go_on if self.is_used else advance

    def show(self, text: str) -> str:
        """A text in which addresses stand in the place of staged files."""
        if self._copies.root is None or str(self._copies.root) not in text:
            return text
        for scheme in self._stores:
            text = text.replace(f"{self._copies.root / scheme}{os.sep}", f"{scheme}://")
        return text

    def show_error(self, error: TumorlensError) -> TumorlensError:
        """The same error, of addresses."""
        if self._copies.root is None or isinstance(error, MissingExtra):
            return error
        if isinstance(error, InputError):
            return type(error)(*map(self.show, (error.path, error.reason, error.advice)))
        return type(error)(self.show(str(error)))

    def close(self, *, failed: bool = False) -> None:
        """Store the results that are left, and remove the folder.

        Raises:
            UsageError: a result cannot be written. It is kept here, and the message says where.
        """
        try:
            self.results.store_all(last=True)
        except UsageError as error:
            self._copies.drop_unchanged()
            left = f"{error}. What was not stored is kept in {self._copies.root}"
            if not failed:
                raise UsageError(left) from error
            self.notice(left)
        except BaseException:
            self._copies.drop_unchanged()
            self.notice(f"what was not stored is kept in {self._copies.root}")
            raise
        else:
            if self._copies.root is not None:
                shutil.rmtree(self._copies.root, ignore_errors=True)

    def _open(self, name: str) -> tuple[Store, str]:
        """The store of an address, and the place in it.

        Raises:
            UsageError: there can be no such address.
        """
        spelled = spell_address(name)
        shown, scheme = hide_secrets(spelled), scheme_of(name)
        if shown != spelled:
            raise UsageError(
                f"{shown}: holds a password or a signature; leave it out, and give the store its "
                "credentials by its own means (AWS_PROFILE, AWS_ACCESS_KEY_ID, `gcloud auth`)"
            )
        if scheme not in SCHEMES:
            known = ", ".join(f"{one}://" for one in SCHEMES)
            raise UsageError(
                f"{shown}: {scheme}:// is not read or written; {known} and file:// are, so copy "
                "the files there or to this machine"
            )
        place = spelled.partition("://")[2]
        if not place.strip("/"):
            raise UsageError(f"{shown}: names no bucket; expected {scheme}://BUCKET/FOLDER")
        if scheme not in self._stores:
            self._stores[scheme] = Store(scheme)
        return self._stores[scheme], place


@contextmanager
def open_staging(notice: Notice | None = None) -> Iterator[Staging]:
    """The staging of one run. It costs nothing where no address is named.

    At the end results are stored, also those of a run that broke, and the folder is removed.
    An error inside of the block names addresses when it leaves it.
    """
    staging = Staging(notice or stay_silent)
    try:
        yield staging
    except TumorlensError as error:
        staging.close(failed=True)
        shown = staging.show_error(error)
        if shown is error:
            raise
        raise shown from error
    except BaseException:
        staging.close(failed=True)
        raise
    staging.close()


def _find_file(name: str) -> str:
    """The file of a ``file://`` address (RFC 8089).

    ``#`` and ``?`` stand for themselves: without what follows they would name another file.

    Raises:
        UsageError: it is of another machine.
    """
    path = drop_host(name).partition(":")[2]
    return url2pathname(path.removeprefix("//"))
