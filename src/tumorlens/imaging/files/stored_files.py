"""`Source` and the files it is made of, on disk or inside an archive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tumorlens.errors import InputError

if TYPE_CHECKING:  # only the name of a type: a source never looks into its places
    from tumorlens.imaging.series.places import Place

__all__ = ["Found", "Skipped", "Source", "StoredFile", "rename_found"]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file.

    Attributes:
        path: how records name it.
        file: the file on disk; for a member, its archive.
        member: name inside the archive, if it lies in one.
    """

    path: str
    file: Path
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One unit of reading: a picture, a file of volumes, a DICOM file or a DICOM series.

    Attributes:
        path: how the caller named it; for a series, the folder, DICOMDIR or archive it lies in.
        parts: the files to read, in the order of their slices.
        kind: ``raster``, ``volume`` or ``dicom``: guessed by name; the reader checks the content.
        named: True if the caller named this very file.
        series_uid: Series Instance UID, for a series that has one.
        any_content: True to read label maps, and what else is no scan, too.
        places: of the frames of each part, where their headers were read.
        notes: what was done when files were put together, a phrase each.
    """

    path: str
    parts: tuple[StoredFile, ...]
    kind: Literal["raster", "volume", "dicom"]
    named: bool = False
    series_uid: str | None = None
    any_content: bool = False
    places: tuple[tuple[Place, ...], ...] = field(default=(), repr=False, compare=False)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("a source has at least one file")
        if self.places and len(self.places) != len(self.parts):
            raise ValueError("a source has places for each of its files, or for none")

    @property
    def files(self) -> tuple[Path, ...]:
        """The files on disk, one for each part."""
        return tuple(part.file for part in self.parts)

    @property
    def is_series(self) -> bool:
        """Whether it is a DICOM series of several files."""
        return len(self.parts) > 1


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file in a folder or an archive that is no image, and why."""

    path: str
    reason: str


Found = Source | Skipped | InputError


def rename_found(show: Callable[[str], str], found: Found) -> Found:
    """The same, with every path and text as ``show`` gives it; the files on disk stay."""
    if isinstance(found, InputError):
        return type(found)(*map(show, (found.path, found.reason, found.advice)))
    if isinstance(found, Skipped):
        return Skipped(show(found.path), show(found.reason))
    parts = tuple(replace(part, path=show(part.path)) for part in found.parts)
    return replace(found, path=show(found.path), parts=parts, notes=tuple(map(show, found.notes)))
