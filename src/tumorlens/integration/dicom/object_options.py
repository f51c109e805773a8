"""Which DICOM objects are written, where and how: `DicomOptions`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from tumorlens.errors import UsageError
from tumorlens.integration.dicom.stored_frames import UID

__all__ = ["ENDING", "OBJECTS", "DicomOptions", "ObjectKind"]

ObjectKind = Literal["sr", "seg", "sc"]
"""Structured report, segmentation, Secondary Capture."""
OBJECTS: tuple[ObjectKind, ...] = get_args(ObjectKind)

ENDING = ".dcm"
_LONGEST_ROOT = 39  # characters: 24 digits of chance are left of the 64 of a UID


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomOptions:
    """Which objects are written, where and how.

    Attributes:
        folder: made if it is not there.
        objects: kinds of objects.
        deidentified: leave out what names the patient, the visit and the people around.
        uid_root: new UIDs begin with it; by default they are made of random UUIDs under 2.25.
        overwrite: objects of the same names in the folder may be replaced.

    Raises:
        UsageError: no such kind of object, no valid root, or the folder holds objects already.
    """

    folder: Path
    objects: tuple[ObjectKind, ...] = OBJECTS
    deidentified: bool = False
    uid_root: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        unknown = [one for one in self.objects if one not in OBJECTS]
        if unknown or not self.objects:
            raise UsageError(f"`objects=` are some of {', '.join(OBJECTS)}, got {self.objects!r}")
        root = self.uid_root
        if root is not None and (len(root) > _LONGEST_ROOT or not _is_root(root)):
            raise UsageError(
                f"`uid_root=` is numbers joined by dots, as 1.2.826.0.1, of at most "
                f"{_LONGEST_ROOT} characters, got {root!r}"
            )
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder}: is no folder; name another one")
        held = not self.overwrite and self.folder.exists()
        if held and any(one.suffix == ENDING for one in self.folder.iterdir()):
            raise UsageError(
                f"{self.folder}: holds DICOM objects already; choose another folder or give "
                "`overwrite=True`"
            )


def _is_root(text: str) -> bool:
    return UID.fullmatch(text) is not None and text[0] in "012"
