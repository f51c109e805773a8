"""`Limits`: how much memory and how many pixels one file may take before it is refused."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tumorlens.errors import InputError

__all__ = ["BYTES_PER_PIXEL", "DEFAULT_LIMITS", "Limits", "OverLimit", "hold_memory"]

BYTES_PER_PIXEL = 16
"""What decoding one pixel may take at its peak: RGBA, its luminance, and two float32 copies."""


class OverLimit(InputError):
    """A file asks for more than it may have."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings for one file. A file over a ceiling is refused before it is decoded.

    Attributes:
        pixels_per_slice: largest number of pixels in one slice.
        memory_bytes: largest amount of memory that decoding one file may take, in bytes. A volume
            of several time points is decoded one time point at a time.
        smallest_side: smallest number of rows, and of columns, in pixels.
    """

    pixels_per_slice: int = 100_000_000
    memory_bytes: int = 2 * 1024**3
    smallest_side: int = 16

    def __post_init__(self) -> None:
        if min(self.pixels_per_slice, self.memory_bytes, self.smallest_side) < 1:
            raise ValueError(f"limits count from 1, got {self}")

    def check_slice(self, path: str, rows: int, columns: int) -> None:
        """Refuse a slice that is too small to show anything, or too large to decode.

        Raises:
            InputError: names the file, its size and the ceiling.
        """
        if min(rows, columns) < self.smallest_side:
            side = self.smallest_side
            raise InputError(
                path, f"only {columns} x {rows} pixels", f"give a slice of at least {side} x {side}"
            )
        if rows * columns > self.pixels_per_slice:
            raise OverLimit(
                path,
                f"{columns} x {rows} pixels are more than the {self.pixels_per_slice:,} allowed",
                "make the picture smaller, or raise Limits.pixels_per_slice",
            )
        self.check_memory(path, rows * columns * BYTES_PER_PIXEL)

    def check_memory(self, path: str, needed: int) -> None:
        """Refuse what needs more than ``memory_bytes``; ``needed`` in bytes.

        Raises:
            InputError: names the file, what it asks for and the ceiling.
        """
        if needed > self.memory_bytes:
            raise OverLimit(
                path,
                f"asks for {needed / 1024**2:,.0f} MiB of memory, "
                f"{self.memory_bytes / 1024**2:,.0f} MiB are allowed",
                "split the file, or raise Limits.memory_bytes",
            )

    def reserve(self, path: str, needed: int) -> AbstractContextManager[None]:
        """Hold ``needed`` bytes of ``memory_bytes``, which all threads of the process share.

        Waits until other threads have freed enough. Do not yield to a caller inside: the caller may
        wait for a thread that waits for this memory.

        Raises:
            InputError: as `check_memory`.
        """
        self.check_memory(path, needed)
        return _budget.take(needed, self.memory_bytes)


class _Budget:
    """Bytes in use by all threads, in the order of the requests.

    A thread that holds bytes already does not wait for more: it might wait for itself.
    """

    def __init__(self) -> None:
        self.reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.reset)  # a forked process has no other threads

    def reset(self) -> None:
        self._used = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()
        self._holders: Counter[int] = Counter()

    @contextmanager
    def take(self, needed: int, ceiling: int) -> Iterator[None]:
        self._wait(needed, ceiling)
        try:
            yield
        finally:
            with self._changed:
                self._used -= needed
                self._forget_one(threading.get_ident())
                self._changed.notify_all()

    def _forget_one(self, thread: int) -> None:
        """One hold less; a thread that holds nothing any more is not remembered."""
        self._holders[thread] -= 1
        if self._holders[thread] <= 0:
            del self._holders[thread]

    def _wait(self, needed: int, ceiling: int) -> None:
        def fits() -> bool:
            return not self._used or self._used + needed <= ceiling

        thread = threading.get_ident()
        with self._changed:
            if thread not in self._holders and (self._waiting or not fits()):
                self._queue(fits)
            self._used += needed
            self._holders[thread] += 1

    def _queue(self, fits: Callable[[], bool]) -> None:
        """Wait until it fits and all who came before have what they asked for."""
        ticket = object()
        self._waiting.append(ticket)
        try:
            self._changed.wait_for(lambda: self._waiting[0] is ticket and fits())
        finally:
            self._waiting.remove(ticket)
            self._changed.notify_all()


_budget = _Budget()

DEFAULT_LIMITS = Limits()
"""Used wherever a caller names no limits."""


def hold_memory(needed: int) -> AbstractContextManager[None]:
    """Like `Limits.reserve` of the default limits, for work on a slice that was read already.

    Nothing is refused: a request for more than the limit waits until no other is in use.
    """
    return _budget.take(needed, DEFAULT_LIMITS.memory_bytes)
