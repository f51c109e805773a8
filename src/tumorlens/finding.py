"""What tumorlens says: the nouns that travel from reader and model to table, picture and page.

They know neither who made them nor who draws them.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from tumorlens.digits import show_probability
from tumorlens.errors import UsageError

__all__ = [
    "RECORD_SCHEMA",
    "RESEARCH_USE",
    "VERDICTS",
    "Appearance",
    "Box",
    "Finding",
    "Findings",
    "Millimetres",
    "SliceInfo",
    "StoredSlice",
    "Verdict",
    "plain_number",
    "tabulate",
]

RECORD_SCHEMA = 2
"""Number of the record's schema: keys may be added under one number, never renamed.

Schema 2 has a fifth verdict, ``not_judged``; all else is as in schema 1.
"""

RESEARCH_USE = "For research only, not a medical device."
"""The one sentence that every picture, page and card carries."""

Millimetres = tuple[float, float, float]
"""(x, y, z) of a place or a step in the patient: DICOM's LPS, PS3.3, C.7.6.2.1.1."""

Verdict = Literal["tumor", "no_tumor", "uncertain", "unfamiliar", "not_judged"]
VERDICTS: tuple[Verdict, ...] = ("tumor", "no_tumor", "uncertain", "unfamiliar", "not_judged")
"""``not_judged``: the slice shows no brain, or is no MRI of it: there is nothing to judge."""


class StoredSlice(NamedTuple):
    """A slice as it lies in a file: where to open it in a viewer.

    Attributes:
        path: the file or archive member, as the caller named it.
        frame: 0-based index inside ``path``.
        instance_number: DICOM (0020,0013), if any.
    """

    path: str
    frame: int
    instance_number: int | None


@dataclass(frozen=True, slots=True)
class SliceInfo:
    """Where a slice comes from and how it lies.

    Attributes:
        path: the file or archive member, as the caller named it.
        frame: 0-based index of the slice inside ``path``.
        series_instance_uid: DICOM (0020,000E), if any.
        study_instance_uid: DICOM (0020,000D), if any.
        patient: hashed patient id; never the id itself.
        position_mm: position along the slice normal, in mm.
        spacing_mm: (row, column) distance between pixel centres, in mm.
        sequence: FLAIR, T1, T1c, T2 or other, where the file tells.
        plane: axial, coronal, sagittal or oblique, where the file tells.
        window: (center, width) that the file proposes, or that the values of its volume give where
            its files disagree; not applied to the pixels.
        sides_known: True if the columns are known to run from the patient's right to left
            (axial, coronal) or front to back (sagittal).
        notes: what the reader met, mended, left out or doubts, a sentence each, e.g.
            ``"12 non-finite voxels set to background"``.
        instance_number: DICOM (0020,0013), if any.
        lps_mm: where the pixels lie in the patient: (place of the centre of pixel (0, 0), step to
            the next column, step to the next row), each (x, y, z) in mm of DICOM's LPS, for the
            slice as displayed; None where the file does not tell.
        files: for a slice that was cut from a volume, the stored slice that each of its columns
            lies in, or each of its rows (``files_along``).
        files_along: ``columns`` or ``rows`` where ``files`` has one for each.
        series_path: the folder or archive of a series of several files that name no UID.
    """

    path: str
    frame: int = 0
    series_instance_uid: str | None = None
    study_instance_uid: str | None = None
    patient: str | None = None
    position_mm: float | None = None
    spacing_mm: tuple[float, float] | None = None
    sequence: str | None = None
    plane: str | None = None
    window: tuple[float, float] | None = None
    sides_known: bool = False
    notes: tuple[str, ...] = ()
    instance_number: int | None = None
    lps_mm: tuple[Millimetres, Millimetres, Millimetres] | None = None
    files: tuple[StoredSlice, ...] = field(default=(), repr=False)
    files_along: Literal["columns", "rows"] | None = None
    series_path: str | None = None

    def place(self) -> tuple[str, int]:
        """(path, frame), as records name the slice."""
        return self.path, self.frame

    def to_patient(self, x: float, y: float) -> Millimetres | None:
        """Where pixel coordinates lie in the patient, in mm of DICOM's LPS.

        Args:
            x: the column; pixel i covers [i, i + 1).
            y: the row, likewise.

        Returns:
            None where the file does not tell how the slice lies.
        """
        if self.lps_mm is None:
            return None
        origin, column, row = self.lps_mm
        a, b, c = (
            o + (x - 0.5) * u + (y - 0.5) * v for o, u, v in zip(origin, column, row, strict=True)
        )
        return a, b, c

    def __post_init__(self) -> None:
        if self.frame < 0:
            raise ValueError(f"frame counts from 0, got {self.frame}")
        if self.spacing_mm is not None and not all(
            np.isfinite(value) and value > 0 for value in self.spacing_mm
        ):
            raise ValueError(f"spacing_mm must be two positive lengths, got {self.spacing_mm}")
        if bool(self.files) != bool(self.files_along):
            raise ValueError("files lie along columns or rows: give both or neither")

    def find_stored(self, x: float, y: float) -> StoredSlice:
        """The stored slice that shows the point (x, y) of this slice, in pixels."""
        if not self.files:
            return StoredSlice(self.path, self.frame, self.instance_number)
        index = int(x if self.files_along == "columns" else y)
        return self.files[min(max(index, 0), len(self.files) - 1)]


