"""Time of a call, memory of the process, energy of the processor."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np

__all__ = ["Timing", "read_energy", "read_peak_memory", "time_calls"]

WARM_UP = 3
"""Calls before the first that counts."""
LEAST = 5
"""Calls that count, however long they take."""

_STATUS = Path("/proc/self/status")
_ENERGY = Path("/sys/class/powercap/intel-rapl:0/energy_uj")


class Timing(msgspec.Struct, frozen=True):
    """Seconds of repeated calls.

    Attributes:
        median, p95: of all calls.
        best: the shortest, which other programs disturbed least.
        calls: how many.
    """

    median: float
    p95: float
    best: float
    calls: int


def time_calls(*calls: Callable[[], object], seconds: float = 1.0) -> list[Timing]:
    """Call each in turn, again and again, so that a busy machine slows all of them alike.

    Args:
        calls: what to time.
        seconds: for each of them, about.
    """
    for _ in range(WARM_UP):
        for call in calls:
            call()
    taken: list[list[float]] = [[] for _ in calls]
    end = perf_counter() + seconds * len(calls)
    while perf_counter() < end or len(taken[-1]) < LEAST:
        for call, times in zip(calls, taken, strict=True):
            start = perf_counter()
            call()
            times.append(perf_counter() - start)
    return [
        Timing(float(np.median(times)), float(np.quantile(times, 0.95)), min(times), len(times))
        for times in taken
    ]


def read_peak_memory() -> int | None:
    """Bytes that this process has held at most; None where the system does not tell.

    Linux is asked for the high-water mark of this program: what `getrusage` tells there counts
    the process that started it, too.
    """
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def read_energy() -> float | None:
    """Joules that the processor has used since some moment; None where nobody may ask."""
    with suppress(OSError, ValueError):
        return int(_ENERGY.read_text()) / 1e6
    return None
