"""The allocator is set where libc knows how, and nothing breaks where it does not."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from tumorlens.training import allocator

CODE = """
import sys
from tumorlens.training.allocator import keep_large_blocks
assert "torch" not in sys.modules
print(keep_large_blocks())
"""


def test_it_is_set_before_torch_is_there():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(hasattr(ctypes.CDLL(None), "mallopt"))


@pytest.mark.parametrize("error", [OSError, TypeError])
def test_another_libc_is_no_error(monkeypatch, error):
    def refuse(name):
        raise error

    monkeypatch.setattr(allocator.ctypes, "CDLL", refuse)
    assert not allocator.keep_large_blocks()