@dataclass(frozen=True, slots=True)
class Box:
    """A region of evidence, in pixels of the slice: half-open, x = column, 0-based.

    Attributes:
        x0, y0, x1, y1: edges, in pixels.
        score: largest activation inside, 0 to 1.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    score: float

    def __post_init__(self) -> None:
        if not (self.x1 > self.x0 and self.y1 > self.y0):
            raise ValueError(f"a box needs x1 > x0 and y1 > y0, got {self}")
        if not 0 <= self.score <= 1:
            raise ValueError(f"a score lies in [0, 1], got {self.score}")

    def to_list(self) -> list[float]:
        """``[x0, y0, x1, y1, score]``."""
        return [float(value) for value in (self.x0, self.y0, self.x1, self.y1, self.score)]


@dataclass(frozen=True, slots=True)
class Appearance:
    """What the model thinks that a slice shows, from its pixels alone.

    Attributes:
        plane: axial, coronal, sagittal -> probability.
        sequence: T1, T1c, T2, FLAIR, other -> probability.
        skull: on, off (the brain was cut out) -> probability.
    """

    plane: Mapping[str, float]
    sequence: Mapping[str, float]
    skull: Mapping[str, float]

    def most_likely(self) -> dict[str, tuple[str, float]]:
        """Question -> its most likely word and that word's probability."""
        asked = {"plane": self.plane, "sequence": self.sequence, "skull": self.skull}
        return {name: max(words.items(), key=lambda one: one[1]) for name, words in asked.items()}

    def to_record(self) -> dict[str, list[Any]]:
        """``{"plane": ["axial", 0.998], …}``."""
        return {name: [word, float(p)] for name, (word, p) in self.most_likely().items()}


