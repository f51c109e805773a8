"""The Python interpreter for helper processes: never the user's own program."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

__all__ = ["find_python", "why_none"]

_NAMES = re.compile(r"(python|pypy|graalpy)[\d.]*[dtw]*(-dbg|-intel64|-arm64)?(\.exe)?", re.I)


def find_python() -> str | None:
    """The interpreter of this process; None if it is unknown.

    In a frozen program (PyInstaller, cx_Freeze, Nuitka) and in one that embeds Python (uWSGI,
    Blender, QGIS) ``sys.executable`` is that program, and starting it would start the user's work
    again. So a file is asked for that is called as interpreters are.
    """
    if _is_frozen():
        return None
    folder = Path(sys.prefix) / ("" if os.name == "nt" else "bin")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    names = ("python.exe",) if os.name == "nt" else (version, f"pypy{version[6:]}")
    for candidate in (sys.executable, *(str(folder / name) for name in names)):
        if candidate and _NAMES.fullmatch(Path(candidate).name) and os.access(candidate, os.X_OK):
            return candidate
    return None


def why_none() -> str:
    """Why no interpreter was found, in a phrase."""
    if _is_frozen():
        return "a frozen program has no Python to start"
    return f"{sys.executable or 'this program'} is no Python interpreter that could be started"


def _is_frozen() -> bool:
    main = sys.modules.get("__main__")
    return bool(
        getattr(sys, "frozen", False)  # PyInstaller, cx_Freeze, py2exe, py2app
        or hasattr(sys, "oxidized")  # PyOxidizer
        or hasattr(main, "__compiled__")  # Nuitka
    )
