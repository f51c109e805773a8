"""What is said of a series and of a study: verdict, what carries it, which slices to open first.

Like `finding`, these nouns know neither who made them nor who draws them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tumorlens.digits import show_probability
from tumorlens.finding import RECORD_SCHEMA, VERDICTS, Finding, Verdict, plain_number, tabulate
from tumorlens.landmarks import KeySlice, Peak, Run

__all__ = [
    "NO_STUDY_MODEL",
    "SeriesFinding",
    "StudyFinding",
]

NO_STUDY_MODEL = "this model file has no study model: it judges slices only"
"""Why a series or a study has no verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conclusion:
    """What series and study have in common.

    Attributes:
        study_instance_uid: DICOM (0020,000D), if any.
        patient: hashed patient id, if the file tells.
        verdict: tumor, no_tumor, uncertain, unfamiliar; not_judged where no slice was; None with
            ``error``, or where the model has no numbers for series and studies (``notes`` say so).
        tumor_probability: calibrated, for as many heads with as without a tumor; None without
            evidence.
        probabilities: class name -> probability; the tumor classes add up to the tumor's.
        run: the slices that carry the evidence.
        peak: its strongest point.
        extent_mm: (through the slices, rows, columns) that the evidence of the run spans; None
            where a spacing is unknown, or without a run.
        first_slices: up to three slices to open first.
        verdicts: verdict -> slices that got it.
        unfamiliar_share: of the judged slices, by the tissue that they stand for.
        not_judged_share: of all slices that were read.
        operating_point: name of the operating point in use.
        model: name and version of the model.
        seconds: time that its slices took together.
        notes: what to know, each said once.
        error: why there is nothing to say, in a sentence.
    """

    study_instance_uid: str | None = None
    patient: str | None = None
    verdict: Verdict | None = None
    tumor_probability: float | None = None
    probabilities: Mapping[str, float] | None = None
    run: Run | None = None
    peak: Peak | None = None
    extent_mm: tuple[float | None, float | None, float | None] | None = None
    first_slices: tuple[KeySlice, ...] = ()
    verdicts: Mapping[str, int] = field(default_factory=dict)
    unfamiliar_share: float | None = None
    not_judged_share: float | None = None
    operating_point: str | None = None
    model: str | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None

    def __post_init__(self) -> None:
        if self.verdict is not None and self.verdict not in VERDICTS:
            known = ", ".join(VERDICTS)
            raise ValueError(f"verdict must be one of {known}, got {self.verdict!r}")
        if self.error is not None and self.verdict is not None:
            raise ValueError("a finding has either a verdict or an error")
        if self.tumor_probability is not None and not 0 <= self.tumor_probability <= 1:
            raise ValueError(f"tumor_probability lies in [0, 1], got {self.tumor_probability}")

    def _conclude(self) -> dict[str, Any]:
        """Keys that records of both kinds have."""
        chances = self.probabilities
        return {
            "study_instance_uid": self.study_instance_uid,
            "patient": self.patient,
            "notes": list(self.notes),
            "verdict": self.verdict,
            "tumor_probability": plain_number(self.tumor_probability),
            "probabilities": None
            if chances is None
            else {name: plain_number(value) for name, value in chances.items()},
            "run": None if self.run is None else self.run.to_record(),
            "peak": None if self.peak is None else self.peak.to_record(),
            "extent_mm": None
            if self.extent_mm is None
            else [plain_number(value) for value in self.extent_mm],
            "first_slices": [one.to_record() for one in self.first_slices],
            "verdicts": dict(self.verdicts),
            "unfamiliar_share": plain_number(self.unfamiliar_share),
            "not_judged_share": plain_number(self.not_judged_share),
        }


