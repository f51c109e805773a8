"""The one door to libraries that only an extra brings."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from tumorlens.errors import MissingExtra

__all__ = ["EXTRAS", "FIRST", "installed_extras", "load"]

EXTRAS: dict[str, tuple[str, ...]] = {
    "evaluate": (
        *("sklearn", "scipy", "threadpoolctl"),
        *("matplotlib", "jinja2", "onnx", "pooch", "usearch"),
    ),
    "train": ("torch", "lightning", "onnxscript", "safetensors"),
    "openvino": ("openvino",),
    "litert": ("litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
    "executorch": ("executorch",),
}
"""Extra -> the modules it brings, by import name. All others include ``evaluate``."""

FIRST = {"usearch": "onnxruntime"}
"""Module -> what must be loaded before it, by import name.

usearch's wheels for Linux hold the C++ library and offer its symbols to the whole process. One that
is loaded later takes their numbers of locale facets for its own, and ONNX Runtime ends in SIGSEGV.
Loaded first, it has its own."""


def load(module: str, purpose: str = "") -> ModuleType:
    """Import ``module`` (dotted), or raise `MissingExtra` with the pip line.

    Args:
        module: import name, e.g. ``"sklearn.metrics"``.
        purpose: what wants it, e.g. ``"twins"``; stands at the start of the message.
    """
    root = module.partition(".")[0]
    if root in FIRST:
        import_module(FIRST[root])
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != root:
            raise
        raise MissingExtra(root, _extra_of(root), purpose) from None


def installed_extras() -> dict[str, bool]:
    """Which extras are complete here; imports none of their libraries."""
    return {
        extra: all(find_spec(module) is not None for module in modules)
        for extra, modules in EXTRAS.items()
    }


def _extra_of(root: str) -> str:
    return next((extra for extra, modules in EXTRAS.items() if root in modules), "all")
