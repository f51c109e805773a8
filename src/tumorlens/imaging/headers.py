"""What a DICOM data set says of its frames: place, patient, sequence, window.

Data sets are asked by keyword; nothing here decodes a pixel. Real files break every rule of the
standard, so that a value that makes no sense counts as absent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tumorlens.finding import SliceInfo
from tumorlens.imaging.geometry import Grid, arrange, grid_of_slice
from tumorlens.imaging.modality import doubt_body_part, doubt_contrast, doubt_modality
from tumorlens.imaging.sequences import guess_sequence
from tumorlens.imaging.series import Place

__all__ = ["FrameHeader", "count_frames", "explain_no_picture", "read_place"]

DataSet = Any

_LONGEST_TEXT = 64  # characters of a UID, and of most other texts: PS3.5, 6.2

_NO_PICTURES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
}
"""SOP classes that store pixels which are no picture; PS3.4, B.5."""

_LONGEST_PIXEL = 50.0  # sides of a pixel: beyond it, Pixel Spacing makes no sense

_DIRECTIONS = {
    "L": (1, 0, 0),
    "R": (-1, 0, 0),
    "P": (0, 1, 0),
    "A": (0, -1, 0),
    "H": (0, 0, 1),
    "F": (0, 0, -1),
}
"""First letters of Patient Orientation (0020,0020) as directions; PS3.3, C.7.6.1.1.1."""


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """One frame of a data set: its own values come first, those shared by all frames next.

    Attributes:
        dataset: the data set, of a single-frame or an enhanced multi-frame object.
        index: of the frame, from 0.
    """

    dataset: DataSet
    index: int

    def floats(self, keyword: str, count: int, macro: str = "") -> tuple[float, ...] | None:
        """``count`` finite numbers of an element, looked for in its functional group first."""
        for item in self._items(macro):
            values = _floats(item, keyword, count)
            if values is not None:
                return values
        return None

    @property
    def rescale(self) -> tuple[float, float]:
        """Rescale Slope and Intercept; PS3.3, C.7.6.16.2.9."""
        slope = self.floats("RescaleSlope", 1, "PixelValueTransformationSequence")
        intercept = self.floats("RescaleIntercept", 1, "PixelValueTransformationSequence")
        return (slope[0] if slope else 1.0), (intercept[0] if intercept else 0.0)

    @property
    def spacing(self) -> tuple[float, float] | None:
        """(row, column) Pixel Spacing in mm."""
        values = self.floats("PixelSpacing", 2, "PixelMeasuresSequence")
        sound = values is not None and 0 < max(values) <= _LONGEST_PIXEL * min(values)
        return (values[0], values[1]) if values and sound else None

    @property
    def window(self) -> tuple[float, float] | None:
        """First Window Center and Width."""
        center = self.floats("WindowCenter", 1, "FrameVOILUTSequence")
        width = self.floats("WindowWidth", 1, "FrameVOILUTSequence")
        return (center[0], width[0]) if center and width and width[0] > 0 else None

    @property
    def padding(self) -> tuple[float, float] | None:
        """Range of stored values outside the picture: Pixel Padding; PS3.3, C.7.5.1.1.2."""
        value = self.floats("PixelPaddingValue", 1)
        if value is None:
            return None
        limit = self.floats("PixelPaddingRangeLimit", 1) or value
        return min(value[0], limit[0]), max(value[0], limit[0])

    @property
    def grid(self) -> Grid | None:
        """Places of the frame's pixels as (1, rows, columns); None if the file does not tell."""
        directions = self.floats("ImageOrientationPatient", 6, "PlaneOrientationSequence")
        origin = self.floats("ImagePositionPatient", 3, "PlanePositionSequence")
        directions = directions or self._letters()
        if directions is None:
            return None
        try:
            return grid_of_slice(
                np.array(origin or (0.0, 0.0, 0.0)),
                np.array(directions[:3], float),
                np.array(directions[3:], float),
                self.spacing or (1.0, 1.0),
            )
        except ValueError:
            return None

    @property
    def has_position(self) -> bool:
        """Whether the origin of ``grid`` is known."""
        return self.floats("ImagePositionPatient", 3, "PlanePositionSequence") is not None

    @property
    def has_orientation(self) -> bool:
        """Whether the file states directions, even senseless ones."""
        return self.floats("ImageOrientationPatient", 6, "PlaneOrientationSequence") is not None

    @property
    def location(self) -> float | None:
        """Slice Location: a position along an axis that the file does not name."""
        values = self.floats("SliceLocation", 1)
        return values[0] if values else None

    def describe(self, path: str, notes: tuple[str, ...] = (), **place: Any) -> SliceInfo:
        """Everything that the file tells; ``place`` holds what `arrange` found."""
        dataset = self.dataset
        modality = _text(dataset, "Modality")
        return SliceInfo(
            path=path,
            frame=self.index,
            series_instance_uid=_text(dataset, "SeriesInstanceUID") or None,
            study_instance_uid=_text(dataset, "StudyInstanceUID") or None,
            patient=_hash_patient(dataset),
            sequence=_guess_sequence(dataset) if modality in ("", "MR") else None,
            window=self.window,
            notes=(*self._doubts(modality), *notes),
            **{"spacing_mm": self.spacing, **place},
        )

    def _doubts(self, modality: str) -> Iterator[str]:
        """What speaks against a plain MRI of the head, in sentences."""
        description = _text(self.dataset, "SeriesDescription")
        yield from filter(
            None,
            (
                doubt_modality(modality, _text(self.dataset, "SOPClassUID")),
                doubt_contrast(self._contrast_words(), description),
                doubt_body_part(self._name_part()),
            ),
        )

    def _contrast_words(self) -> Iterator[str]:
        for item in self._items("MRImageFrameTypeSequence"):
            for keyword in ("FrameType", "ImageType"):
                yield from _texts(item, keyword)[2:]
            yield from _texts(item, "ComplexImageComponent")

    def _name_part(self) -> str:
        """Body part as the file says it: the anatomic region, which is coded, comes first."""
        for item in self._items("FrameAnatomySequence"):
            for region in _sequence(item, "AnatomicRegionSequence")[:1]:
                if meaning := _text(region, "CodeMeaning"):
                    return meaning
        return _text(self.dataset, "BodyPartExamined")

    def _items(self, macro: str) -> Iterator[DataSet]:
        if macro:
            frames = _sequence(self.dataset, "PerFrameFunctionalGroupsSequence")
            groups = [*frames[self.index : self.index + 1]]
            groups += _sequence(self.dataset, "SharedFunctionalGroupsSequence")[:1]
            for group in groups:
                yield from _sequence(group, macro)[:1]
        yield self.dataset

    def _letters(self) -> tuple[float, ...] | None:
        """Directions along a row and down a column, from Patient Orientation."""
        letters = _text(self.dataset, "PatientOrientation").replace("\\", " ")
        words = [word.strip("'[], ") for word in letters.split()]
        if len(words) != 2 or not all(word[:1] in _DIRECTIONS for word in words):
            return None
        return (*_DIRECTIONS[words[0][0]], *_DIRECTIONS[words[1][0]])


