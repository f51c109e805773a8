"""One budget over all threads, and what a file may ask for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import builders
from tumorlens.errors import InputError
from tumorlens.imaging.files.limits import Limits, OverLimit, hold_memory
from tumorlens.imaging.files.sources import find_sources
from tumorlens.imaging.readers import read_slices

LIMITS = Limits(memory_bytes=1000)
GREY = (np.arange(64 * 64).reshape(64, 64) % 251).astype(np.uint8)


def test_threads_share_one_budget() -> None:
    used, most, lock = [0], [0], threading.Lock()

    def work(needed: int) -> None:
        with LIMITS.reserve("a", needed):
            with lock:
                used[0] += needed
                most[0] = max(most[0], used[0])
            time.sleep(0.002)
            with lock:
                used[0] -= needed

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [100, 700, 300, 999, 1, 500] * 10))
    assert 900 < most[0] <= 1000 and used[0] == 0


def test_who_asks_first_is_served_first() -> None:
    """A large request is not passed for ever by small ones."""
    order: list[str] = []

    def ask(name: str, needed: int) -> None:
        with LIMITS.reserve("a", needed):
            order.append(name)

    with LIMITS.reserve("a", 500):
        threads = []
        for name, needed in (("large", 900), ("small", 10)):
            threads.append(threading.Thread(target=ask, args=(name, needed)))
            threads[-1].start()
            time.sleep(0.1)
        assert order == []
    for thread in threads:
        thread.join(10)
    assert order == ["large", "small"]


def test_a_thread_does_not_wait_for_itself() -> None:
    with LIMITS.reserve("a", 900), LIMITS.reserve("b", 900), hold_memory(2**40):
        pass
    with LIMITS.reserve("a", 1000):
        pass


def test_what_was_reserved_is_free_after_an_error() -> None:
    with pytest.raises(KeyError), LIMITS.reserve("a", 900):
        raise KeyError
    with pytest.raises(OverLimit, match="memory"), LIMITS.reserve("a", 1001):
        pass
    with LIMITS.reserve("a", 1000):
        pass


def test_large_members_are_refused_before_they_are_unpacked(tmp_path) -> None:
    limits = Limits(memory_bytes=2**24)
    content = GREY.tobytes() + bytes(5 * 2**20)
    file = builders.write_dicom(tmp_path / "a.dcm", GREY, PixelData=content)
    path = builders.write_zip(tmp_path / "a.zip", {"large.dcm": file})
    with pytest.raises(InputError, match="5 MiB, and 4 MiB are allowed; unpack the archive"):
        list(read_slices(path, limits=limits))
    assert len(list(read_slices(file, limits=limits))) == 1


def test_a_list_of_members_is_measured_before_it_is_read(tmp_path) -> None:
    path = builders.write_zip(tmp_path / "a.zip", {format(n, "x"): b"" for n in range(1000)})
    (error,) = find_sources([path], limits=Limits(memory_bytes=2**19))
    assert isinstance(error, OverLimit) and "memory" in error.reason


PEAK = (
    "def peak():\n"
    "    lines = open('/proc/self/status').readlines()\n"
    "    return int(next(one for one in lines if 'VmHWM' in one).split()[1]) // 1024\n"
)
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc for the peak")


def measure(code: str, *words: object) -> list[int]:
    """What a program of its own prints: mebibytes at their peak."""
    command = [sys.executable, "-c", PEAK + code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


@linux
def test_headers_are_read_from_an_archive_without_unpacking_it(tmp_path) -> None:
    path = tmp_path / "a.zip"
    file = builders.write_dicom(tmp_path / "a.dcm", GREY, PixelData=bytes(80 * 2**20))
    builders.write_zip(path, {"a.dcm": file, "b.dcm": file})
    code = (
        "import sys\n"
        "import tumorlens.imaging.dicom.datasets\n"
        "from tumorlens.imaging.files.sources import find_sources\n"
        "before = peak()\n"
        "assert len(list(find_sources(sys.argv[1:]))) == 1\n"
        "print(peak() - before)\n"
    )
    assert measure(code, path)[0] < 100  # of 160


@linux
def test_large_pictures_are_judged_one_at_a_time(tmp_path) -> None:
    """However many threads there are; each of them kept its memory, too."""
    side = 3000
    pixels = (np.add.outer(np.arange(side), np.arange(side)) // 40).astype(np.uint8)
    paths = [
        builders.write_picture(tmp_path / f"{n}.png", pixels, compress_level=1) for n in range(6)
    ]
    code = (
        "import sys\n"
        "from tumorlens import Detector\n"
        "from tumorlens.imaging.files.limits import Limits\n"
        "detector = Detector(threads=6, limits=Limits(memory_bytes=160 * 2**20))\n"
        "detector.predict(sys.argv[1])\n"
        "one = peak()\n"
        "assert len(detector.predict(sys.argv[1:])) == 6\n"
        "print(one, peak())\n"
    )
    one, six = measure(code, *paths)
    assert six < one + 170  # each has 34 MiB of pixels, and 90 while it is prepared
