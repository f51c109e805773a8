"""What tumorlens says: the nouns that travel from reader and model to table, picture and page.

They know neither who made them nor who draws them.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "RECORD_SCHEMA",
    "RESEARCH_USE",
    "VERDICTS",
    "Box",
    "Finding",
    "SeriesFinding",
    "SliceInfo",
    "Verdict",
]

RECORD_SCHEMA = 1
"""Number of the record's schema: keys may be added under one number, never renamed."""

RESEARCH_USE = "For research only, not a medical device."
"""The one sentence that every picture, page and card carries."""

Verdict = Literal["tumor", "no_tumor", "uncertain", "unfamiliar"]
VERDICTS: tuple[Verdict, ...] = ("tumor", "no_tumor", "uncertain", "unfamiliar")


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
        window: (center, width) that the file proposes; not applied to the pixels.
        sides_known: True if the columns are known to run from the patient's right to left
            (axial, coronal) or front to back (sagittal).
        notes: what the reader met and mended, e.g. ``"12 non-finite voxels set to background"``.
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

    def __post_init__(self) -> None:
        if self.frame < 0:
            raise ValueError(f"frame counts from 0, got {self.frame}")
        if self.spacing_mm is not None and not all(
            np.isfinite(value) and value > 0 for value in self.spacing_mm
        ):
            raise ValueError(f"spacing_mm must be two positive lengths, got {self.spacing_mm}")


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
        """``[x0, y0, x1, y1, score]``, rounded to what a pixel can mean."""
        edges = [round(float(edge), 1) for edge in (self.x0, self.y0, self.x1, self.y1)]
        return [*edges, round(float(self.score), 4)]


@dataclass(frozen=True, slots=True)
class Finding:
    """What the model says of one slice, or why it could say nothing.

    Attributes:
        info: the slice that it speaks of.
        verdict: tumor, no_tumor, uncertain or unfamiliar; None where ``error`` is set.
        tumor_probability: calibrated, 0 to 1; the sum over the tumor classes.
        probabilities: class name -> calibrated probability.
        unfamiliarity: 0 typical, 1 at the model's limit, above 1 unfamiliar.
        peak_xy: (x, y) of the strongest evidence, in pixels of the slice.
        boxes: regions of evidence over the model's cell threshold, strongest first.
        operating_point: name of the operating point in use.
        model: name and version of the model.
        seconds: time that the slice took, in its batch: prepare and network.
        error: why there is no verdict, in a sentence.
        activation: (h, w) float32, sigmoid of each cell's tumor logit; not part of the record.
        to_pixels: (2, 3) float64, affine from coordinates of the prepared image to pixels of
            the slice; not part of the record.
        image_size: side S of the prepared image, in its own pixels; not part of the record.
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
    activation: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    to_pixels: npt.NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    image_size: int | None = field(default=None, repr=False, compare=False)

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
        """The stable record of design section 4: every key is always there."""
        return {
            "schema": RECORD_SCHEMA,
            "kind": "slice",
            "path": self.info.path,
            "frame": self.info.frame,
            "verdict": self.verdict,
            "tumor_probability": _rounded(self.tumor_probability),
            "probabilities": None
            if self.probabilities is None
            else {name: _rounded(value) for name, value in self.probabilities.items()},
            "unfamiliarity": _rounded(self.unfamiliarity, 4),
            "peak_xy": None
            if self.peak_xy is None
            else [round(float(value), 1) for value in self.peak_xy],
            "boxes": None if self.boxes is None else [box.to_list() for box in self.boxes],
            "operating_point": self.operating_point,
            "model": self.model,
            "series_instance_uid": self.info.series_instance_uid,
            "position_mm": _rounded(self.info.position_mm, 3),
            "seconds": _rounded(self.seconds, 5),
            "error": self.error,
        }

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        shown = {
            "file": self.info.path,
            "frame": self.info.frame,
            "verdict": self.verdict or "error",
            "tumor probability": _shown(self.tumor_probability),
            "unfamiliarity": _shown(self.unfamiliarity),
            "regions": None if self.boxes is None else len(self.boxes),
            "error": self.error,
        }
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th>"
            f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
            for key, value in shown.items()
            if value is not None
        )
        return f"<table><caption>{html.escape(RESEARCH_USE)}</caption>{rows}</table>"


@dataclass(frozen=True, slots=True)
class SeriesFinding:
    """What was counted over the slices of one series. It gives no verdict.

    Attributes:
        path: the file or folder that holds the series, as named by the caller.
        series_instance_uid: DICOM (0020,000E), if any.
        slices: slices that got a verdict.
        tumor_slices: slices with the verdict ``tumor``.
        largest_probability: largest tumor probability of a slice; None without slices.
        longest_run: longest run of neighbouring ``tumor`` slices.
        operating_point: name of the operating point in use.
        model: name and version of the model.
        seconds: time that its slices took together.
        error: why no slice got a verdict, in a sentence; None if one did.
    """

    path: str
    series_instance_uid: str | None
    slices: int
    tumor_slices: int
    largest_probability: float | None
    longest_run: int
    operating_point: str | None = None
    model: str | None = None
    seconds: float | None = None
    error: str | None = None

    @classmethod
    def of(cls, findings: Sequence[Finding], path: str | None = None) -> SeriesFinding:
        """Count over the findings of one series, in the order of its slices."""
        if not findings:
            raise ValueError("a series has at least one slice")
        answered = [finding for finding in findings if finding.error is None]
        first = answered[0] if answered else findings[0]
        longest = run = 0
        for finding in answered:
            run = run + 1 if finding.verdict == "tumor" else 0
            longest = max(longest, run)
        return cls(
            path=first.info.path if path is None else path,
            series_instance_uid=first.info.series_instance_uid,
            slices=len(answered),
            tumor_slices=sum(finding.verdict == "tumor" for finding in answered),
            largest_probability=max(
                (finding.tumor_probability or 0.0 for finding in answered), default=None
            ),
            longest_run=longest,
            operating_point=first.operating_point,
            model=first.model,
            seconds=sum(finding.seconds or 0.0 for finding in answered) if answered else None,
            error=first.error,
        )

    def to_record(self) -> dict[str, Any]:
        """The record of kind ``series``: the keys of a slice's, with counts for the outputs."""
        return {
            "schema": RECORD_SCHEMA,
            "kind": "series",
            "path": self.path,
            "frame": None,
            "slices": self.slices,
            "tumor_slices": self.tumor_slices,
            "largest_probability": _rounded(self.largest_probability),
            "longest_run": self.longest_run,
            "operating_point": self.operating_point,
            "model": self.model,
            "series_instance_uid": self.series_instance_uid,
            "position_mm": None,
            "seconds": _rounded(self.seconds, 5),
            "error": self.error,
        }


def _rounded(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(float(value), digits)


def _shown(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