@dataclass(frozen=True, slots=True)
class Finding:
    """What the model says of one slice, or why it could say nothing.

    Attributes:
        info: the slice that it speaks of.
        verdict: tumor, no_tumor, uncertain, unfamiliar or not_judged (no brain is seen, or the
            image is no MRI of it); None where ``error`` is set.
        tumor_probability: calibrated, 0 to 1; the sum over the tumor classes.
        probabilities: class name -> calibrated probability.
        unfamiliarity: 0 typical, 1 at the model's limit, above 1 unfamiliar.
        peak_xy: (x, y) of the strongest evidence, in pixels of the slice.
        boxes: regions of evidence over the model's cell threshold, strongest first.
        operating_point: name of the operating point in use.
        model: name and version of the model.
        seconds: time that the slice took, in its batch: prepare and network.
        error: why there is no verdict, in a sentence.
        brain_share: share of the image's cells that show brain; None where the model does not tell.
        appearance: plane, sequence and skull as the model sees them; None likewise.
        outside: above 1 the image is no MRI of the brain as the model knows it, 0 is a typical
            brain; None likewise.
        activation: (h, w) float32, sigmoid of each cell's tumor logit; not part of the record.
        to_pixels: (2, 3) float64, affine from coordinates of the prepared image to pixels of
            the slice; not part of the record.
        image_size: side S of the prepared image, in its own pixels; not part of the record.
        brain: (h, w) float32, probability of each cell to show brain; not part of the record.
        cell_threshold: activation from which on a cell belongs to a region; not part of the record.
        thresholds: (low, high) of the operating point, between which a slice is uncertain; not
            part of the record.
    """

    info: SliceInfo
    verdict: Verdict | None = None
    tumor_probability: float | None = None
    probabilities: Mapping[str, float] | None = None
    unfamiliarity: float | None = None
    peak_xy: tuple[float, float] | None = None
    boxes: tuple[Box, ...] | None = None
    operating_point: str | None = None
    model: str | None = None
    seconds: float | None = None
    error: str | None = None
    brain_share: float | None = None
    appearance: Appearance | None = None
    outside: float | None = None
    activation: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    to_pixels: npt.NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    image_size: int | None = field(default=None, repr=False, compare=False)
    brain: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    cell_threshold: float | None = field(default=None, repr=False, compare=False)
    thresholds: tuple[float, float] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.error is None) == (self.verdict is None):
            raise ValueError("a finding has either a verdict or an error")
        if self.error is not None:
            return
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict must be one of {', '.join(VERDICTS)}, got {self.verdict!r}")
        if self.tumor_probability is None or not 0 <= self.tumor_probability <= 1:
            raise ValueError(f"tumor_probability lies in [0, 1], got {self.tumor_probability}")

    def to_record(self) -> dict[str, Any]:
        """The stable record of docs/contracts.md: every key is always there, nothing is rounded."""
        return {
            "schema": RECORD_SCHEMA,
            "kind": "slice",
            "path": self.info.path,
            "frame": self.info.frame,
            "verdict": self.verdict,
            "tumor_probability": plain_number(self.tumor_probability),
            "probabilities": None
            if self.probabilities is None
            else {name: float(value) for name, value in self.probabilities.items()},
            "unfamiliarity": plain_number(self.unfamiliarity),
            "peak_xy": None if self.peak_xy is None else [float(value) for value in self.peak_xy],
            "boxes": None if self.boxes is None else [box.to_list() for box in self.boxes],
            "operating_point": self.operating_point,
            "model": self.model,
            "series_instance_uid": self.info.series_instance_uid,
            "position_mm": plain_number(self.info.position_mm),
            "seconds": plain_number(self.seconds),
            "error": self.error,
            **_describe_origin(self.info),
            "brain_share": plain_number(self.brain_share),
            "appearance": None if self.appearance is None else self.appearance.to_record(),
            "outside": plain_number(self.outside),
        }

    def _repr_html_(self) -> str:
        """A small table for notebooks, without numbers that would contradict the verdict."""
        answered = self.verdict not in ("unfamiliar", "not_judged")
        points = self.verdict in ("tumor", "uncertain")
        strange = self.unfamiliarity
        shown = {
            "file": self.info.path,
            "frame": self.info.frame,
            "verdict": (self.verdict or "error").replace("_", " "),
            "tumor probability": show_probability(self.tumor_probability)
            if answered and self.tumor_probability is not None
            else None,
            "unfamiliarity": None if strange is None else f"{strange:.3f}",
            "boxes": len(self.boxes) if points and self.boxes is not None else None,
            "notes": "; ".join(self.info.notes) or None,
            "error": self.error,
        }
        return tabulate(shown)


def tabulate(shown: Mapping[str, object]) -> str:
    """A small table for notebooks, as HTML; what is None is left out."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(key)}</th>"
        f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
        for key, value in shown.items()
        if value is not None
    )
    return f"<table><caption>{html.escape(RESEARCH_USE)}</caption>{rows}</table>"


T = TypeVar("T", bound="Recorded")


class Recorded(Protocol):
    """Whatever has a record: a finding of a slice, a series or a study."""

    def to_record(self) -> dict[str, Any]:
        """The record of its kind."""
        ...


class Findings(list[T], Generic[T]):
    """A list of findings that can become a table."""

    def to_records(self) -> list[dict[str, Any]]:
        """One record each."""
        return [one.to_record() for one in self]

    def to_frame(self) -> Any:
        """A pandas ``DataFrame``, a row a finding, a column a key of the record.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise UsageError("to_frame needs pandas: pip install pandas") from None
        return pd.DataFrame(self.to_records())


def _describe_origin(info: SliceInfo) -> dict[str, Any]:
    """Keys on where a slice comes from."""
    keys = ("study_instance_uid", "patient", "sequence", "plane")
    return {**{key: getattr(info, key) for key in keys}, "notes": list(info.notes)}


def plain_number(value: float | None) -> float | None:
    """A number of NumPy as Python's own."""
    return None if value is None else float(value)
