"""Threads that work side by side, with results in order and a bounded look-ahead."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["available_cores", "open_workers", "run_ahead"]

Result = TypeVar("Result")
Work = TypeVar("Work")


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def open_workers(threads: int) -> Iterator[ThreadPoolExecutor | None]:
    """A pool that is left at once: what has not begun is dropped.

    None for one thread: the caller's own, without a hand-over for each piece of work.
    """
    if threads == 1:
        yield None
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="tumorlens")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def run_ahead(
    pool: ThreadPoolExecutor | None,
    work: Callable[[Work], Result],
    items: Iterable[Work],
    ahead: int,
    *,
    weigh: Callable[[Work], int] = lambda _: 0,
    room: int = sys.maxsize,
) -> Iterator[Result]:
    """``work`` on each item in the pool, results in order, at most ``ahead`` of them unread.

    Without a pool each is worked on when its result is asked for.

    Args:
        pool: of threads, or None.
        work: done in one of them.
        items: taken when there is room for another one.
        ahead: number of items whose results are not read yet.
        weigh: bytes that an item holds, and its result.
        room: bytes that unread items may hold together; one may hold more, but then is alone.
    """
    if pool is None:
        yield from map(work, items)
        return
    waiting: deque[tuple[Future[Result], int]] = deque()
    held = 0
    for item in items:
        waiting.append((pool.submit(work, item), weigh(item)))
        held += waiting[-1][1]
        del item  # the next one is made while this name would hold it
        while waiting and (len(waiting) > ahead or held > room):
            future, weight = waiting.popleft()
            held -= weight
            yield future.result()
            del future
    while waiting:
        yield waiting.popleft()[0].result()
