"""What the finding of a series points at: a run of slices, a peak, slices to open first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tumorlens.finding import Millimetres, plain_number

__all__ = ["KeySlice", "Peak", "Run"]


@dataclass(frozen=True, slots=True)
class KeySlice:
    """A slice to open, and why.

    Attributes:
        path: the file, as the caller named it; of a slice that was cut from a volume, the file
            in which the strongest point of that slice lies.
        frame: 0-based index inside it.
        instance_number: DICOM (0020,0013), which a viewer shows; None where unknown.
        position_mm: along the normal of the slices; None where unknown.
        tumor_probability: of this slice.
        reason: a sentence.
        record: (path, frame) of the slice's record, which are others where it was cut.
    """

    path: str
    frame: int
    instance_number: int | None
    position_mm: float | None
    tumor_probability: float | None
    reason: str
    record: tuple[str, int] | None = None

    def place(self) -> tuple[str, int]:
        """(path, frame) of the slice's record."""
        return self.record or (self.path, self.frame)

    def to_record(self) -> dict[str, Any]:
        """As a record holds it."""
        return {
            "path": self.path,
            "frame": self.frame,
            "instance_number": self.instance_number,
            "position_mm": plain_number(self.position_mm),
            "tumor_probability": plain_number(self.tumor_probability),
            "reason": self.reason,
            "record": list(self.place()),
        }


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring slices that carry the evidence, in the order of the series.

    Attributes:
        first, last: (path, frame) of its ends.
        slices: how many lie in it, ends included.
        first_mm, last_mm: positions of its ends along the normal; None where unknown.
        length_mm: tissue that it spans, half a gap beyond each end included; None where the
            distance of the slices is unknown.
    """

    first: tuple[str, int]
    last: tuple[str, int]
    slices: int
    first_mm: float | None = None
    last_mm: float | None = None
    length_mm: float | None = None

    def to_record(self) -> dict[str, Any]:
        """As a record holds it."""
        return {
            "first": _name_end(self.first, self.first_mm),
            "last": _name_end(self.last, self.last_mm),
            "slices": self.slices,
            "length_mm": plain_number(self.length_mm),
        }


@dataclass(frozen=True, slots=True)
class Peak:
    """The strongest evidence of a series.

    Attributes:
        path, frame: the slice.
        xy: (x, y) in pixels of that slice.
        patient_mm: the same place in the patient: DICOM's LPS, in mm; None where the file does
            not tell how the slice lies.
    """

    path: str
    frame: int
    xy: tuple[float, float]
    patient_mm: Millimetres | None = None

    def to_record(self) -> dict[str, Any]:
        """As a record holds it."""
        place = self.patient_mm
        return {
            "path": self.path,
            "frame": self.frame,
            "xy": [float(value) for value in self.xy],
            "patient_mm": None if place is None else [float(value) for value in place],
        }


def _name_end(end: tuple[str, int], position: float | None) -> dict[str, Any]:
    return {"path": end[0], "frame": end[1], "position_mm": plain_number(position)}
