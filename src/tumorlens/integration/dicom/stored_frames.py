"""The stored frames behind a series that was judged: who they are and where they lie.

Their headers are read anew, from the files that the findings name; pixels are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tumorlens.errors import InputError
from tumorlens.finding import Finding
from tumorlens.imaging.dicom.elements import read_floats, read_text
from tumorlens.imaging.dicom.headers import FrameHeader, read_places
from tumorlens.imaging.dicom.objects import count_frames
from tumorlens.imaging.files.access import Opener
from tumorlens.imaging.files.contents import HEAD_BYTES, sniff
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.refusal import refuse
from tumorlens.imaging.files.sources import Source, name_file
from tumorlens.imaging.series.places import Place
from tumorlens.integration.dicom.attributes import pick_attributes
from tumorlens.study_finding import SeriesFinding

__all__ = ["SourceSeries", "StoredFrame", "read_source"]

UID = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))+")
"""A unique identifier; PS3.5, 9.1. It has at most 64 characters."""

_NO_SOURCE = "is no DICOM file, so that there is nothing to refer to"
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
_SINGLE = tuple(f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("1", "2", "4", "6.1", "7", "128"))
"""CR, CT, MR, ultrasound, Secondary Capture, PET; PS3.4, B.5. Some files of these have several."""
_ALIKE = 1e-3  # of a unit vector: directions of one series that differ by less are one
_ONE_PLACE = 1e-3  # mm


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame as it is stored.

    Attributes:
        path: the file or archive member, as findings name it.
        frame: 0-based index inside it.
        sop_class, sop_instance: UIDs of the object.
        number: 1-based number in an object of several frames; None where there is but one.
        place: where it lies.
        thickness: Slice Thickness in mm, if stated.
    """

    path: str
    frame: int
    sop_class: str
    sop_instance: str
    number: int | None
    place: Place
    thickness: float | None = None

    @property
    def key(self) -> tuple[str, int]:
        """(path, frame)."""
        return self.path, self.frame

    @property
    def reference(self) -> tuple[str, str, int | None]:
        """SOP Class UID, SOP Instance UID, number of the frame."""
        return self.sop_class, self.sop_instance, self.number


@dataclass(frozen=True, slots=True, eq=False)
class SourceSeries:
    """The stored frames of one series that was judged.

    Attributes:
        first: what every object takes over, of its first object; see `attributes`.
        frames: in the order of reading.
        study, series: UIDs.
        frame_of_reference: UID; empty if the objects name none, or several.
        lossy: a lossy compression was applied to an object.
        burned_in: texts in the pixels may name the patient.
    """

    first: Any
    frames: tuple[StoredFrame, ...]
    study: str
    series: str
    frame_of_reference: str
    lossy: bool
    burned_in: bool
    by_key: Mapping[tuple[str, int], StoredFrame] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.frames:
            raise ValueError("a series has at least one frame")
        object.__setattr__(self, "by_key", {one.key: one for one in self.frames})

    @property
    def modality(self) -> str:
        """MR, CT …; OT where the file does not tell."""
        return read_text(self.first, "Modality") or "OT"

    @property
    def thickness(self) -> float | None:
        """Slice Thickness in mm; if none is stated, the smallest distance of two slices."""
        stated = self.frames[0].thickness
        if stated is not None or len(self.frames) < 2:
            return stated
        return float(np.diff(sorted(self.distances())).min())

    def explain_no_map(self) -> str:
        """Why nothing can be laid over these frames, in a phrase; empty if it can."""
        if not self.frame_of_reference:
            return "it states no Frame of Reference UID that holds for all of its slices"
        if len({one.reference for one in self.frames}) < len(self.frames):
            return (
                "several of its images have one SOP Instance UID, so that none can be referred to"
            )
        return self._explain_no_place() or self._explain_no_volume()

    def _explain_no_place(self) -> str:
        places = [one.place for one in self.frames]
        if any(one.origin is None or one.directions is None for one in places):
            return "it does not state where all of its slices lie"
        if any(one.spacing is None for one in places):
            return "it does not state the distance of its pixels"
        return ""

    def _explain_no_volume(self) -> str:
        places = [one.place for one in self.frames]
        if len({one.shape for one in places}) > 1:
            return "its slices differ in size"
        if not all(_are_close(one, places[0]) for one in places):
            return "its slices differ in direction or in the distance of their pixels"
        if len(places) > 1 and np.diff(sorted(self.distances())).min() < _ONE_PLACE:
            return "two of its slices lie at one place"
        if self.thickness is None:
            return "it states no Slice Thickness, and there is no second slice to tell it"
        return ""

    def distances(self) -> list[float]:
        """Of the frames along the normal of the first, in mm."""
        rows, columns = np.array(self.frames[0].place.directions or (1, 0, 0, 0, 1, 0)).reshape(
            2, 3
        )
        normal = np.cross(rows, columns)
        return [float(np.array(one.place.origin or (0, 0, 0)) @ normal) for one in self.frames]


