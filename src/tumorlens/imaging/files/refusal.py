"""The border to the decoding libraries: here their errors become `InputError`, warnings notes."""

from __future__ import annotations

import errno
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeGuard, TypeVar

from tumorlens.errors import InputError

__all__ = ["listen", "read_silently", "refuse", "silence", "tell", "unread"]

Item = TypeVar("Item")


_LONGEST_REASON = 160
_BAD_PLACE = (None, errno.EINVAL, errno.EOVERFLOW)
"""Numbers of an `OSError` that a decoder raises for damaged bytes; the disk raises others."""
_COMPLAINTS = (
    (
        r"using (?:implicit|explicit) VR",
        "the encoding is not the one that the file states: read by what its data look like",
    ),
    (r"[Ee]nd of file", "the data end inside a value: the rest is missing"),
    (
        r"larger than the given",
        "more frames in the pixel data than the header states: the rest was left out",
    ),
    (r"Number of Frames", "an invalid number of frames was read as 1"),
    (
        r"character set|Character Set|encoding|byte string",
        "text is not in the stated character set: some letters may be wrong",
    ),
    (r"setting VR to 'UN'|Setting VR to 'UN'", "values of an unknown type were not read"),
    (
        r"excess padding|trailing bytes",
        "more pixel data than the frames need: the rest was left out",
    ),
    (
        r"image's codestream",
        "the compressed image names other colors than the header: read as the image says",
    ),
    (r"VR(?: of)?:? '?([A-Z]{2})\b", "an invalid value (type {}) was kept as it is"),
)
"""Pattern in a warning of pydicom -> our note. The note names no value of the file."""

_heard = threading.local()
_lock = threading.Lock()
_state: list[AbstractContextManager[object]] = []
_depth = 0


@contextmanager
def silence() -> Iterator[None]:
    """Keep the warnings of decoding libraries from the user.

    ``warnings.catch_warnings`` changes a global list and puts the old one back; overlapping
    threads would leave it changed for ever. So the first thread enters it and the last one leaves.
    """
    _enter_silence()
    try:
        yield
    finally:
        _leave_silence()


@contextmanager
def listen() -> Iterator[list[str]]:
    """Notes on values that are invalid, or that were read in another way than the file states.

    They are made from pydicom's warnings. Those name the value itself, such as a patient's name.
    """
    before, notes = getattr(_heard, "notes", None), list[str]()
    _heard.notes = notes
    try:
        with silence():
            yield notes
    finally:
        _heard.notes = before


def _hear(message: Warning | str, *_: Any, **__: Any) -> None:
    """Take a warning in the place of ``warnings.showwarning``: nothing is printed."""
    if getattr(_heard, "notes", None) is not None and (note := _word_complaint(str(message))):
        tell(note)


def tell(note: str) -> None:
    """Add a note on what this thread reads, once, if `listen` is active."""
    notes: list[str] | None = getattr(_heard, "notes", None)
    if notes is not None and note not in notes:
        notes.append(note)


def _word_complaint(message: str) -> str | None:
    for pattern, note in _COMPLAINTS:
        if found := re.search(pattern, message):
            return note.format(*found.groups())
    return None


def read_silently(items: Iterator[Item]) -> Iterator[Item]:
    """The items, each one read without warnings: headers are parsed when a value is asked for.

    A warning of pydicom names the value, which may be a patient's name.
    """
    missing = object()
    while True:
        _enter_silence()
        try:
            item = next(items, missing)
        finally:
            _leave_silence()
        if item is missing:
            return
        yield item  # type: ignore[misc]  # no longer `missing`


@contextmanager
def refuse(path: str, what: str, advice: str = "") -> Iterator[None]:
    """Turn any error of a decoding library into an `InputError`, and keep its warnings silent.

    Args:
        path: the file as the caller named it.
        what: what could not be done, in a phrase; the library's own reason follows it.
        advice: the next step.
    """
    _enter_silence()
    try:
        yield
    except (InputError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # decoders meet hostile bytes: any type can come out of them,
        # and a panic of one in Rust is no Exception.
        if _comes_from_disk(error):
            raise unread(path, error) from error
        # Names of a damaged file may stand in both parts: one line, and not too long.
        raise InputError(path, f"{_shorten(what)} ({_reason(error)})", advice) from error
    finally:
        _leave_silence()


def _comes_from_disk(error: BaseException) -> TypeGuard[OSError]:
    """Whether the system failed to read the file, whatever its bytes are."""
    return isinstance(error, OSError) and error.errno not in _BAD_PLACE


def unread(path: str, error: OSError) -> InputError:
    """The error for a file whose bytes the system could not give."""
    reason = error.strerror or type(error).__name__
    return InputError(
        path,
        f"cannot be read ({reason})",
        "copy it again, or check the disc, the drive or the network",
    )


def _enter_silence() -> None:
    global _depth  # noqa: PLW0603
    with _lock:
        _depth += 1
        if _depth == 1:
            caught = warnings.catch_warnings()
            caught.__enter__()
            warnings.simplefilter("always")
            warnings.showwarning = _hear
            _state.append(caught)


def _leave_silence() -> None:
    global _depth  # noqa: PLW0603
    with _lock:
        _depth -= 1
        if _depth == 0:
            _state.pop().__exit__(None, None, None)


def _reason(error: BaseException) -> str:
    """The library's own words, on one line."""
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return _shorten(str(error)) or type(error).__name__


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"
