"""glibc's allocator, told to keep large blocks; call before torch is imported.

By default it maps and unmaps every large activation, which makes training convolutions of this
size on a CPU several times slower (docs/decisions.md has the figures).
"""

from __future__ import annotations

import ctypes

from tumorlens.optional import load

__all__ = ["keep_large_blocks", "start_torch"]

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h


def keep_large_blocks() -> bool:
    """Set the allocator; False where libc does not know how (macOS, musl, Windows)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    wishes = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**28))
    return all(mallopt(option, value) == 1 for option, value in wishes)


def start_torch() -> None:
    """Set the allocator, then import torch: the order matters.

    Raises:
        MissingExtra: torch is not installed; names the pip line.
    """
    keep_large_blocks()
    load("torch", "training")
