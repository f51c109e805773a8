"""The example pictures: in the wheel, or in a clone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["EXAMPLES", "find_examples", "find_folder"]

_HERE = Path(__file__).parent
_SHOWN = (
    "t1c_axial_synthetic_lesion.png",
    "flair_axial_synthetic_lesion.png",
    "t2_axial_normal.png",
)

EXAMPLES = {
    "t1c_axial_synthetic_lesion.png": "T1 with contrast, lesion painted in",
    "flair_axial_synthetic_lesion.png": "FLAIR, lesion painted in",
    "t2_axial_normal.png": "T2, no lesion",
    "t1_sagittal_normal.png": "T1 from the side, no lesion",
    "t1c_axial_synthetic_lesion.dcm": "DICOM file, lesion painted in",
    "t1c_axial_synthetic_lesion.nii.gz": "NIfTI file, lesion painted in",
}
"""File of ``examples/`` -> what a page says of it."""


def find_folder() -> Path | None:
    """The folder of the examples; None where an installation has none."""
    for folder in (_HERE / "web" / "examples", _HERE.parents[2] / "examples"):
        if all((folder / name).is_file() for name in EXAMPLES):
            return folder
    return None


def find_examples(names: Sequence[str] = _SHOWN) -> list[Path]:
    """Files of examples, by default those that a viewer offers; none where there are none."""
    folder = find_folder()
    return [] if folder is None else [folder / name for name in names]
