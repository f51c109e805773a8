"""Positions of voxels in the patient, and cutting a volume into slices for display.

Coordinates are DICOM's patient system, in mm: x to the patient's left, y to the back, z to the head
(LPS; DICOM PS3.3, C.7.6.2.1.1). NIfTI's RAS differs in the signs of x and y.

Radiological display: axial columns run from the patient's right to left and rows front to back;
coronal columns right to left and rows head to foot; sagittal columns front to back and rows head
to foot. Slices are in the order of the normal (columns x rows): axial ones foot to head, coronal
ones front to back, sagittal ones left to right.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

__all__ = ["Arranged", "Grid", "Plane", "arrange", "choose_axis", "grid_of_slice"]

Point = tuple[float, float, float]
Plane = Literal["sagittal", "coronal", "axial"]
_PLANES: tuple[Plane, ...] = get_args(Plane)

THICK = 2.0
"""A volume is read as axial slices if its spacing through the plane is at most so many times that
in plane."""

_SLACK = 1.01
"""Positions are rounded, mostly to hundredths of a millimetre: a gap may be so much wider."""

OBLIQUE = 0.8
"""A direction belongs to a patient axis if the cosine between them reaches this (about 37 degrees),
the threshold that D. Clunie's pixelmed uses to name the plane of an oblique slice."""

_DISPLAY = {
    2: ((2, 1), (1, 1), (0, 1)),
    1: ((1, 1), (2, -1), (0, 1)),
    0: ((0, -1), (2, -1), (1, 1)),
}
"""Patient axis through the plane -> (patient axis, sign) of slices, rows and columns in order."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Places of the voxels of an array.

    Attributes:
        origin: (3,) float64, mm: centre of voxel (0, 0, 0).
        steps: (3, 3) float64, mm: column ``a`` is the step along array axis ``a``.

    Raises:
        ValueError: steps are not finite, or do not span space.
    """

    origin: npt.NDArray[np.float64]
    steps: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.origin.shape != (3,) or self.steps.shape != (3, 3):
            raise ValueError("a grid has an origin (3,) and steps (3, 3)")
        if not (np.isfinite(self.origin).all() and np.isfinite(self.steps).all()):
            raise ValueError("the orientation is not finite")
        if not self.spacing.min() > 0 or abs(np.linalg.det(self.steps / self.spacing)) < 0.01:
            raise ValueError("the directions of the axes do not span space")

    @property
    def spacing(self) -> npt.NDArray[np.float64]:
        """(3,) mm between voxel centres along each array axis."""
        return np.asarray(np.linalg.norm(self.steps, axis=0))

    @property
    def cosines(self) -> npt.NDArray[np.float64]:
        """(3, 3): column ``a`` is the unit direction of array axis ``a``."""
        return self.steps / self.spacing

    @property
    def patient_axes(self) -> tuple[int, ...]:
        """The patient axis (0 x, 1 y, 2 z) nearest to each array axis, each used once."""
        fit = np.abs(self.cosines)
        return max(permutations(range(3)), key=lambda axes: sum(fit[axes, (0, 1, 2)]))


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """A volume cut into slices for display.

    Attributes:
        slices: (n, H, W), a view of the volume.
        grid: places of its voxels.
        plane: the anatomical plane, or oblique.
        sides_known: the columns do run along the patient axis that the display names.
    """

    slices: npt.NDArray[Any]
    grid: Grid
    plane: Plane | Literal["oblique"]
    sides_known: bool

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """(row, column) spacing of the slices."""
        return float(self.grid.spacing[1]), float(self.grid.spacing[2])

    def position_mm(self, index: int) -> float:
        """Position of slice ``index`` along the normal of the slices."""
        return float((self.grid.origin + index * self.grid.steps[:, 0]) @ self.normal)

    def lps_mm(self, index: int) -> tuple[Point, Point, Point]:
        """Place of the first pixel of slice ``index``, step to the next column and to the next row.

        Each as (x, y, z) in mm.
        """
        grid = self.grid
        origin = grid.origin + index * grid.steps[:, 0]
        a, b, c = (tuple(one.tolist()) for one in (origin, grid.steps[:, 2], grid.steps[:, 1]))
        return a, b, c

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        """(3,) unit vector: columns x rows."""
        normal = _cross(self.grid.cosines[:, 2], self.grid.cosines[:, 1])
        return np.asarray(normal / np.linalg.norm(normal))