def explain_no_picture(dataset: DataSet) -> str:
    """Why an object shows no picture, in a phrase; empty if it may show one."""
    if not len(dataset):
        return "is a DICOM file that is cut short"
    uid = _text(dataset, "SOPClassUID")
    name = " ".join(getattr(dataset.get("SOPClassUID"), "name", "").split())[:_LONGEST_TEXT]
    if uid in _NO_PICTURES:
        return f"is {_NO_PICTURES[uid]}, no picture"
    if "MOSAIC" in (dataset.get("ImageType") or ()):
        return "is a Siemens mosaic of many slices in one picture"
    if "Rows" in dataset and "Columns" in dataset:
        return ""
    if "EncryptedAttributesSequence" in dataset:
        return "has its content encrypted"
    kind = "has no pixels" if "Image Storage" in name else "is a DICOM object without a picture"
    return f"{kind} ({name or 'no class stated'})"


def count_frames(dataset: DataSet) -> int:
    """Number of Frames, 1 if absent."""
    number = _floats(dataset, "NumberOfFrames", 1)
    return max(1, int(number[0])) if number else 1


def read_place(header: FrameHeader) -> Place:
    """Where the frame stands in its series."""
    shape = tuple((_floats(header.dataset, key, 1) or (0.0,))[0] for key in ("Rows", "Columns"))
    number = _floats(header.dataset, "InstanceNumber", 1)
    position, layout = header.location, shape
    grid = header.grid
    if grid is not None:
        arranged = arrange(np.empty((1, 1, 1)), grid, 0)
        layout = (*shape, *np.round(arranged.grid.cosines[:, 1:], 2).ravel().tolist())
        position = arranged.position_mm(0) if header.has_position else position
    return Place(layout, position, int(number[0] if number else 0) + header.index)


def _floats(dataset: DataSet, keyword: str, count: int) -> tuple[float, ...] | None:
    try:
        value = dataset.get(keyword)
        values = tuple(float(v) for v in np.ravel(value)[: count or None])
    except Exception:  # a broken value may fail in any converter
        return None
    return values if len(values) == count and np.isfinite(values).all() else None


def _text(dataset: DataSet, keyword: str) -> str:
    try:
        return " ".join(str(dataset.get(keyword) or "").split())[:_LONGEST_TEXT]
    except Exception:  # a broken value may fail in any converter
        return ""


def _texts(dataset: DataSet, keyword: str) -> list[str]:
    """Values of an element that may hold several."""
    try:
        value = dataset.get(keyword) or ()
        values = (value,) if isinstance(value, str) else tuple(value)
        return [str(one)[:_LONGEST_TEXT] for one in values]
    except Exception:  # a broken value may fail in any converter
        return []


def _sequence(dataset: DataSet, keyword: str) -> list[DataSet]:
    value = dataset.get(keyword)
    return list(value) if value else []


def _hash_patient(dataset: DataSet) -> str | None:
    """Sixteen hex digits of SHA-256: the same for one patient everywhere, and not the id itself."""
    patient = _text(dataset, "PatientID")
    if not patient:
        return None
    issuer = _text(dataset, "IssuerOfPatientID")
    return hashlib.sha256(f"{issuer}\0{patient}".encode(errors="replace")).hexdigest()[:16]


def _guess_sequence(dataset: DataSet) -> str | None:
    words = [_text(dataset, key) for key in ("SeriesDescription", "ProtocolName", "SequenceName")]
    agent = _text(dataset, "ContrastBolusAgent").lower()
    contrast = bool(agent) and agent not in ("no", "none", "without")
    guesses = (guess_sequence(text, contrast=contrast) for text in words[:2] if text)
    return next((guess for guess in guesses if guess), None)