@dataclass(frozen=True, slots=True)
class SeriesFinding(_Conclusion):
    """What is said of one series: what one SeriesInstanceUID, one volume or one folder holds.

    Attributes:
        path: the file or folder that holds the series, as named by the caller.
        series_instance_uid: DICOM (0020,000E), if any.
        slices: slices that could be read. Those with the verdict ``not_judged`` count.
        tumor_slices: slices with the verdict ``tumor``.
        largest_probability: largest tumor probability of a slice; None without slices.
        longest_run: longest run of neighbouring ``tumor`` slices.
        uncertain_slices: slices with the verdict ``uncertain``.
        unfamiliar_slices: slices with the verdict ``unfamiliar``.
        not_judged: slices that show no brain, and files that could not be read. As a verdict of
            one slice, ``not_judged`` means only that the slice shows no brain. So this count may be
            larger than ``verdicts["not_judged"]``.
        sequence: FLAIR, T1, T1c, T2 or other, as the file tells or else as the pictures look.
        plane: axial, coronal, sagittal or oblique, in the same way.
        volume: 0-based number in a file or series that holds several volumes (time points, echoes,
            stacks of other planes); None where it holds but one.
        findings: of its slices, in order; not part of the record.

    The others stand in `_Conclusion`.
    """

    path: str
    series_instance_uid: str | None
    slices: int
    tumor_slices: int
    largest_probability: float | None
    longest_run: int
    uncertain_slices: int = 0
    unfamiliar_slices: int = 0
    not_judged: int = 0
    sequence: str | None = None
    plane: str | None = None
    volume: int | None = None
    findings: tuple[Finding, ...] = field(default=(), repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str | None, int | None]:
        """What tells the series from the others of a run."""
        return self.path, self.series_instance_uid, self.volume

    @classmethod
    def of(
        cls, findings: Sequence[Finding], path: str | None = None, **concluded: Any
    ) -> SeriesFinding:
        """Count over the findings of one series, in the order of its slices.

        Args:
            findings: at least one.
            path: of the series; by default that of its first slice.
            concluded: what else is known of it; without a verdict the finding only counts.
        """
        if not findings:
            raise ValueError("a series has at least one slice")
        answered = [finding for finding in findings if finding.error is None]
        first = answered[0] if answered else findings[0]
        info = first.info
        verdicts = Counter(str(finding.verdict) for finding in answered)
        failed = len(findings) - len(answered)
        told = {
            "study_instance_uid": info.study_instance_uid,
            "patient": info.patient,
            "sequence": info.sequence,
            "plane": info.plane,
            "operating_point": first.operating_point,
            "model": first.model,
            "seconds": sum(one.seconds or 0.0 for one in answered) if answered else None,
            "notes": tuple(dict.fromkeys(note for one in findings for note in one.info.notes)),
            "error": first.error,
        }
        return cls(
            path=info.path if path is None else path,
            series_instance_uid=info.series_instance_uid,
            slices=len(answered),
            tumor_slices=verdicts["tumor"],
            largest_probability=max(
                (one.tumor_probability or 0.0 for one in answered if one.verdict != "not_judged"),
                default=None,
            ),
            longest_run=_longest_run(answered),
            uncertain_slices=verdicts["uncertain"],
            unfamiliar_slices=verdicts["unfamiliar"],
            not_judged=failed + verdicts["not_judged"],
            verdicts=dict(verdicts),
            findings=tuple(findings),
            **(told | concluded),
        )

    def to_record(self) -> dict[str, Any]:
        """The record of kind ``series``: every key is always there."""
        return {
            "schema": RECORD_SCHEMA,
            "kind": "series",
            "path": self.path,
            "frame": None,
            "slices": self.slices,
            "tumor_slices": self.tumor_slices,
            "largest_probability": plain_number(self.largest_probability),
            "longest_run": self.longest_run,
            "operating_point": self.operating_point,
            "model": self.model,
            "series_instance_uid": self.series_instance_uid,
            "position_mm": None,
            "seconds": plain_number(self.seconds),
            "error": self.error,
            "uncertain_slices": self.uncertain_slices,
            "unfamiliar_slices": self.unfamiliar_slices,
            "not_judged": self.not_judged,
            "sequence": self.sequence,
            "plane": self.plane,
            "volume": self.volume,
            **self._conclude(),
        }

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        return _tabulate(self, {"series": self.path, "sequence": self.sequence})


@dataclass(frozen=True, slots=True)
class StudyFinding(_Conclusion):
    """What is said of one study: the series that were made of one patient at one visit.

    Attributes:
        path: the folder or file that holds the study, as named by the caller.
        series: its series, in the order of reading.
        leading: index of the series that carries the evidence: its run, peak and slices stand in
            the study's finding; None where no series was judged.

    The others stand in `_Conclusion`.
    """

    path: str
    series: tuple[SeriesFinding, ...] = ()
    leading: int | None = None

    @property
    def slices(self) -> int:
        """Slices of all series that could be read."""
        return sum(one.slices for one in self.series)

    def to_record(self) -> dict[str, Any]:
        """The record of kind ``study``: every key is always there."""
        leading = None if self.leading is None else self.series[self.leading]
        return {
            "schema": RECORD_SCHEMA,
            "kind": "study",
            "path": self.path,
            "frame": None,
            "slices": self.slices,
            "series": [
                {
                    "path": one.path,
                    "series_instance_uid": one.series_instance_uid,
                    "sequence": one.sequence,
                    "plane": one.plane,
                    "verdict": one.verdict,
                    "tumor_probability": plain_number(one.tumor_probability),
                }
                for one in self.series
            ],
            "leading_series": None if leading is None else leading.path,
            "operating_point": self.operating_point,
            "model": self.model,
            "series_instance_uid": None if leading is None else leading.series_instance_uid,
            "position_mm": None,
            "seconds": plain_number(self.seconds),
            "error": self.error,
            **self._conclude(),
        }

    def _repr_html_(self) -> str:
        """A small table for notebooks."""
        sequences = ", ".join(one.sequence or "unknown" for one in self.series)
        return _tabulate(self, {"study": self.path, "sequences": sequences})


def _longest_run(findings: Sequence[Finding]) -> int:
    longest = run = 0
    for finding in findings:
        run = run + 1 if finding.verdict == "tumor" else 0
        longest = max(longest, run)
    return longest


def _tabulate(found: _Conclusion, names: Mapping[str, str | None]) -> str:
    """The table for notebooks of a series or a study."""
    chance = found.tumor_probability
    shown: dict[str, object] = {
        **names,
        "verdict": found.verdict or found.error or "none",
        "tumor probability": None if chance is None else show_probability(chance),
        "open first": "; ".join(
            f"{one.path}, frame {one.frame}: {one.reason}" for one in found.first_slices
        )
        or None,
        "notes": "; ".join(found.notes) or None,
    }
    return tabulate(shown)
