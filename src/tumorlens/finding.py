"""What tumorlens says: the nouns that travel from reader and model to table, picture and page.

They know neither who made them nor who draws them.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "RECORD_SCHEMA",
    "RESEARCH_USE",
    "VERDICTS",
    "Appearance",
    "Box",
    "Finding",
    "SeriesFinding",
    "SliceInfo",
    "Verdict",
]

RECORD_SCHEMA = 2
"""Number of the record's schema: keys may be added under one number, never renamed.

Schema 2 has a fifth verdict, ``not_judged``; all else is as in schema 1.
"""

RESEARCH_USE = "For research only, not a medical device."
"""The one sentence that every picture, page and card carries."""

Verdict = Literal["tumor", "no_tumor", "uncertain", "unfamiliar", "not_judged"]
VERDICTS: tuple[Verdict, ...] = ("tumor", "no_tumor", "uncertain", "unfamiliar", "not_judged")
"""``not_judged``: the slice shows no brain, so there is nothing to judge."""


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
        verdict: tumor, no_tumor, uncertain, unfamiliar or not_judged (no brain is seen); None
            where ``error`` is set.
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
        activation: (h, w) float32, sigmoid of each cell's tumor logit; not part of the record.
        to_pixels: (2, 3) float64, affine from coordinates of the prepared image to pixels of
            the slice; not part of the record.
        image_size: side S of the prepared image, in its own pixels; not part of the record.
        brain: (h, w) float32, probability of each cell to show brain; not part of the record.
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
    activation: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    to_pixels: npt.NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    image_size: int | None = field(default=None, repr=False, compare=False)
    brain: npt.NDArray[np.float32] | None = field(default=None, repr=False, compare=False)

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
            "tumor_probability": _plain(self.tumor_probability),
            "probabilities": None
            if self.probabilities is None
            else {name: float(value) for name, value in self.probabilities.items()},
            "unfamiliarity": _plain(self.unfamiliarity),
            "peak_xy": None if self.peak_xy is None else [float(value) for value in self.peak_xy],
            "boxes": None if self.boxes is None else [box.to_list() for box in self.boxes],
            "operating_point": self.operating_point,
            "model": self.model,
            "series_instance_uid": self.info.series_instance_uid,
            "position_mm": _plain(self.info.position_mm),
            "seconds": _plain(self.seconds),
            "error": self.error,
            **_describe_origin(self.info),
            "brain_share": _plain(self.brain_share),
            "appearance": None if self.appearance is None else self.appearance.to_record(),
        }

    def _repr_html_(self) -> str:
        """A small table for notebooks; of an unfamiliar slice it shows no chance and no regions."""
        answered = self.verdict != "unfamiliar"
        points = self.verdict in ("tumor", "uncertain")
        shown = {
            "file": self.info.path,
            "frame": self.info.frame,
            "verdict": (self.verdict or "error").replace("_", " "),
            "tumor probability": _shown(self.tumor_probability if answered else None),
            "unfamiliarity": _shown(self.unfamiliarity),
            "regions": len(self.boxes) if points and self.boxes is not None else None,
            "notes": "; ".join(self.info.notes) or None,
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
        uncertain_slices: slices with the verdict ``uncertain``.
        unfamiliar_slices: slices with the verdict ``unfamiliar``.
        not_judged: slices without a verdict, because they could not be read.
        info: of its first slice, with the notes of all.
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
    uncertain_slices: int = 0
    unfamiliar_slices: int = 0
    not_judged: int = 0
    info: SliceInfo | None = None

    @classmethod
    def of(cls, findings: Sequence[Finding], path: str | None = None) -> SeriesFinding:
        """Count over the findings of one series, in the order of its slices."""
        if not findings:
            raise ValueError("a series has at least one slice")
        answered = [finding for finding in findings if finding.error is None]
        first = answered[0] if answered else findings[0]
        verdicts = Counter(finding.verdict for finding in answered)
        notes = (note for finding in findings for note in finding.info.notes)
        return cls(
            path=first.info.path if path is None else path,
            series_instance_uid=first.info.series_instance_uid,
            slices=len(answered),
            tumor_slices=verdicts["tumor"],
            largest_probability=max(
                (finding.tumor_probability or 0.0 for finding in answered), default=None
            ),
            longest_run=_longest_run(answered),
            operating_point=first.operating_point,
            model=first.model,
            seconds=sum(finding.seconds or 0.0 for finding in answered) if answered else None,
            error=first.error,
            uncertain_slices=verdicts["uncertain"],
            unfamiliar_slices=verdicts["unfamiliar"],
            not_judged=len(findings) - len(answered),
            info=replace(first.info, notes=tuple(dict.fromkeys(notes))),
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
            "largest_probability": _plain(self.largest_probability),
            "longest_run": self.longest_run,
            "operating_point": self.operating_point,
            "model": self.model,
            "series_instance_uid": self.series_instance_uid,
            "position_mm": None,
            "seconds": _plain(self.seconds),
            "error": self.error,
            "uncertain_slices": self.uncertain_slices,
            "unfamiliar_slices": self.unfamiliar_slices,
            "not_judged": self.not_judged,
            **_describe_origin(self.info),
        }


def _longest_run(findings: Iterable[Finding]) -> int:
    """Longest run of neighbours with the verdict ``tumor``."""
    longest = run = 0
    for finding in findings:
        run = run + 1 if finding.verdict == "tumor" else 0
        longest = max(longest, run)
    return longest


def _describe_origin(info: SliceInfo | None) -> dict[str, Any]:
    """Keys on where a slice or a series comes from, the same for both."""
    keys = ("study_instance_uid", "patient", "sequence", "plane")
    notes = () if info is None else info.notes
    return {**{key: getattr(info, key, None) for key in keys}, "notes": list(notes)}


def _plain(value: float | None) -> float | None:
    """A number of NumPy as Python's own."""
    return None if value is None else float(value)


def _shown(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
