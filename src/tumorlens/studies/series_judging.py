"""From the findings of slices to the finding of their series."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.finding import Box, Finding, Verdict
from tumorlens.landmarks import Peak, Run
from tumorlens.logits import to_logit, to_probability
from tumorlens.studies.key_slices import choose_key_slices
from tumorlens.studies.looks import Looks
from tumorlens.studies.profile import (
    SHORT_MM,
    Profile,
    measure_features,
    measure_tissue,
    place_slices,
)
from tumorlens.studies.study_model import StudyModel
from tumorlens.study_finding import NO_STUDY_MODEL, SeriesFinding

__all__ = ["judge_series"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NOT_JUDGED: Verdict = "not_judged"
LEAST_SLICES = 5
"""A series with fewer judged slices gets no verdict: the numbers were fitted on longer ones."""
TOO_SHORT = (
    f"fewer than {LEAST_SLICES} slices were judged: the series has no verdict, its slices do"
)
ONE_SLICE = "a single slice: it has a verdict, but the series has none"
NO_BRAIN = "no slice shows brain: nothing was judged"
OF_SERIES = re.compile(r"\d+ of \d+ slices? ")
"""A note that counts slices is about the whole series, although one slice carries it."""
UNKNOWN_SPACING = "the distance of the slices is unknown: even spacing is assumed"


def judge_series(
    findings: Sequence[Finding], model: StudyModel | None, path: str | None = None
) -> SeriesFinding:
    """Combine the findings of the slices of one series.

    Args:
        findings: findings of its slices, in their order; at least one.
        model: numbers for series. Without them the finding only counts slices, and a note says so.
        path: path of the series; by default that of its first slice.
    """
    told = _Told(findings)
    reason = _explain_no_verdict(told, model)
    if model is None or reason is not None:
        return SeriesFinding.of(
            findings,
            path,
            verdict=NOT_JUDGED if reason == NO_BRAIN else None,
            notes=(*told.notes, *([reason] if reason else [])),
            not_judged_share=told.not_judged_share,
        )
    return SeriesFinding.of(
        findings,
        path,
        sequence=told.sequence,
        plane=told.plane,
        not_judged_share=told.not_judged_share,
        **_combine_evidence(told, model),
    )


@dataclass(frozen=True, eq=False)
class _Told:
    """The slices of a series, sorted by their verdict or error."""

    findings: Sequence[Finding]

    @cached_property
    def answered(self) -> list[Finding]:
        return [one for one in self.findings if one.error is None]

    @cached_property
    def judged(self) -> list[Finding]:
        return [one for one in self.answered if one.verdict != NOT_JUDGED]

    @property
    def not_judged_share(self) -> float | None:
        if not self.answered:
            return None
        return 1 - len(self.judged) / len(self.answered)

    @cached_property
    def looks(self) -> Looks:
        return Looks.of(self.judged)

    @property
    def sequence(self) -> str | None:
        """From the file; if it does not say, as the model recognises it in the pixels."""
        return self._tell("sequence") or self.looks.find("sequence")

    @property
    def plane(self) -> str | None:
        """From the file; if it does not say, as the model recognises it in the pixels."""
        return self._tell("plane") or self.looks.find("plane")

    def _tell(self, question: str) -> str | None:
        words = (getattr(one.info, question) for one in self.findings)
        return next((word for word in words if word), None)

    @property
    def notes(self) -> Iterable[str]:
        """The notes of the readers, each once, with the number of slices if not all have it."""
        counts = Counter(note for one in self.answered for note in one.info.notes)
        for note, count in counts.items():
            whole = count == len(self.answered) or OF_SERIES.match(note)
            some = "" if whole else f" ({count} of {len(self.answered)})"
            yield f"{note}{some}"
        for question in ("sequence", "plane"):
            yield from self.looks.doubt(question, self._tell(question))
        failed = len(self.findings) - len(self.answered)
        if failed and self.answered:
            yield f"{failed} of {len(self.findings)} slices could not be read"


@dataclass(frozen=True, eq=False)
class _Evidence:
    """Judged slices with their positions in the head, in mm."""

    findings: Sequence[Finding]
    place: FloatArray
    profile: Profile

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> _Evidence:
        positions = [one.info.position_mm for one in findings]
        place, _ = place_slices(positions, len(findings))
        logits = to_logit([one.tumor_probability or 0.0 for one in findings])
        return cls(findings, place, Profile.of(logits, positions))

    @cached_property
    def tissue(self) -> FloatArray:
        return measure_tissue(self.place)

    @property
    def unfamiliar_share(self) -> float:
        """Share of the tissue that lies in unfamiliar slices."""
        strange = np.array([one.verdict == "unfamiliar" for one in self.findings])
        return float(self.tissue[strange].sum() / self.tissue.sum())

    def find_inside(self, threshold: float) -> BoolArray:
        """(n,) whether a slice belongs to the run: over the threshold, else the strongest part."""
        run = self.profile.find_run(threshold)
        if run is None:
            smooth = np.nan_to_num(self.profile.smooth(SHORT_MM), nan=-np.inf)
            middle = float(self.profile.at_mm[int(smooth.argmax())])
            run = middle - SHORT_MM / 2, middle + SHORT_MM / 2
        inside = np.asarray((self.place >= run[0] - 0.5) & (self.place <= run[1] + 0.5), bool)
        if not inside.any():  # the run lies between two slices far apart
            inside[int(np.abs(self.place - np.mean(run)).argmin())] = True
        return inside

    def describe_run(self, inside: BoolArray) -> Run:
        order = [i for i in np.argsort(self.place, kind="stable") if inside[i]]
        first, last = (self.findings[i].info for i in (order[0], order[-1]))
        known = self.profile.spacing_known
        return Run(
            first=(first.path, first.frame),
            last=(last.path, last.frame),
            slices=len(order),
            first_mm=first.position_mm,
            last_mm=last.position_mm,
            length_mm=float(self.tissue[inside].sum()) if known else None,
        )

    def find_peak(self, inside: BoolArray) -> Peak | None:
        probability = np.array([one.tumor_probability or 0.0 for one in self.findings])
        best = self.findings[int(np.where(inside, probability, -1.0).argmax())]
        if best.peak_xy is None:
            return None
        info = best.info
        return Peak(info.path, info.frame, best.peak_xy, info.to_patient(*best.peak_xy))

    def measure_extent(self, inside: BoolArray) -> tuple[float | None, float | None, float | None]:
        through = float(self.tissue[inside].sum()) if self.profile.spacing_known else None
        sides = [
            _measure_region(one) for one, is_in in zip(self.findings, inside, strict=True) if is_in
        ]
        known = [side for side in sides if side is not None]
        if not known:
            return through, None, None
        return through, max(rows for rows, _ in known), max(columns for _, columns in known)


def _explain_no_verdict(told: _Told, model: StudyModel | None) -> str | None:
    """Why a series has no verdict; None if it gets one. Empty if its ``error`` says why."""
    if not told.answered:
        return ""
    if model is None:
        return NO_STUDY_MODEL
    if not told.judged:
        return NO_BRAIN
    if len(told.judged) < LEAST_SLICES:
        return ONE_SLICE if len(told.findings) == 1 else TOO_SHORT
    return None


def _combine_evidence(told: _Told, model: StudyModel) -> dict[str, Any]:
    """The fields of a finding that come from the evidence in the judged slices."""
    evidence = _Evidence.of(told.judged)
    logit = model.weigh_series(told.sequence, measure_features(evidence.profile))
    probability = to_probability(logit)
    point = told.judged[0].operating_point or "balanced"
    verdict = model.judge_series(probability, evidence.unfamiliar_share, point)
    inside = evidence.find_inside(model.slice_logit)
    shows_run = verdict != "no_tumor" and bool(inside.any())
    return {
        "verdict": verdict,
        "tumor_probability": probability,
        "probabilities": _mix_types(told.judged, inside, probability),
        "run": evidence.describe_run(inside) if shows_run else None,
        "peak": evidence.find_peak(inside),
        "extent_mm": evidence.measure_extent(inside) if shows_run else None,
        "first_slices": choose_key_slices(
            told.judged,
            evidence.place,
            inside & shows_run,
            high=to_probability(model.slice_logit),
        ),
        "unfamiliar_share": evidence.unfamiliar_share,
        "notes": (*told.notes, *([] if evidence.profile.spacing_known else [UNKNOWN_SPACING])),
    }


def _measure_region(finding: Finding) -> tuple[float, float] | None:
    """(rows, columns) in mm of the strongest region of a slice; None where it has none."""
    spacing = finding.info.spacing_mm
    if spacing is None or not finding.boxes:
        return None
    box: Box = finding.boxes[0]
    return (box.y1 - box.y0) * spacing[0], (box.x1 - box.x0) * spacing[1]


def _mix_types(
    findings: Sequence[Finding], inside: BoolArray, probability: float
) -> dict[str, float] | None:
    """Class probabilities of the series: those of the run, scaled to the series' probability."""
    told = [one for one, is_in in zip(findings, inside, strict=True) if is_in and one.probabilities]
    if not told:
        return None
    names = list(told[0].probabilities or ())
    sums = {
        name: sum((one.probabilities or {}).get(name, 0.0) for one in told) for name in names[1:]
    }
    total = sum(sums.values()) or 1.0
    return {names[0]: 1 - probability} | {
        name: probability * part / total for name, part in sums.items()
    }
