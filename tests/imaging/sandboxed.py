"""What runs in the sandbox of test_sandbox: it answers, raises, aborts or hangs, as asked."""

from __future__ import annotations

import os
import sys
import time

from tumorlens.imaging.sandbox import serve


def obey(request: bytes) -> bytes:
    print("a word on standard output")
    if request == b"raise":
        raise KeyError("asked to")
    if request == b"abort":
        os.abort()
    if request == b"hang":
        time.sleep(60)
    sys.stderr.write("a word on standard error")
    return request[::-1]


def main() -> None:
    serve(obey)
