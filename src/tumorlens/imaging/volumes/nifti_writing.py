"""A volume written as NIfTI, where its slices lie in the patient: nibabel's door for writing."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.finding import Millimetres
from tumorlens.imaging.files.contents import DRAWN_BY
from tumorlens.imaging.files.shadows import hide_shadows
from tumorlens.writing import replace_when_done

with hide_shadows():
    import nibabel as nib

__all__ = ["OFFSET", "find_affine", "straighten", "write_planes", "write_volume"]

Placing = tuple[Millimetres, Millimetres, Millimetres]

OFFSET = 352
"""Bytes before the voxels of a file of `write_planes`."""

_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # from DICOM's LPS
_UNEVEN = 0.05  # share of the gap by which slices may lie off an even grid


def write_volume(
    path: Path,
    slices: Sequence[npt.NDArray[Any]],
    places: Sequence[Placing],
) -> None:
    """Write slices of one series as a NIfTI volume, its axes columns, rows, slices.

    Args:
        path: ends in ``.nii.gz``; replaced if there.
        slices: (H, W) each, in the order of the series.
        places: of each slice, as `SliceInfo.lps_mm` has it.

    Raises:
        ValueError: the slices differ in shape, or make no even grid.
    """
    if len({one.shape for one in slices}) != 1:
        raise ValueError("slices of different shapes make no volume")
    image = nib.Nifti1Image(np.stack(slices).transpose(2, 1, 0), find_affine(places))
    image.header["descrip"] = f"{DRAWN_BY} evidence".encode()
    image.header.set_intent("estimate", name="evidence")  # so that no reader takes it for a scan
    image.header.set_xyzt_units("mm")
    with replace_when_done(path, overwrite=True) as partial:
        partial.write_bytes(gzip.compress(image.to_bytes(), 1, mtime=0))


def write_planes(
    path: Path,
    planes: Iterable[npt.NDArray[Any]],
    shape: tuple[int, int, int],
    affine: npt.NDArray[np.float64],
) -> None:
    """Write slices as a NIfTI volume that is not compressed, one after the other.

    It is no result for people to keep: the name of no program stands in it, and its voxels come
    from a scan as well as from a model.

    Args:
        path: ends in ``.nii``; replaced if there.
        planes: (H, W) each, of one type.
        shape: (slices, H, W).
        affine: (4, 4), from voxels to the patient, as `find_affine` gives it.
    """
    taken = iter(planes)
    first = next(taken)
    header = nib.Nifti1Image(np.empty(shape[::-1], first.dtype), affine).header
    header.set_xyzt_units("mm")
    header["vox_offset"], header["magic"] = OFFSET, b"n+1"
    with replace_when_done(path, overwrite=True) as partial, partial.open("wb") as stream:
        stream.write(header.binaryblock.ljust(OFFSET, b"\0"))
        for plane in chain((first,), taken):
            stream.write(np.ascontiguousarray(plane).data)


def find_affine(places: Sequence[Placing]) -> npt.NDArray[np.float64]:
    """From voxels (column, row, slice) to millimetres of NIfTI's RAS.

    Args:
        places: of each slice, as `SliceInfo.lps_mm` has it.

    Raises:
        ValueError: the slices make no even grid.
    """
    origins = np.array([place[0] for place in places])
    _, column, row = (np.array(one) for one in places[0])
    affine = np.eye(4)
    affine[:3] = np.column_stack([column, row, _find_step(origins, column, row), origins[0]])
    return np.asarray(_RAS @ affine)


def straighten(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The affine of the same voxels as if they lay along the axes of the patient, around zero.

    Sizes, and which end of an axis is which, stay; a tilt goes.

    Args:
        affine: (4, 4), from voxels to NIfTI's RAS.
    """
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    straight = np.eye(4)
    straight[:3, :3] = 0
    for voxel, (axis, sign) in enumerate(nib.orientations.io_orientation(affine)):
        straight[int(axis), voxel] = sign * sizes[voxel]
    return straight


def _find_step(
    origins: npt.NDArray[np.float64],
    column: npt.NDArray[np.float64],
    row: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """From a slice to the next; one slice alone is as thick as its pixels are wide."""
    if len(origins) == 1:
        normal = np.cross(column, row)
        return np.asarray(normal / np.linalg.norm(normal) * np.linalg.norm(column))
    step = (origins[-1] - origins[0]) / (len(origins) - 1)
    even = origins[0] + np.arange(len(origins))[:, None] * step
    if np.abs(origins - even).max() > _UNEVEN * np.linalg.norm(step):
        raise ValueError("slices are missing, or lie unevenly")
    return np.asarray(step)
