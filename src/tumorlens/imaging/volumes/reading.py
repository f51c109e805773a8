"""Files of volumes of any format: recognised by content, then read, or refused as no scan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from tumorlens.errors import InputError
from tumorlens.imaging.files.access import open_file
from tumorlens.imaging.files.contents import Kind
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.refusal import refuse
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.volumes.content import refuse_content
from tumorlens.imaging.volumes.layout import DAMAGED, Layout, find_content, read_volumes
from tumorlens.imaging.volumes.streams import Bytes

__all__ = ["read_volume_file", "tell_content"]

_LONGEST_LOOK = 256 * 1024**2
"""Bytes of a volume in a folder that are checked before it is read."""


def read_volume_file(
    kind: Kind | None,
    stream: BinaryIO,
    path: str,
    limits: Limits,
    file: Path | None = None,
    *,
    any_content: bool = False,
) -> Iterator[Slice | InputError]:
    """Slices of a file of volumes, volume by volume.

    Args:
        kind: of the file, by its content.
        stream: the file; of one in two parts, either.
        path: how the caller named it.
        limits: a volume above them is refused before it is read.
        file: where it lies on disk, to find its other part.
        any_content: read label maps, and what else is no scan, too.

    Raises:
        InputError: broken, cut short, too large or no scan.
    """
    with _open_volumes(kind, stream, path, file) as (voxels, layout):
        yield from read_volumes(voxels, layout, path, limits, any_content=any_content)


def tell_content(kind: Kind | None, file: Path, path: str, limits: Limits) -> str:
    """Why a file of volumes is no scan; empty if it may be one, or cannot be read."""
    try:
        with (
            open_file(file, path) as stream,
            _open_volumes(kind, stream, path, file) as (voxels, layout),
        ):
            limits.check_memory(path, layout.block_bytes)
            if layout.block_bytes > _LONGEST_LOOK and not layout.content:
                return ""  # its reader reports the fault
            with refuse(path, DAMAGED):
                what = find_content(voxels, layout, path)
    except InputError:
        return ""
    return refuse_content(path, what).reason if what else ""


def _open_volumes(
    kind: Kind | None, stream: BinaryIO, path: str, file: Path | None
) -> AbstractContextManager[tuple[Bytes, Layout]]:
    """By the kind; what has none is the voxels of a pair, of which the header is NIfTI's."""
    if kind == "nrrd":
        from tumorlens.imaging.volumes.nrrd import open_nrrd

        return open_nrrd(stream, path, file)
    if kind == "metaimage":
        from tumorlens.imaging.volumes.metaimage import open_metaimage

        return open_metaimage(stream, path, file)
    if kind == "mgh":
        from tumorlens.imaging.volumes.mgh import open_mgh

        return open_mgh(stream, path, file)
    from tumorlens.imaging.volumes.nifti import open_nifti

    return open_nifti(stream, path, file)
