"""Anything readable becomes slices: the first bytes choose the reader."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path

from tumorlens.errors import InputError
from tumorlens.imaging.contents import HEAD_BYTES, describe, open_file, sniff
from tumorlens.imaging.limits import DEFAULT_LIMITS, Limits
from tumorlens.imaging.raster import read_picture, read_pictures
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.sources import Source

__all__ = ["read_slice", "read_slices"]


def read_slices(
    source: Source | str | PathLike[str], *, limits: Limits = DEFAULT_LIMITS
) -> Iterator[Slice]:
    path = source.path if isinstance(source, Source) else fspath(source)
    with open_file(Path(path), path) as stream:
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        if sniff(head) == "raster":
            yield from read_pictures(stream, path, limits)
            return
        raise InputError(path, describe(head))


def read_slice(
    path: str | PathLike[str], frame: int = 0, *, limits: Limits = DEFAULT_LIMITS
) -> Slice:
    """One slice: frame ``frame`` of ``path``, as `read_slices` counts them.

    Raises:
        InputError: the file cannot be read, or has no such frame.
    """
    name = fspath(path)
    with open_file(Path(name), name) as stream:
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        if sniff(head) == "raster":
            return read_picture(stream, name, frame, limits)
    raise InputError(name, describe(head))
