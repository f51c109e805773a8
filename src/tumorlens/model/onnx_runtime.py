"""The door to ONNX Runtime: when it is loaded, and what must not be loaded before it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from tumorlens.errors import UsageError

__all__ = ["PROVIDERS", "find_providers", "load_onnxruntime"]

PROVIDERS: dict[str, tuple[str, ...]] = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "mps": ("CoreMLExecutionProvider", "CPUExecutionProvider"),
}
"""Word for a device -> execution providers of ONNX Runtime, in order of preference."""


def find_providers(device: str) -> tuple[str, ...]:
    """The execution providers for a device.

    Raises:
        UsageError: an unknown device; names those that are known.
    """
    if device not in PROVIDERS:
        raise UsageError(f"`device={device}`: expected one of {', '.join(PROVIDERS)}")
    return PROVIDERS[device]


def load_onnxruntime() -> ModuleType:
    """The module ``onnxruntime``.

    Raises:
        UsageError: a library that kills it is in the way; see `optional.FIRST`.
    """
    if "onnxruntime" not in sys.modules and _is_spoilt():
        raise UsageError(
            "usearch was imported before ONNX Runtime, and its C++ library would end this process; "
            "put `import onnxruntime` before `import usearch`"
        )
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # where a program loaded it before `import tumorlens`
    module: ModuleType = onnxruntime
    return module


def _is_spoilt() -> bool:
    """Whether a usearch is loaded that carries a C++ library of its own; only ELF shares names."""
    compiled = getattr(sys.modules.get("usearch.compiled"), "__file__", None)
    if compiled is None or sys.platform != "linux":
        return False
    return b"libstdc++.so.6\0" not in Path(compiled).read_bytes()
