"""What a DICOM data set says about its frames: position, patient, sequence, window.

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
from tumorlens.imaging.dicom.elements import (
    DataSet,
    count_items,
    read_floats,
    read_item,
    read_text,
    read_words,
)
from tumorlens.imaging.dicom.modality import (
    doubt_body_part,
    doubt_contrast,
    doubt_extent,
    doubt_modality,
)
from tumorlens.imaging.files.refusal import tell
from tumorlens.imaging.geometry import grid_of_slice
from tumorlens.imaging.pixels.voxels import FAR_INTERCEPT, is_out_of_reach
from tumorlens.imaging.sequences import guess_sequence
from tumorlens.imaging.series.places import Contents, Place

__all__ = ["FrameHeader", "hash_patient", "read_places"]

_LONGEST_PIXEL = 50.0  # sides of a pixel: beyond it, Pixel Spacing makes no sense
_PIXELS = (1e-3, 1e3)  # mm: nor outside of these
_FARTHEST = 1e6  # mm: positions beyond it make no sense

_GE_KINDS = {1.0: "P", 2.0: "R", 3.0: "I"}
"""What GE scanners write into (0043,102F): phase, real, imaginary; 0 is magnitude."""

_COMPONENTS = ("M", "P", "R", "I")
"""What Image Type calls magnitude, phase, real and imaginary."""

_MEASURES = "PixelMeasuresSequence"
_SPACINGS = {
    "PixelSpacing": "",
    "ImagerPixelSpacing": "spacing at the detector (Imager Pixel Spacing), not in the patient",
    "NominalScannedPixelSpacing": "spacing of a scanned film (Nominal Scanned Pixel Spacing)",
}
_RATIO = "size of pixels unknown: their shape is that of Pixel Aspect Ratio"

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
            values = read_floats(item, keyword, count)
            if values is not None:
                return values
        return None

    @property
    def rescale(self) -> tuple[float, float]:
        """Rescale Slope and Intercept; PS3.3, C.7.6.16.2.9. One out of reach is left out."""
        slope, intercept = self._stated_rescale
        return slope, 0.0 if self._is_far else intercept

    @property
    def _is_far(self) -> bool:
        return is_out_of_reach(*self._stated_rescale, self._bits)

    @property
    def _stated_rescale(self) -> tuple[float, float]:
        slope = self.floats("RescaleSlope", 1, "PixelValueTransformationSequence")
        intercept = self.floats("RescaleIntercept", 1, "PixelValueTransformationSequence")
        return (slope[0] if slope else 1.0), (intercept[0] if intercept else 0.0)

    @property
    def spacing(self) -> tuple[float, float] | None:
        """(row, column) Pixel Spacing in mm, or what else tells it; see `spacing_note`."""
        return self._spacing[0]

    @property
    def spacing_note(self) -> str:
        """A note on where the spacing comes from, if it is uncertain."""
        return self._spacing[1]

    @property
    def _spacing(self) -> tuple[tuple[float, float] | None, str]:
        for keyword, note in _SPACINGS.items():
            values = self.floats(keyword, 2, _MEASURES)
            if values is not None and _is_sound(values):
                return (values[0], values[1]), note
            if values is not None:
                tell("the stated pixel size makes no sense: it is ignored")
        ratio = self.floats("PixelAspectRatio", 2)
        if ratio is not None and _is_sound(ratio) and ratio[0] != ratio[1]:
            return (ratio[0] / ratio[1], 1.0), _RATIO
        return None, ""

    @property
    def window(self) -> tuple[float, float] | None:
        """First Window Center and Width, around the values that `rescale` gives."""
        center = self.floats("WindowCenter", 1, "FrameVOILUTSequence")
        width = self.floats("WindowWidth", 1, "FrameVOILUTSequence")
        if not (center and width and width[0] > 0):
            return None
        return center[0] - self._stated_rescale[1] + self.rescale[1], width[0]

    @property
    def padding(self) -> tuple[float, float] | None:
        """Range of stored values outside the picture: Pixel Padding; PS3.3, C.7.5.1.1.2.

        Some files state it with the sign that their pixels do not have: it is taken modulo the
        size of a stored pixel.
        """
        value = self.floats("PixelPaddingValue", 1)
        if value is None:
            return None
        limit = self.floats("PixelPaddingRangeLimit", 1) or value
        low, high = sorted((self._as_stored(value[0]), self._as_stored(limit[0])))
        return low, high

    def _as_stored(self, value: float) -> float:
        bits = self._bits
        signed = bool((self.floats("PixelRepresentation", 1) or (0.0,))[0])
        if not 1 <= bits <= 64 or value != int(value):
            return value
        least, size = -(2 ** (bits - 1)) if signed else 0, 2**bits
        return float((int(value) - least) % size + least)

    @property
    def _bits(self) -> int:
        return int((self.floats("BitsAllocated", 1) or (16.0,))[0])

    @property
    def directions(self) -> tuple[float, ...] | None:
        """Unit vectors along a row and down a column, where the file states sensible ones."""
        stated = self.floats("ImageOrientationPatient", 6, "PlaneOrientationSequence")
        stated = stated or self._letters()
        if stated is None:
            return None
        rows, columns = np.array(stated[:3]), np.array(stated[3:])
        lengths = np.linalg.norm(rows), np.linalg.norm(columns)
        if not all(0 < length < np.inf for length in lengths):
            return None
        try:
            grid = grid_of_slice(np.zeros(3), rows / lengths[0], columns / lengths[1], (1.0, 1.0))
        except ValueError:
            return None
        return (*grid.steps[:, 2].tolist(), *grid.steps[:, 1].tolist())

    @property
    def origin(self) -> tuple[float, float, float] | None:
        """Image Position (Patient) in mm: the centre of the first pixel."""
        values = self.floats("ImagePositionPatient", 3, "PlanePositionSequence")
        if values is None or max(map(abs, values)) > _FARTHEST:
            return None
        return values[0], values[1], values[2]

    @property
    def has_orientation(self) -> bool:
        """Whether the file states directions, even senseless ones."""
        return self.floats("ImageOrientationPatient", 6, "PlaneOrientationSequence") is not None

    @property
    def location(self) -> float | None:
        """Slice Location: a position along an axis that the file does not name."""
        values = self.floats("SliceLocation", 1)
        return values[0] if values and abs(values[0]) <= _FARTHEST else None

    @property
    def number(self) -> int | None:
        """Instance Number."""
        values = self.floats("InstanceNumber", 1)
        return int(values[0]) if values else None

    @property
    def kinds(self) -> list[str]:
        """Words of Image Type and Frame Type behind the first two, and what GE says instead."""
        words = [*self.words("ImageType")[2:]]
        words += self.words("FrameType", "MRImageFrameTypeSequence")[2:]
        words += self.words("ComplexImageComponent", "MRImageFrameTypeSequence")
        ge = read_floats(self.dataset, (0x0043, 0x102F), 0)
        return words + ([_GE_KINDS[ge[0]]] if ge and ge[0] in _GE_KINDS else [])

    @property
    def contents(self) -> Contents:
        """What distinguishes the volume of this frame from others at the same place."""

        def number(keyword: str, macro: str = "") -> float | None:
            values = self.floats(keyword, 1, macro)
            return values[0] if values else None

        kinds = (word.strip().upper() for word in self.kinds)
        content = "FrameContentSequence"
        return Contents(
            frame_of_reference=read_text(self.dataset, "FrameOfReferenceUID") or None,
            series=number("SeriesNumber"),
            stack=next(iter(self.words("StackID", content)), None),
            kind=next((word for word in kinds if word in _COMPONENTS), None),
            echo_time=_first(number("EffectiveEchoTime", "MREchoSequence"), number("EchoTime")),
            b_value=number("DiffusionBValue", "MRDiffusionSequence"),
            time_point=_first(
                number("TemporalPositionIndex", content), number("TemporalPositionIdentifier")
            ),
            echo=number("EchoNumbers"),
            acquisition=_first(
                number("FrameAcquisitionNumber", content), number("AcquisitionNumber")
            ),
            trigger_time=_first(
                number("NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence"),
                number("TriggerTime"),
            ),
            image_type=self._join("ImageType") + self._join("FrameType", "MRImageFrameTypeSequence")
            or None,
            sequence_name=self._join("SequenceName") or None,
            gradient=self._join("DiffusionGradientOrientation") or None,
            inversion_time=number("InversionTime"),
            flip_angle=number("FlipAngle"),
            acquisition_time=number("AcquisitionTime"),
        )

    def _join(self, keyword: str, macro: str = "") -> str:
        return "\\".join(self.words(keyword, macro))

    def words(self, keyword: str, macro: str = "") -> list[str]:
        """Words of an element of several values, looked for in its functional group first."""
        return next(
            (words for one in self._items(macro) if (words := read_words(one, keyword))), []
        )

    def describe(self, path: str, notes: tuple[str, ...] = (), **place: Any) -> SliceInfo:
        """Everything that the file tells; ``place`` holds what `arrange` found."""
        dataset = self.dataset
        modality = read_text(dataset, "Modality")
        return SliceInfo(
            path=path,
            frame=self.index,
            series_instance_uid=read_text(dataset, "SeriesInstanceUID") or None,
            study_instance_uid=read_text(dataset, "StudyInstanceUID") or None,
            patient=hash_patient(dataset),
            sequence=_guess_sequence(dataset) if modality in ("", "MR") else None,
            window=self.window,
            instance_number=self.number,
            notes=(*self._doubts(), *notes),
            **{"spacing_mm": self.spacing, **place},
        )

    def _doubts(self) -> Iterator[str]:
        """Reasons against a plain MRI of the head, a sentence each."""
        dataset = self.dataset
        spacing = None if self.spacing_note else self.spacing
        yield from filter(
            None,
            (
                doubt_modality(read_text(dataset, "Modality"), read_text(dataset, "SOPClassUID")),
                doubt_contrast(self.kinds, read_text(dataset, "SeriesDescription")),
                doubt_body_part(self._name_part()),
                FAR_INTERCEPT if self._is_far else "",
                doubt_extent(_read_shape(dataset), spacing) if spacing else "",
                self.spacing_note,
            ),
        )

    def _name_part(self) -> str:
        """Body part as the file says it: the anatomic region, which is coded, comes first."""
        for item in self._items("FrameAnatomySequence"):
            for region in read_item(item, "AnatomicRegionSequence", 0):
                if meaning := read_text(region, "CodeMeaning"):
                    return meaning
        return read_text(self.dataset, "BodyPartExamined")

    def _items(self, macro: str) -> Iterator[DataSet]:
        """Where an element may stand: the frame's own group, the shared one, the data set."""
        if macro:
            for group in (
                *read_item(self.dataset, "PerFrameFunctionalGroupsSequence", self.index),
                *read_item(self.dataset, "SharedFunctionalGroupsSequence", 0),
            ):
                yield from read_item(group, macro, 0)
        yield self.dataset

    def _letters(self) -> tuple[float, ...] | None:
        """Directions along a row and down a column, from Patient Orientation."""
        letters = read_text(self.dataset, "PatientOrientation").replace("\\", " ")
        words = [word.strip("'[], ") for word in letters.split()]
        if len(words) != 2 or not all(word[:1] in _DIRECTIONS for word in words):
            return None
        return (*_DIRECTIONS[words[0][0]], *_DIRECTIONS[words[1][0]])


