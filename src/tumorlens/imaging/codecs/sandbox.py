"""Runs work in other processes, so that a crash or a hang there does not stop this process.

Decoders of compressed pictures meet hostile bytes. Some abort the whole process, which no ``try``
can stop, some panic, some never come back, and some take all the memory. In a sandbox each of
these costs one answer: the helper process is limited in memory and time, and another one starts.
A process is started for each thread that asks at the same time, and stays for the next question.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, BinaryIO, cast

from tumorlens.imaging.codecs.interpreter import find_python, why_none
from tumorlens.imaging.codecs.serving import FAILED, MEMORY, SECONDS, receive, send
from tumorlens.imaging.files.shadows import find_libraries

__all__ = ["Helper", "Lost", "Sandbox", "Unavailable"]

_START = (
    "import json, sys; sys.path += json.loads(sys.argv[1]); "
    "from tumorlens.imaging.codecs.serving import serve; serve(sys.argv[2])"
)
_LONGEST_START = 120.0  # seconds: Python and its libraries may lie on a slow share
_TICK = 0.25  # seconds
_PIPE_BYTES = 256 * 1024
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
}
"""For glibc: keep the memory of small pictures for the next one. To map it again takes half of the
time of decoding a JPEG."""


class Unavailable(RuntimeError):
    """No helper process can be started here; says why."""


class Lost(RuntimeError):
    """The helper process crashed, or took too much; says which."""


class Sandbox:
    """Helper processes that answer questions, one at a time each.

    Args:
        module: imported there; its ``make_handler()`` gives what answers, a `serving.Handler`.
    """

    _lock: threading.Lock
    _idle: list[Helper]
    _watch: _Watch

    def __init__(self, module: str) -> None:
        self._module = module
        self._reason = ""
        self._worked = False
        self._begin()
        atexit.register(self.close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def call(
        self,
        facts: Mapping[str, Any],
        data: bytes = b"",
        *,
        seconds: float,
        memory: int | None,
        largest: int,
    ) -> tuple[dict[str, Any], bytes]:
        """One question to whichever process is free; see `Helper.call`.

        Raises:
            Unavailable: no process can be started here.
        """
        with self.hold() as helper:
            return helper.call(
                facts, len(data), (data,), seconds=seconds, memory=memory, largest=largest
            )

    def hold(self) -> AbstractContextManager[Helper]:
        """A process for several questions of one kind: it may remember the last one.

        Raises:
            Unavailable: no process can be started here.
            Lost: one could be, but not now.
        """
        if self._reason:
            raise Unavailable(self._reason)
        return self._lend(self._take() or self._start())

    @contextmanager
    def without_processes(self, reason: str) -> Iterator[None]:
        """Inside, `hold` is `Unavailable` for this reason."""
        before, self._reason = self._reason, reason
        try:
            yield
        finally:
            self._reason = before

    @contextmanager
    def _lend(self, helper: Helper) -> Iterator[Helper]:
        try:
            yield helper
        finally:
            self._put_back(helper)

    def close(self) -> None:
        """End the processes that wait for questions."""
        with self._lock:
            idle = [*self._idle]
            self._idle.clear()
        for helper in idle:
            helper.end()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._idle = []
        self._watch = _Watch()

    def _take(self) -> Helper | None:
        with self._lock:
            while self._idle:
                helper = self._idle.pop()
                if helper.is_alive():
                    return helper
        return None

    def _start(self) -> Helper:
        python = find_python()
        try:
            if python is None:
                raise Unavailable(why_none())
            helper = Helper(python, self._module, self._watch)
        except (OSError, Unavailable) as error:
            if self._worked:  # too many processes just now, or no memory for one
                raise Lost(f"no process can be started: {error}") from error
            self._reason = str(error)
            raise Unavailable(self._reason) from error
        self._worked = True
        return helper

    def _put_back(self, helper: Helper) -> None:
        if not helper.is_alive():
            helper.end()
            return
        with self._lock:
            self._idle.append(helper)

    def _forget(self) -> None:
        """In a forked process: the pipes are the parent's."""
        for helper in self._idle:
            helper.abandon()
        self._begin()


