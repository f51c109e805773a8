"""Threads that work side by side, with results in order and a bounded look-ahead."""

from __future__ import annotations

import os
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
) -> Iterator[Result]:
    """``work`` on each item in the pool, results in order, at most ``ahead`` of them unread.

    Without a pool each is worked on when its result is asked for.
    """
    if pool is None:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
