"""The helper process's side of a `Sandbox`: requests in, answers out, nothing else.

A message is two lengths, facts as JSON, and data. Neither side executes what the other sends.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from math import ceil
from typing import Any, BinaryIO

__all__ = ["FAILED", "MEMORY", "SECONDS", "Answer", "Handler", "handle", "receive", "send", "serve"]

Answer = tuple[Mapping[str, Any], "bytes | memoryview"]
Handler = Callable[[Mapping[str, Any], bytes], Answer]
"""Facts and data of a request in, those of the answer out. It may raise anything."""

MEMORY, SECONDS = "memory", "seconds"
"""Facts of a request: bytes, and seconds of a processor, that its handling may take."""
FAILED = "failed"
"""Fact of an answer: the words of what was raised."""

_HEAD = struct.Struct("<IQ")
_LARGEST_FACTS = 2**20
_SLACK = 256 * 2**20
"""Bytes beyond what a request may take: libraries that it loads, and what an allocator keeps."""


def send(
    stream: BinaryIO, facts: Mapping[str, Any], size: int, blocks: Iterable[bytes | memoryview]
) -> None:
    """Write a message of ``size`` bytes of data; ``stream`` is not buffered.

    Raises:
        EOFError: ``blocks`` hold less.
    """
    text = json.dumps(facts).encode()
    waiting: bytes | memoryview = _HEAD.pack(len(text), size) + text
    for block in blocks:
        if len(waiting) + len(block) <= 2**16:  # one system call serves small messages
            waiting = bytes(waiting) + bytes(block)
        else:
            _write(stream, waiting)
            waiting = block
        size -= len(block)
    _write(stream, waiting)
    if size:
        raise EOFError("the file changed while it was read")


def receive(stream: BinaryIO, largest: int) -> tuple[dict[str, Any], bytes]:
    """Read a message; ``stream`` is buffered.

    Raises:
        EOFError: the other side has gone, or sends more than ``largest`` bytes of data.
    """
    length, size = _HEAD.unpack(_read(stream, _HEAD.size))
    if length > _LARGEST_FACTS or size > largest:
        raise EOFError("a message is too long")
    facts: dict[str, Any] = json.loads(_read(stream, length))
    if not isinstance(facts, dict):
        raise EOFError("a message is of another kind")
    return facts, _read(stream, size)


def serve(module: str) -> None:
    """Answer requests until there are no more, by what ``module.make_handler()`` gives.

    The first message tells which Python answers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the program that asks
    requests, answers = _take_streams()
    handler: Handler = import_module(module).make_handler()
    cores = os.cpu_count() or 1  # a handler may have as many threads
    _leave_no_dumps()
    send(answers, {"python": sys.version_info[:2]}, 0, ())
    while True:
        try:
            facts, data = receive(requests, sys.maxsize)
        except EOFError:
            return
        _limit(facts.pop(MEMORY), facts.pop(SECONDS) * cores)
        facts, data = handle(handler, facts, data)  # type: ignore[assignment]
        _limit(None, None)
        send(answers, facts, len(data), (data,))


def handle(handler: Handler, facts: Mapping[str, Any], data: bytes) -> Answer:
    """The answer, or the words of what was raised: decoders raise anything, and panic."""
    try:
        return handler(facts, data)
    except MemoryError:
        return {FAILED: "out of memory"}, b""
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return {FAILED: " ".join(str(error).split()) or type(error).__name__}, b""


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """The pipes, for messages alone: decoders print whatever they like."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    return requests, answers


def _limit(memory: int | None, seconds: float | None) -> None:
    """Let the system end this process when it takes more, even if nobody waits for it any more."""
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        import resource

        _set(resource.RLIMIT_CPU, None if seconds is None else _used_seconds() + seconds)
        _set(resource.RLIMIT_AS, None if memory is None else _used_bytes() + memory + _SLACK)


def _leave_no_dumps() -> None:
    """A crash is an answer here, and its dump would hold the picture."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _set(kind: int, soft: float | None) -> None:
    import resource

    hard = resource.getrlimit(kind)[1]
    bounded = hard != resource.RLIM_INFINITY
    inside = hard if soft is None or (bounded and soft > hard) else ceil(soft)
    resource.setrlimit(kind, (inside, hard))


def _used_seconds() -> float:
    times = os.times()
    return times.user + times.system


def _used_bytes() -> int:
    """Address space in use; Linux alone tells it, and holds processes to such a limit."""
    pages = int(os.pread(_open_usage(), 256, 0).split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


@cache
def _open_usage() -> int:
    """The file that tells it; to open it for each picture takes longer than to read it."""
    return os.open("/proc/self/statm", os.O_RDONLY)


def _write(stream: BinaryIO, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]


def _read(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("the other side has gone")
    return data
