"""A volume written as NIfTI, where its slices lie in the patient: nibabel's door for writing."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
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

__all__ = ["write_volume"]

_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # from DICOM's LPS
_UNEVEN = 0.05  # share of the gap by which slices may lie off an even grid


def write_volume(
    path: Path,
    slices: Sequence[npt.NDArray[Any]],
    places: Sequence[tuple[Millimetres, Millimetres, Millimetres]],
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
    origins = np.array([place[0] for place in places])
    _, column, row = (np.array(one) for one in places[0])
    through = _find_step(origins, column, row)
    affine = np.eye(4)
    affine[:3] = np.column_stack([column, row, through, origins[0]])
    image = nib.Nifti1Image(np.stack(slices).transpose(2, 1, 0), _RAS @ affine)
    image.header["descrip"] = f"{DRAWN_BY} evidence".encode()
    image.header.set_intent("estimate", name="evidence")  # so that no reader takes it for a scan
    image.header.set_xyzt_units("mm")
    with replace_when_done(path, overwrite=True) as partial:
        partial.write_bytes(gzip.compress(image.to_bytes(), 1, mtime=0))


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
