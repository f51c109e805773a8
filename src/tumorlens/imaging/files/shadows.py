"""Folders and files beside a script that have the name of a library.

Python looks first where the script lies, or in the working folder. Libraries ask there for optional
parts that are not installed, and fail over what they find: a folder ``dl`` (deep learning) ends the
import of GDCM, and with it pydicom's; ``indexed_gzip`` ends nibabel's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["find_libraries", "hide_shadows"]

_OWN_HOMES = ("tumorlens", "numpy", "PIL")
_GONE = ("dl", "DLFCN")
"""Modules of Python 2 that GDCM looks for. A module of that name today is another one."""


def find_libraries() -> list[str]:
    """Where modules lie, for another interpreter: this package first, no folder of a script."""
    own, package = _find_own_folder(), str(Path(__file__).resolve().parents[3])
    return [package, *(path for path in map(os.path.abspath, sys.path) if path != own)]


@contextmanager
def hide_shadows() -> Iterator[None]:
    """Inside, imports ignore files and folders beside the script."""
    paths, own = [*sys.path], _find_own_folder()
    hidden = {name: sys.modules[name] for name in _GONE if name in sys.modules}
    if own is not None:
        sys.path[:] = [path for path in paths if os.path.abspath(path) != own]  # noqa: PTH100
    sys.modules.update(dict.fromkeys(_GONE))  # type: ignore[arg-type]  # None: there is none
    try:
        yield
    finally:
        for name in _GONE:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)
        sys.path[:] = paths


def _find_own_folder() -> str | None:
    """The folder of the script, or the working one, if Python looks there first for all."""
    if sys.flags.safe_path or not sys.path:
        return None
    first = os.path.abspath(sys.path[0])  # noqa: PTH100 - an empty one is the working folder
    script = os.path.dirname(os.path.abspath(sys.argv[0] if sys.argv else ""))  # noqa: PTH100, PTH120
    if first not in (script, os.path.realpath(script), str(Path.cwd())):
        return None
    files = (getattr(sys.modules.get(name), "__file__", None) for name in _OWN_HOMES)
    homes = {str(Path(file).absolute().parents[1]) for file in files if file}
    return None if first in homes else first
