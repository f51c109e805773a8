"""Threads side by side: order, bounds, and that nobody waits for what has not begun."""

import threading
from concurrent.futures import ThreadPoolExecutor

from tumorlens.workers import open_workers, run_ahead


def test_run_ahead_is_bounded_and_keeps_order():
    started = []
    with ThreadPoolExecutor(2) as pool:
        results = run_ahead(pool, lambda x: started.append(x) or x, iter(range(100)), 5)
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        assert len(started) <= 8
        results.close()


def test_open_workers_drops_what_has_not_begun():
    gate = threading.Event()
    done = []
    with open_workers(2) as pool:
        pool.submit(gate.wait, 5)
        pool.submit(gate.wait, 5)
        for index in range(5):
            pool.submit(done.append, index)
        threading.Timer(0.05, gate.set).start()
    assert done == []


def test_one_thread_is_the_caller_and_nothing_is_done_ahead():
    started = []
    with open_workers(1) as pool:
        results = run_ahead(pool, lambda x: started.append((x, threading.get_ident())), range(9), 5)
        next(results)
    assert started == [(0, threading.get_ident())]


def test_look_ahead_is_bounded_in_what_it_holds():
    """One that holds more than there is room for is worked on alone."""
    begun = []
    with ThreadPoolExecutor(4) as pool:
        sizes = [10, 10, 10, 500, 10, 10]
        results = run_ahead(
            pool, lambda x: begun.append(x) or x, iter(sizes), 9, weigh=lambda x: x, room=25
        )
        assert next(results) == 10 and len(begun) == 3
        assert list(results) == sizes[1:]