def arrange(volume: npt.NDArray[Any], grid: Grid, through: int) -> Arranged:
    """Cut a volume across array axis ``through`` and turn the slices for display.

    Args:
        volume: (A, B, C); only views of it are made.
        grid: places of its voxels.
        through: array axis from slice to slice.
    """
    axes = grid.patient_axes
    wanted = _DISPLAY[axes[through]]
    order = tuple(axes.index(patient_axis) for patient_axis, _ in wanted)
    turned, steps, origin = volume.transpose(order), grid.steps[:, order], grid.origin
    for axis, (patient_axis, sign) in enumerate(wanted):
        if steps[patient_axis, axis] * sign < 0:
            turned = np.flip(turned, axis)
            origin = origin + (turned.shape[axis] - 1) * steps[:, axis]
            steps[:, axis] *= -1
    placed = Grid(origin, steps)
    return Arranged(
        turned, placed, _name_plane(placed, axes[through]), _sides(placed, wanted[2][0])
    )


def choose_axis(
    shape: tuple[int, ...], grid: Grid, smallest_side: int, acquired: int | None = None
) -> int:
    """The array axis across which a volume is cut: see `THICK`.

    The axial one where spacing allows and axial slices would have ``smallest_side`` rows and
    columns; else the ``acquired`` one: unless given, the only short axis or that of widest spacing.
    """
    spacing = grid.spacing
    axial = grid.patient_axes.index(2)
    short = [axis for axis in range(3) if shape[axis] < smallest_side]
    if acquired is None:
        acquired = short[0] if len(short) == 1 else _widest(spacing)
    in_plane = np.prod(np.delete(spacing, acquired)) ** 0.5
    thin = spacing[acquired] <= THICK * in_plane * _SLACK
    return axial if thin and not set(short) - {axial} else acquired


def grid_of_slice(
    origin: npt.NDArray[np.float64],
    row_cosines: npt.NDArray[np.float64],
    column_cosines: npt.NDArray[np.float64],
    spacing: tuple[float, float],
) -> Grid:
    """Grid of one (1, H, W) slice from DICOM's Image Plane module (PS3.3, C.7.6.2.1.1).

    Args:
        origin: Image Position (Patient), mm.
        row_cosines: direction along a row, the first three of Image Orientation (Patient).
        column_cosines: direction down a column, the last three.
        spacing: Pixel Spacing: mm between rows, mm between columns.
    """
    normal = _cross(row_cosines, column_cosines)
    steps = np.stack((normal, column_cosines * spacing[0], row_cosines * spacing[1]), axis=1)
    return Grid(origin, steps)


def _cross(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Cross product of two vectors; NumPy's own is made for arrays and takes ten times as long."""
    (x, y, z), (u, v, w) = a.tolist(), b.tolist()
    return np.array((y * w - z * v, z * u - x * w, x * v - y * u))


def _widest(spacing: npt.NDArray[np.float64]) -> int:
    """Axis of the widest spacing; of equal ones the last, on which scanners stack slices."""
    return int(max(range(3), key=lambda axis: (round(float(spacing[axis]), 3), axis)))


def _name_plane(grid: Grid, through: int) -> Plane | Literal["oblique"]:
    normal = _cross(grid.cosines[:, 2], grid.cosines[:, 1])
    cosine = abs(normal[through]) / np.linalg.norm(normal)
    return _PLANES[through] if cosine >= OBLIQUE else "oblique"


def _sides(grid: Grid, column_axis: int) -> bool:
    return bool(abs(grid.cosines[column_axis, 2]) >= OBLIQUE)
