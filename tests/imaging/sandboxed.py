"""What runs in the sandbox of test_sandbox: it answers, raises, aborts, hangs or eats, as asked."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from tumorlens.imaging.codecs.serving import Answer, Handler

_NAPS = {"wait": 0.5, "hang": 300.0}


class PanicException(BaseException):
    """As Rust's panics come to Python."""


def obey(facts: Mapping[str, Any], data: bytes) -> Answer:
    os.write(1, b"a word on standard output")
    print("and another", flush=True)
    sys.stderr.write("a word on standard error")
    word = facts.get("do")
    if word == "raise":
        raise KeyError("asked to")
    if word == "panic":
        raise PanicException("index out of range\nat line 3")
    if word == "abort":
        os.abort()
    if word == "leave":
        os._exit(0)
    if word in _NAPS:
        time.sleep(_NAPS[word])
    if word == "eat":
        return {"size": len(bytearray(facts["size"]))}, b""
    return {"length": len(data), **facts}, data[::-1]


def make_handler() -> Handler:
    return obey
