"""Result files that are either whole or not there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from tumorlens.errors import UsageError
from tumorlens.remote.addresses import hide_secrets, is_address, spell_address

__all__ = [
    "PARTIAL",
    "WORKBOOKS",
    "cannot_write",
    "check_page_name",
    "check_results",
    "check_writable",
    "end_as_interrupted",
    "follow_link",
    "hold_interrupts",
    "lock_file",
    "make_folder",
    "may_write",
    "name_place",
    "open_when_done",
    "partial_path",
    "replace_when_done",
    "write_text",
]

WORKBOOKS = (".xlsx", ".xls", ".ods", ".parquet", ".feather")
"""Endings of tables that are no text, and so no result of ours."""


PARTIAL = ".partial"
"""Ending of a result that is being written, or that a broken run has left."""


def follow_link(path: Path) -> Path:
    """The file that a result goes to: where a symbolic link leads, or ``path`` itself."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def partial_path(path: Path) -> Path:
    """``FILE.partial``, beside the file that a result goes to."""
    place = follow_link(path)
    return place.with_name(place.name + PARTIAL)


def check_writable(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a result file that exists, or whose folder does not, before any work is done.

    A device, a pipe or a socket is refused whatever ``overwrite`` says.

    Raises:
        UsageError: names the file and what to do.
    """
    if is_address(str(path)):
        raise UsageError(
            f"{hide_secrets(spell_address(str(path)))}: this result goes to a file of this "
            "machine; name one, and copy it there afterwards"
        )
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file")
    if path.suffix.lower() in WORKBOOKS:
        raise UsageError(
            f"{path}: results are written as text, and {path.suffix} is another kind of file; name "
            "a table .csv"
        )
    for place in (path, partial_path(path)):
        # A device would be replaced by the result, and a pipe blocks whoever opens it.
        if place.exists() and not place.is_file():
            raise UsageError(
                f"{place}: is no regular file; name a file, or redirect standard output to it"
            )
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists already; choose another name or give `overwrite=True`")
    folder = follow_link(path).parent
    if not folder.absolute().is_dir():
        raise UsageError(f"{path}: its folder does not exist; create {folder} first")
    if not may_write(folder.absolute()):
        raise UsageError(
            f"{path}: its folder may not be written to; change its rights or choose another"
        )


def may_write(path: Path) -> bool:
    """Whether the rights allow it, which says nothing of room on the disk."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def check_page_name(path: Path) -> None:
    """Refuse a page for people under the name of another format, in which no program could open it.

    Raises:
        UsageError: names the file and what to do.
    """
    if path.suffix.lower() in (".pdf", ".docx"):
        raise UsageError(f"{path}: a page is HTML; name it .html (a browser prints it as PDF)")


def check_results(paths: Iterable[Path | None], *, overwrite: bool = False) -> None:
    """`check_writable` for each result file that is asked for; and no two are one file.

    Raises:
        UsageError: names the file and what to do.
    """
    known: set[str] = set()
    for path in filter(None, paths):
        place = os.path.realpath(path)
        if place in known:
            raise UsageError(f"{path}: is named for two results; give each a file of its own")
        known.add(place)
        check_writable(path, overwrite=overwrite)


@contextmanager
def replace_when_done(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a ``FILE.partial`` to write to; rename it to ``path`` if the block ends well.

    After an error the partial file is removed, and what stood at ``path`` stands there still. A
    symbolic link stays one: the file that it leads to is replaced.
    """
    check_writable(path, overwrite=overwrite)
    partial = partial_path(path)
    try:
        with name_place(path):
            yield partial
            partial.replace(follow_link(path))
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def open_when_done(path: Path, *, overwrite: bool = False) -> Iterator[IO[Any]]:
    """Like `replace_when_done`, opened for UTF-8 text."""
    with (
        replace_when_done(path, overwrite=overwrite) as partial,
        partial.open("w", encoding="utf-8", newline="") as stream,
    ):
        yield stream


def make_folder(folder: Path) -> None:
    """Make a folder of results, and those above it, where they are not there.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder}: no folder can be made there ({error.strerror}); choose another"
        ) from error


@contextmanager
def name_place(place: str | Path) -> Iterator[None]:
    """Tell a person where writing failed, and what to do.

    Raises:
        UsageError: for any `OSError` but that of a pipe that nobody reads any more.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write(place, error) from error


def cannot_write(place: str | Path, error: OSError) -> UsageError:
    """Where writing failed, why, and what to do."""
    reason = (
        error.strerror or type(error).__name__ if error.errno is None else os.strerror(error.errno)
    )
    return UsageError(f"{place}: cannot be written ({reason}); free space or choose another place")


def write_text(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with replace_when_done(path, overwrite=overwrite) as partial:
        partial.write_text(text, encoding="utf-8")


def lock_file(stream: IO[Any], *, wait: bool = False) -> bool:
    """Hold an open file for this process alone; false if another process holds it.

    It is free again when it is closed, or when the process ends. On Windows no file is held.

    Args:
        stream: the file, open for writing.
        wait: wait for another process that holds it.

    Raises:
        OSError: the disk, such as one of a network, knows no locks.
    """
    with suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
    return True


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Ctrl-C inside the block is raised at its end, so that a line is written whole.

    A second Ctrl-C is raised at once: the block may hang on a pipe that nobody reads.
    """
    held: list[int] = []

    def hold(number: int, _: object) -> None:
        if held:
            raise KeyboardInterrupt
        held.append(number)

    try:
        before = signal.signal(signal.SIGINT, hold)
    except ValueError:  # not in the main thread, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt


@contextmanager
def end_as_interrupted() -> Iterator[None]:
    """Let what ends the process end the block as Ctrl-C does, so that no copy of a scan is left.

    It is SIGTERM, which schedulers, containers and service managers send, or SIGHUP, the end of a
    terminal. A signal that is ignored, as with nohup, stays so.
    """
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {}
    with suppress(ValueError):  # not in the main thread, which alone gets signals
        for number in (getattr(signal, name) for name in names):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
