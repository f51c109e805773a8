"""Studies of a few slices, for tests of a watch."""

from __future__ import annotations

from pathlib import Path

from builders import write_series
from sources_of_dicom import TELLING, make_axial, paint_volume

NAME = "Secretive^Sam"


def lay_study(folder: Path, number: int = 1, *, slices: int = 5, **elements: object) -> list[Path]:
    """A study of one axial series; the same number is the same study."""
    study = f"1.2.826.0.1.99.{number}"
    told = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.4", "PatientName": NAME}
    return write_series(
        folder, paint_volume(slices, range(1, 3)), make_axial(), **{**TELLING, **told, **elements}
    )