def read_source(series: SeriesFinding, limits: Limits) -> SourceSeries:
    """Read the headers of the stored frames of a series.

    Args:
        series: with its findings.
        limits: for each file.

    Raises:
        InputError: no DICOM files, or they lack what every object has to name.
    """
    wanted = _list_stored(series.findings)
    first: Any = None
    frames: list[StoredFrame] = []
    references: set[str] = set()
    lossy = burned_in = False
    with Opener(limits) as opener:
        for path, indices in wanted.items():
            dataset = _read(path, opener, limits)
            first = pick_attributes(dataset) if first is None else first
            references.add(read_text(dataset, "FrameOfReferenceUID"))
            lossy = lossy or read_text(dataset, "LossyImageCompression") == "01"
            burned_in = burned_in or _may_be_burned_in(dataset)
            frames += _list_frames(dataset, path, indices)
    frame_of_reference = references.pop() if len(references) == 1 else ""
    return SourceSeries(
        first,
        tuple(frames),
        study=read_text(first, "StudyInstanceUID"),
        series=read_text(first, "SeriesInstanceUID"),
        frame_of_reference=frame_of_reference if _is_uid(frame_of_reference) else "",
        lossy=lossy,
        burned_in=burned_in,
    )


def _list_stored(findings: Iterable[Finding]) -> dict[str, list[int]]:
    """Path -> indices of the frames that were read, in the order of reading."""
    stored: dict[str, dict[int, None]] = {}
    for one in findings:
        if one.error is not None:
            continue
        for path, frame in _name_stored(one):
            stored.setdefault(path, {})[frame] = None
    return {path: list(indices) for path, indices in stored.items()}


def _name_stored(finding: Finding) -> list[tuple[str, int]]:
    info = finding.info
    if not info.files:
        return [info.place()]
    return list(dict.fromkeys((one.path, one.frame) for one in info.files))


def _read(path: str, opener: Opener, limits: Limits) -> Any:
    from tumorlens.imaging.dicom.datasets import read_attributes

    source = next(iter(name_file(Path(path), path, limits)), None)
    if not isinstance(source, Source):
        raise source if isinstance(source, InputError) else InputError(path, _NO_SOURCE)
    with opener.open(source.parts[0]) as stream:
        if sniff(stream.read(HEAD_BYTES)) != "dicom":
            raise InputError(path, _NO_SOURCE)
        stream.seek(0)
        dataset = read_attributes(stream, path, limits)
    for keyword in _NEEDED:
        value = read_text(dataset, keyword)
        if not _is_uid(value):
            what = "states an invalid" if value else "states no"
            raise InputError(path, f"{what} {keyword}, which every DICOM object has to name")
    return dataset


def _is_uid(text: str) -> bool:
    return len(text) <= 64 and UID.fullmatch(text) is not None


def _list_frames(dataset: Any, path: str, indices: Sequence[int]) -> list[StoredFrame]:
    with refuse(path, "is a damaged DICOM file", "export it anew"):
        count = count_frames(dataset)
        places = list(read_places(dataset, count))
        return [
            StoredFrame(
                path,
                index,
                read_text(dataset, "SOPClassUID"),
                read_text(dataset, "SOPInstanceUID"),
                index + 1 if count > 1 and not _is_single(dataset) else None,
                places[index],
                _read_thickness(dataset, index),
            )
            for index in indices
        ]


def _is_single(dataset: Any) -> bool:
    """Whether its class is one of a single frame: a reference may not name one then."""
    return read_text(dataset, "SOPClassUID") in _SINGLE


def _read_thickness(dataset: Any, index: int) -> float | None:
    values = FrameHeader(dataset, index).floats("SliceThickness", 1, "PixelMeasuresSequence")
    return values[0] if values and values[0] > 0 else None


def _may_be_burned_in(dataset: Any) -> bool:
    """Texts may be burned into a screenshot, unless the file says that none are."""
    stated = read_text(dataset, "BurnedInAnnotation")
    samples = read_floats(dataset, "SamplesPerPixel", 1)
    captured = read_text(dataset, "SOPClassUID").startswith(_SECONDARY) or samples == (3.0,)
    return stated == "YES" or (captured and stated != "NO")


def _are_close(one: Place, other: Place) -> bool:
    directions = np.array(one.directions) - np.array(other.directions)
    spacing = np.array(one.spacing) / np.array(other.spacing) - 1
    return bool(np.abs(directions).max() < _ALIKE and np.abs(spacing).max() < _ALIKE)
