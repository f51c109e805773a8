"""DICOM series of a painted head, as scanners of several kinds store them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from builders import make_enhanced, save_dataset, write_series
from heads import paint_slice

TELLING = {
    "FrameOfReferenceUID": "1.2.3.9",
    "SeriesDescription": "T1 after contrast agent",
    "Manufacturer": "Acme",
    "ManufacturerModelName": "Scanner 7",
    "StationName": "ROOM-2",
    "InstitutionName": "Hospital of the Tests",
    "PatientBirthDate": "19600102",
    "PatientSex": "F",
    "AccessionNumber": "A-77",
}


def paint_volume(
    slices: int = 20, spots: range = range(8, 12), at: tuple[int, int] = (30, 30)
) -> np.ndarray:
    """(slices, rows, columns) uint16, with a bright square at (x, y) in some of the slices."""
    painted = [paint_slice(at if number in spots else None) for number in range(slices)]
    return np.stack(painted).astype(np.uint16) * 8


def make_axial(gap: float = 4.0, pixel: float = 1.5) -> np.ndarray:
    """LPS affine of [slice, row, column] indices of an axial series."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, pixel], [0, pixel, 0], [gap, 0, 0]])
    affine[:3, 3] = (-80.0, -90.0, -30.0)
    return affine


def write_axial(folder: Path, **elements: object) -> list[Path]:
    """A plain axial series, one file a slice."""
    return write_series(folder, paint_volume(), make_axial(), **{**TELLING, **elements})


def write_sagittal(folder: Path, **elements: object) -> list[Path]:
    """A thin sagittal series, which is read as axial slices that are cut anew."""
    volume = paint_volume(60, range(20, 35)).transpose(2, 0, 1)[:, ::-1]  # [x, z, y]
    affine = np.eye(4)
    affine[:3, :3] = np.array([[1.6, 0, 0], [0, 0, 1.5], [0, -2.5, 0]])
    affine[:3, 3] = (-80.0, -90.0, 90.0)
    return write_series(folder, volume, affine, **{**TELLING, **elements})


def write_enhanced(folder: Path, **elements: object) -> list[Path]:
    """One enhanced multi-frame object."""
    folder.mkdir(parents=True, exist_ok=True)
    volume = paint_volume()
    dataset = make_enhanced(volume, make_axial(), [1.0] * len(volume))
    for keyword, value in {**TELLING, **elements}.items():
        setattr(dataset, keyword, value)
    return [save_dataset(folder / "enhanced.dcm", dataset)]


def write_uneven(folder: Path) -> list[Path]:
    """An axial series of which four slices are missing."""
    files = write_axial(folder)
    for number in (3, 4, 9, 15):
        files[number].unlink()
    return [one for one in files if one.exists()]


def write_poor(folder: Path) -> list[Path]:
    """A series that states nothing of the patient and the visit, and one senseless value."""
    nothing = ("StudyID", "StudyDate", "StudyTime", "PatientName", "PatientBirthDate")
    empty = dict.fromkeys(nothing) | {"PatientBirthDate": "2.1.1960", "PatientSex": "female"}
    with warnings.catch_warnings(action="ignore"):  # pydicom dislikes such values, as it should
        return write_axial(folder, **{**empty, "AccessionNumber": "", "Manufacturer": ""})


SOURCES = {
    "axial": write_axial,
    "sagittal": write_sagittal,
    "enhanced": write_enhanced,
    "uneven": write_uneven,
    "poor": write_poor,
}
