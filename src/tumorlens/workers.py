"""Threads that work in parallel, give results in order, and take only a few items ahead."""

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
    """A thread pool. At the end of the block queued work is cancelled and running work waited for.

    With one thread it gives None: the caller then works itself, without passing items to a thread.
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
    """Do ``work`` on each item in the pool; gives the results in the order of the items.

    Without a pool an item is worked on when its result is asked for.

    Args:
        pool: threads that do the work, or None.
        work: called with an item, in one of the threads.
        items: the next one is taken when there is room for it.
        ahead: largest number of items whose results are not read yet.
        weigh: gives the bytes that an item and its result hold.
        room: bytes that these items may hold together. An item that holds more waits until it is
            the only one.
    """
    if pool is None:
        yield from map(work, items)
        return
    waiting: deque[tuple[Future[Result], int]] = deque()
    held = 0
    for item in items:
        waiting.append((pool.submit(work, item), weigh(item)))
        held += waiting[-1][1]
        del item  # drop our reference: else two large slices are alive while the next item is made
        while waiting and (len(waiting) > ahead or held > room):
            future, weight = waiting.popleft()
            held -= weight
            yield future.result()
            del future
    while waiting:
        yield waiting.popleft()[0].result()
