"""Decoding for the readers: each file in a process of its own, within limits.

Where no process can be started (a frozen program, one that embeds Python, a browser) the same
decoders run here, and the log says so once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError
from tumorlens.imaging.codecs.decoders import ADVICE, NEEDS, REASON, make_handler
from tumorlens.imaging.codecs.sandbox import Sandbox, Unavailable
from tumorlens.imaging.codecs.serving import FAILED, handle
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.refusal import refuse, tell

__all__ = ["ImageFile", "decode_frames", "describe_picture", "sandbox", "to_values"]

Values = npt.NDArray[Any]

sandbox = Sandbox("tumorlens.imaging.codecs.decoders")
"""Serves every reader of this process."""

_SMALL = 32 * 2**20
"""Bytes that decoding a picture may take before it is asked how many it takes: 2 megapixels."""
_BLOCK = 2**20
_PATIENCE, _BYTES_A_SECOND = 10.0, 32 * 2**20
"""Seconds for any work, and what slow decoders do in one second more: 2 megapixels."""
_BROKEN = "cannot be decoded"
_ADVICE = "save the picture again, or leave it out"
_log = logging.getLogger(__name__)
_said: set[str] = set()


class _Decoders(Protocol):
    def call(
        self,
        facts: Mapping[str, Any],
        size: int = 0,
        blocks: Iterable[bytes] = (),
        *,
        seconds: float,
        memory: int,
        largest: int,
    ) -> tuple[Mapping[str, Any], bytes | memoryview]: ...


class ImageFile:
    """A PNG, JPEG, TIFF, BMP or WebP file, page by page.

    Use it in a ``with`` block, and ask for nothing after an error. ``pages`` is known after the
    first page.

    Args:
        stream: the file.
        path: names it in errors.
        limits: what it may cost.
        count: whether its pages are counted before the first one is read.
    """

    def __init__(self, stream: BinaryIO, path: str, limits: Limits, *, count: bool) -> None:
        self._stream = stream
        self._path = path
        self._limits = limits
        self._count = count
        self._size = _measure(stream, path, limits)
        self._held = ExitStack()
        self._decoders: _Decoders | None = None
        self.pages = 0

    def __enter__(self) -> ImageFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def read(self, page: int) -> tuple[Values, tuple[str, ...]]:
        """Grey values (rows, columns) of a page, and notes.

        Raises:
            InputError: damaged, too small, too large, or there is no such page.
        """
        answer, data = self._ask(page, min(_SMALL, self._limits.memory_bytes - self._size))
        if NEEDS in answer:
            self._limits.check_slice(self._path, answer["rows"], answer["columns"])
            answer, data = self._ask(page, answer[NEEDS])
        self._limits.check_slice(self._path, *answer["grey"][:2])
        return to_values(answer["grey"], data)

    def _ask(self, page: int, allowed: int) -> tuple[Mapping[str, Any], bytes | memoryview]:
        last = not self._count or page + 1 == self.pages
        facts = {"work": "page", "page": page, "last": last, "allowed": allowed}
        with (
            self._limits.reserve(self._path, allowed + self._size),
            refuse(self._path, _BROKEN, _ADVICE),
        ):
            if self._decoders is None:
                self._decoders = self._held.enter_context(_open_decoders())
                facts = {**facts, "work": "picture", "count": self._count}
                self._stream.seek(0)
                content = self._size, _read_blocks(self._stream, self._size)
            else:
                content = 0, iter(())
            answer, data = self._decoders.call(facts, *content, **_costs(allowed + self._size))
        self.pages = answer.get("pages", self.pages)
        _check(answer, self._path)
        return answer, data


def to_values(grey: Sequence[Any], data: bytes | memoryview) -> tuple[Values, tuple[str, ...]]:
    """Grey values (rows, columns) and notes, of what `pillow.Grey` holds before its values."""
    rows, columns, dtype, white_is_zero, notes = grey
    values = np.frombuffer(data, dtype).reshape(rows, columns)
    if white_is_zero:
        values = -values if values.dtype.kind == "f" else np.iinfo(values.dtype).max - values
    return values, tuple(notes)


def decode_frames(
    codestreams: Sequence[bytes],
    syntax: str,
    options: Mapping[str, Any],
    needed: int,
    *,
    path: str,
    limits: Limits,
) -> Values:
    """Values of compressed frames of a DICOM object: of as many of the first as go well.

    Args:
        codestreams: the frames.
        syntax: Transfer Syntax UID.
        options: what the data set says of its pixels.
        needed: bytes that decoding one of them may take.
        path: names the file in errors.
        limits: the budget that they come from.

    Raises:
        InputError: it asks for too much.
        Exception: whatever the decoder raises on the first one.
    """
    lengths = [len(one) for one in codestreams]
    facts = {"work": "frames", "syntax": syntax, "options": dict(options), "lengths": lengths}
    needed = needed * len(lengths) + sum(lengths)
    with limits.reserve(path, needed), _open_decoders() as decoders:
        answer, data = decoders.call(facts, sum(lengths), codestreams, **_costs(needed))
    for note in answer["notes"]:
        tell(note)
    return np.frombuffer(data, answer["dtype"]).reshape(-1, *answer["shape"])


def describe_picture(stream: BinaryIO, path: str, limits: Limits) -> Mapping[str, Any]:
    """How a picture file stores its picture; see `pillow.DecodedImage.describe`.

    Raises:
        InputError: it is no picture.
    """
    size = _measure(stream, path, limits)
    with (
        limits.reserve(path, size + _SMALL),
        refuse(path, _BROKEN, _ADVICE),
        _open_decoders() as decoders,
    ):
        blocks = _read_blocks(stream, size)
        answer, _ = decoders.call({"work": "encoding"}, size, blocks, **_costs(size + _SMALL))
    _check(answer, path)
    return answer


class _Here:
    """The decoders in this very process."""

    def __init__(self) -> None:
        self._handler = make_handler()

    def call(
        self, facts: Mapping[str, Any], size: int = 0, blocks: Iterable[bytes] = (), **_: Any
    ) -> tuple[Mapping[str, Any], bytes | memoryview]:
        answer, data = handle(self._handler, facts, b"".join(blocks))
        if FAILED in answer:
            raise ValueError(answer[FAILED])
        return answer, data


def _open_decoders() -> AbstractContextManager[_Decoders]:
    try:
        return sandbox.hold()
    except Unavailable as error:
        _say_once(str(error))
        return nullcontext(_Here())


def _say_once(reason: str) -> None:
    if reason not in _said:
        _said.add(reason)
        _log.warning("pictures are decoded in this process; a damaged one may crash it: %s", reason)


def _costs(memory: int) -> dict[str, Any]:
    """Limits of one call: an answer holds less than decoding it takes."""
    return {
        "memory": memory,
        "seconds": _PATIENCE + memory / _BYTES_A_SECOND,
        "largest": memory,
    }


def _check(answer: Mapping[str, Any], path: str) -> None:
    if REASON in answer:
        raise InputError(path, answer[REASON], answer[ADVICE])


def _measure(stream: BinaryIO, path: str, limits: Limits) -> int:
    size = stream.seek(0, 2)
    stream.seek(0)
    limits.check_memory(path, size)
    return size


def _read_blocks(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (block := stream.read(min(size, _BLOCK))):
        size -= len(block)
        yield block