def read_places(dataset: DataSet, count: int) -> Iterator[Place]:
    """Where ``count`` frames stand in their series; those without a group of their own, alike."""
    own = min(count, count_items(dataset, "PerFrameFunctionalGroupsSequence"))
    for index in range(own):
        yield _read_place(FrameHeader(dataset, index))
    if own < count:
        shared = _read_place(FrameHeader(dataset, own))
        yield from (shared._replace(frame=index) for index in range(own, count))


def _read_place(header: FrameHeader) -> Place:
    return Place(
        shape=_read_shape(header.dataset),
        directions=header.directions,
        spacing=header.spacing,
        origin=header.origin,
        location=header.location,
        number=header.number,
        dimensions=header.floats("DimensionIndexValues", 0, "FrameContentSequence") or (),
        frame=header.index,
        samples=int((header.floats("SamplesPerPixel", 1) or (1.0,))[0]),
        contents=header.contents,
    )


def _read_shape(dataset: DataSet) -> tuple[int, int]:
    rows, columns = (read_floats(dataset, key, 1) or (1.0,) for key in ("Rows", "Columns"))
    return max(1, int(rows[0])), max(1, int(columns[0]))


def _is_sound(spacing: tuple[float, ...]) -> bool:
    least, most = min(spacing), max(spacing)
    return _PIXELS[0] <= least and most <= min(_PIXELS[1], _LONGEST_PIXEL * least)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def hash_patient(dataset: DataSet) -> str | None:
    """Sixteen hex digits of SHA-256: the same for one patient everywhere, but not the ID itself."""
    patient = read_text(dataset, "PatientID")
    if not patient:
        return None
    issuer = read_text(dataset, "IssuerOfPatientID")
    return hashlib.sha256(f"{issuer}\0{patient}".encode(errors="replace")).hexdigest()[:16]


def _guess_sequence(dataset: DataSet) -> str | None:
    words = [
        read_text(dataset, key) for key in ("SeriesDescription", "ProtocolName", "SequenceName")
    ]
    agent = read_text(dataset, "ContrastBolusAgent").lower()
    contrast = bool(agent) and agent not in ("no", "none", "without")
    guesses = (guess_sequence(text, contrast=contrast) for text in words[:2] if text)
    return next((guess for guess in guesses if guess), None)
