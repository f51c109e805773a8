"""Paths, folders, patterns and lists become sources: units that a reader opens one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Literal

from tumorlens.errors import InputError
from tumorlens.imaging.limits import DEFAULT_LIMITS, Limits
from tumorlens.imaging.raster import RASTER_SUFFIXES

__all__ = ["Skipped", "Source", "find_sources"]


@dataclass(frozen=True, slots=True)
class Source:
    """One unit of reading: a picture, a NIfTI volume, a DICOM file or a DICOM series.

    Attributes:
        path: how the caller named it; for a series found in a folder, that folder.
        files: the files to read, in the order of their slices.
        kind: ``raster``, ``nifti`` or ``dicom``; a guess by name, the reader looks at the content.
        named: True if the caller named this very file.
    """

    path: str
    files: tuple[Path, ...]
    kind: Literal["raster", "nifti", "dicom"]
    named: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file in a folder that is no image, and why."""

    path: str
    reason: str


def find_sources(
    paths: Iterable[str | PathLike[str]], *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Source | Skipped | InputError]:
    for given in paths:
        name = fspath(given)
        path = Path(name)
        if path.is_dir():
            for entry in sorted(path.iterdir(), key=lambda e: natural_key(e.name)):
                if entry.is_dir():
                    yield from find_sources([entry])
                elif entry.suffix.lower() in RASTER_SUFFIXES:
                    yield Source(str(entry), (entry,), "raster")
                else:
                    yield Skipped(str(entry), "no image")
        elif path.exists():
            yield Source(name, (path,), "raster", named=True)
        else:
            yield InputError(name, "no such file", "check the spelling and the folder")


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sorts ``slice2`` before ``slice10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)
