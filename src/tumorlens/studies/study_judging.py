"""From the findings of series to the finding of their study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tumorlens.digits import say_count
from tumorlens.finding import Verdict
from tumorlens.imaging.dicom.modality import says_no_plain_mri
from tumorlens.logits import to_logit, to_probability
from tumorlens.studies.series_judging import NOT_JUDGED
from tumorlens.studies.study_model import StudyModel
from tumorlens.study_finding import NO_STUDY_MODEL, SeriesFinding, StudyFinding

__all__ = ["judge_study"]


def judge_study(
    series: Sequence[SeriesFinding], model: StudyModel | None, path: str
) -> StudyFinding:
    """Combine the findings of the series of one study.

    Series of another modality, and maps, count only if there are no others: see
    `modality.says_no_plain_mri`. Unfamiliar ones count only if all that are left are unfamiliar.

    Args:
        series: findings of the series of one study, in order; at least one.
        model: numbers for studies. Without them the finding only counts slices, and a note says so.
        path: path of the study.
    """
    if not series:
        raise ValueError("a study has at least one series")
    judged = [one for one in series if one.tumor_probability is not None]
    if model is None or not judged:
        concluded = _explain_no_verdict(series, model)
    else:
        concluded = _combine_evidence(series, judged, model)
    return StudyFinding(path=path, series=tuple(series), **_describe(series), **concluded)


def _explain_no_verdict(
    series: Sequence[SeriesFinding], model: StudyModel | None
) -> dict[str, Any]:
    """The fields of a finding that say why the study has no verdict."""
    failed = all(one.error for one in series)
    undecided = model is None or any(one.verdict is None for one in series)
    return {
        "verdict": None if undecided else NOT_JUDGED,
        "error": series[0].error if failed else None,
        "notes": _join_notes(series, [NO_STUDY_MODEL] if model is None and not failed else []),
    }


def _combine_evidence(
    series: Sequence[SeriesFinding], judged: Sequence[SeriesFinding], model: StudyModel
) -> dict[str, Any]:
    """The fields of a finding that come from the evidence in the judged series."""
    plain = [one for one in judged if not any(map(says_no_plain_mri, one.notes))] or judged
    familiar = [one for one in plain if one.verdict != "unfamiliar"]
    counted = familiar or plain
    logits = [(one.sequence, float(to_logit(one.tumor_probability or 0.0))) for one in counted]
    probability = to_probability(model.study.add_up(logits))
    point = series[0].operating_point or "balanced"
    verdict = model.judge_study(probability, point, is_unfamiliar=not familiar)
    leading = max(counted, key=lambda one: one.tumor_probability or 0.0)
    shows_run = verdict != "no_tumor"
    more = [*_tell_left_out(series, counted), *_tell_other_verdict(counted, verdict)]
    return {
        "leading": next(index for index, one in enumerate(series) if one is leading),
        "verdict": verdict,
        "tumor_probability": probability,
        "probabilities": _scale_types(leading, probability),
        "run": leading.run if shows_run else None,
        "peak": leading.peak,
        "extent_mm": leading.extent_mm if shows_run else None,
        "first_slices": leading.first_slices,
        "unfamiliar_share": sum(one.unfamiliar_share or 0.0 for one in judged) / len(judged),
        "notes": _join_notes(series, more),
    }


def _describe(series: Sequence[SeriesFinding]) -> dict[str, Any]:
    """The fields of a finding that do not depend on the verdict."""
    verdicts: Counter[str] = Counter()
    for one in series:
        verdicts.update(one.verdicts)
    slices = sum(one.slices for one in series)
    seconds = [one.seconds for one in series if one.seconds is not None]
    first = series[0]
    return {
        "study_instance_uid": first.study_instance_uid,
        "patient": first.patient,
        "verdicts": dict(verdicts),
        "not_judged_share": verdicts[NOT_JUDGED] / slices if slices else None,
        "operating_point": first.operating_point,
        "model": first.model,
        "seconds": sum(seconds) if seconds else None,
    }


def _join_notes(series: Sequence[SeriesFinding], more: Sequence[str]) -> tuple[str, ...]:
    """Notes of the series, each once, with the number of series if not all have it."""
    counts = Counter(note for one in series for note in one.notes if note != NO_STUDY_MODEL)
    joined = [
        note if count == len(series) else f"{note} ({count} of {len(series)} series)"
        for note, count in counts.items()
    ]
    return (*joined, *more)


def _tell_left_out(series: Sequence[SeriesFinding], counted: Sequence[SeriesFinding]) -> list[str]:
    if len(counted) == len(series):
        return []
    return [
        f"{len(series) - len(counted)} of {len(series)} series do not count in the verdict of the "
        "study: no plain MRI, unfamiliar, not judged or unreadable"
    ]


def _tell_other_verdict(counted: Sequence[SeriesFinding], verdict: Verdict) -> list[str]:
    """Why the verdict of a study differs from that of its only series, or clears a tumor series."""
    if len(counted) > 1:
        alarming = [one for one in counted if one.verdict == "tumor"]
        if verdict != "no_tumor" or not alarming:
            return []
        all_of_them = f"of {len(counted)} series"
        told = say_count(len(alarming), f"{all_of_them} says", f"{all_of_them} say")
        return [f"{told} 'tumor' alone; the study weighs them together"]
    if counted[0].verdict == verdict:
        return []
    said = str(counted[0].verdict).replace("_", " ")
    return [
        f"its only series is {said!r} by itself; the study has its own thresholds, and they decide"
    ]


def _scale_types(leading: SeriesFinding, probability: float) -> dict[str, float] | None:
    """The class probabilities of the leading series, scaled to the study's probability."""
    if leading.probabilities is None or leading.tumor_probability is None:
        return None
    (no_tumor, _), *tumors = leading.probabilities.items()
    factor = probability / max(leading.tumor_probability, 1e-12)
    return {no_tumor: 1 - probability} | {name: value * factor for name, value in tumors}
