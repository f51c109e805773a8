"""Imported before pydicom: loads gdcm past folders that lie in its way.

gdcm asks Python for old modules named ``dl`` and ``DLFCN`` and trusts whatever it gets. A folder of
such a name beside a script (deep learning) is a module to Python: gdcm fails on it, and so does
pydicom.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module

__all__: list[str] = []

_ASKED_FOR = ("dl", "DLFCN")


def _load_gdcm() -> None:
    hidden = [name for name in _ASKED_FOR if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # Python's mark of what is not there
    try:
        with suppress(ImportError):
            import_module("gdcm")
    finally:
        for name in hidden:
            del sys.modules[name]


_load_gdcm()
