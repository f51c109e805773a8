"""FreeSurfer's volumes (.mgh, and .mgz, which is .mgh in gzip).

After surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat: 284 bytes of header, big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tumorlens.errors import InputError
from tumorlens.imaging.files.refusal import refuse
from tumorlens.imaging.sequences import guess_sequence
from tumorlens.imaging.volumes.layout import Layout, base_name
from tumorlens.imaging.volumes.spaces import RAS_TO_LPS, Space, find_space
from tumorlens.imaging.volumes.streams import Bytes, unzip

__all__ = ["open_mgh"]

_ORDER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]])
"""Directions that FreeSurfer takes: coronal; x to the left, y to the feet, z to the front."""
_BROKEN = "has a broken MGH header"
_ADVICE = "convert it anew with mri_convert"
_SIZE = 284  # bytes of the header
_FIELDS = struct.Struct(">7ih15f")
_TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}


@contextmanager
def open_mgh(
    stream: BinaryIO, path: str, file: Path | None = None
) -> Iterator[tuple[Bytes, Layout]]:
    """The voxels of an MGH file, and what its header says of them.

    Args:
        stream: the file, gzipped or not.
        path: how the caller named it.
        file: where it lies on disk; not asked.

    Raises:
        InputError: broken.
    """
    with refuse(path, _BROKEN, _ADVICE):
        block = unzip(stream).read(_SIZE)
        _, x, y, z, volumes, kind, _, is_placed, *numbers = _FIELDS.unpack_from(block)
        if min(x, y, z, volumes) < 1:
            raise ValueError(f"shape {x} x {y} x {z}, {volumes} volumes")
        if kind not in _TYPES:
            raise InputError(path, f"has voxels of the type {kind}", _ADVICE)
        layout = Layout(
            shape=(x, y, z),
            volumes=volumes,
            dtype=np.dtype(_TYPES[kind]),
            offset=_SIZE,
            scale=(1.0, 0.0),
            space=_find_space(numbers, (x, y, z), is_placed=bool(is_placed)),
            notes=(),
            sequence=guess_sequence(base_name(path)),
        )
    yield unzip(stream), layout


def _find_space(numbers: list[float], shape: tuple[int, int, int], *, is_placed: bool) -> Space:
    """Of the sizes, the cosines axis by axis and the place of the middle voxel, in RAS."""
    sizes = np.array(numbers[:3])
    if not is_placed:
        return find_space({}, sizes, shape, _ORDER)
    steps = np.array(numbers[3:12]).reshape(3, 3).T * sizes
    origin = np.array(numbers[12:]) - steps @ (np.array(shape) / 2)
    return find_space(
        {"orientation": RAS_TO_LPS * np.column_stack((steps, origin))}, sizes, shape, _ORDER
    )