class Helper:
    """One process that answers.

    Raises:
        OSError: it does not start.
        Unavailable: what starts is no Python, or another one.
    """

    def __init__(self, python: str, module: str, watch: _Watch) -> None:
        self._watch = watch
        self._late = False
        self._process = subprocess.Popen(
            [python, "-I", "-S", "-c", _START, json.dumps(find_libraries()), module],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**_ALLOCATOR, **os.environ},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        raw = cast(io.RawIOBase, self._process.stdout)
        self._answers = cast(BinaryIO, io.BufferedReader(raw))
        _widen(self._requests, self._answers)
        try:
            with watch.limit(self, _LONGEST_START):
                hello, _ = receive(self._answers, 0)
        except (EOFError, ValueError) as error:
            self.end()
            raise Unavailable(f"{python} starts no helper process") from error
        if hello.get("python") != list(sys.version_info[:2]):
            self.end()
            raise Unavailable(f"{python} is another Python")

    def call(
        self,
        facts: Mapping[str, Any],
        size: int = 0,
        blocks: Iterable[bytes] = (),
        *,
        seconds: float,
        memory: int | None,
        largest: int,
    ) -> tuple[dict[str, Any], bytes]:
        """Facts and data of the answer.

        Args:
            facts: of the question, as JSON knows them.
            size: number of bytes of its data.
            blocks: the data.
            seconds: after which it counts as hanging.
            memory: bytes that it may take; None for as many as there are.
            largest: bytes of data that may come back.

        Raises:
            ValueError: the handler raised; its words.
            Lost: the process crashed, or took too much.
            OSError: the data could not be read.
        """
        limits = {MEMORY: memory, SECONDS: seconds}
        try:
            send(self._requests, {**facts, **limits}, size, blocks)
            with self._watch.limit(self, seconds):
                answer, data = receive(self._answers, largest)
        except (EOFError, BrokenPipeError, ValueError) as error:
            self.end()
            raise Lost(self._explain(seconds)) from error
        except BaseException:  # half a message lies in a pipe
            self.end()
            raise
        if FAILED in answer:
            raise ValueError(answer[FAILED])
        return answer, data

    def is_alive(self) -> bool:
        """Whether it can be asked again."""
        return self._process.poll() is None

    def end(self, *, late: bool = False) -> None:
        """Kill the process; ``late`` if it took too long."""
        self._late = self._late or late
        self._process.kill()
        if not late:  # whoever waits for it does the rest
            self._process.wait()
            self._requests.close()
            self._answers.close()

    def abandon(self) -> None:
        """Leave the process to another one that has started it."""
        self._requests.close()
        self._process.returncode = 0
        _abandoned.append(self)  # the reader may be locked by a thread that is no more

    def _explain(self, seconds: float) -> str:
        status = -self._process.wait()
        if self._late or status == getattr(signal, "SIGXCPU", None):
            return f"the decoder took more than {seconds:.0f} s"
        return "the decoder crashed"


_abandoned: list[Helper] = []


class _Watch:
    """Ends what takes too long; one thread for all helpers.

    It counts its own ticks: none passes while the whole program sleeps, stopped by Ctrl-Z or in a
    closed laptop.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._left: dict[Helper, float] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit(self, helper: Helper, seconds: float) -> Iterator[None]:
        with self._changed:
            self._left[helper] = seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
                self._thread.start()
            if len(self._left) == 1:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._left.pop(helper, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._left)
            time.sleep(_TICK)
            with self._changed:
                for helper in self._left:
                    self._left[helper] -= _TICK
                late = [helper for helper, left in self._left.items() if left <= 0]
                for helper in late:
                    del self._left[helper]
                    helper.end(late=True)


def _widen(*pipes: BinaryIO) -> None:
    """Larger pipes, where the system has them to give: fewer turns a picture."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        for pipe in pipes:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
