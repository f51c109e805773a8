"""Runs a function of bytes in another process, so that a crash or a hang there ends nothing here.

GDCM alone decodes lossless JPEG and JPEG-LS under a free licence, and some damaged frames make it
abort the whole process, which no ``try`` can stop. One helper process serves all threads. It starts
with the first frame that needs it (about half a second), and again after a crash.
"""

from __future__ import annotations

import atexit
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO, cast

__all__ = ["Sandbox", "serve"]

_LENGTH = struct.Struct("<?Q")  # whether it went well, and the number of bytes that follow


class Sandbox:
    """A helper process that answers one request at a time.

    Args:
        module: imported there; its ``main`` calls `serve`.
        seconds: after which a request counts as hanging.
    """

    def __init__(self, module: str, seconds: float = 60.0) -> None:
        self._module = module
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        atexit.register(self.close)

    def call(self, request: bytes) -> bytes:
        """The function's answer.

        Raises:
            ValueError: the function raised; its words.
            RuntimeError: the process crashed or hung.
        """
        with self._lock:
            process = self._start()
            watch = threading.Timer(self._seconds, process.kill)
            watch.start()
            try:
                _send(cast(BinaryIO, process.stdin), True, request)
                good, answer = _receive(cast(BinaryIO, process.stdout))
            except (OSError, EOFError) as error:
                self._stop()
                raise RuntimeError("the decoder crashed") from error
            finally:
                watch.cancel()
        if not good:
            raise ValueError(answer.decode(errors="replace"))
        return answer

    def close(self) -> None:
        """End the helper process, if one runs."""
        with self._lock:
            self._stop()

    def _start(self) -> subprocess.Popen[bytes]:
        # After a fork two processes would share the pipes: the child starts its own.
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from {self._module} import main; main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            self._owner = os.getpid()
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.communicate()


def serve(function: Callable[[bytes], bytes]) -> None:
    """Answer requests on standard input until it ends; what ``function`` raises is sent back."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # no word of a decoder may fall between the answers
    while True:
        try:
            _, request = _receive(requests)
        except EOFError:
            return
        try:
            answer, good = function(request), True
        except Exception as error:  # decoders raise anything
            answer, good = str(error).encode(), False
        _send(answers, good, answer)


def _send(stream: BinaryIO, good: bool, data: bytes) -> None:
    stream.write(_LENGTH.pack(good, len(data)))
    stream.write(data)
    stream.flush()


def _receive(stream: BinaryIO) -> tuple[bool, bytes]:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    good, length = _LENGTH.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return good, data
