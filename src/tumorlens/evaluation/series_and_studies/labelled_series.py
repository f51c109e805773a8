"""Series and studies of a table of scores: their evidence, their labels, and their verdicts.

A series is the slices of one patient and sequence (and plane, where the table tells); a study all
series of one patient, unless columns ``series`` and ``study`` say otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import Row
from tumorlens.evaluation.scores import UNKNOWN, Scores, as_text, know_patients
from tumorlens.logits import to_logit, to_probability
from tumorlens.model.card import OperatingPoint
from tumorlens.studies.fitting import SeriesToFit, StudyToFit
from tumorlens.studies.profile import (
    HEAD_MM,
    Profile,
    measure_features,
    measure_tissue,
    place_slices,
)
from tumorlens.studies.study_model import MOSTLY, StudyModel, StudyTerms

__all__ = [
    "LEAST_SLICES",
    "LabelledSeries",
    "group_studies",
    "list_series",
    "list_studies",
    "score_series",
    "score_studies",
    "weigh_series",
]

FloatArray = npt.NDArray[np.float64]

LEAST_SLICES = 5
"""Fewer slices of one patient and sequence are pictures, no series."""
NOT_JUDGED = "not_judged"
PLANE = re.compile(r"\b(axial|coronal|sagittal)\b")


@dataclass(frozen=True, eq=False)
class LabelledSeries:
    """One series of a table of scores.

    Attributes:
        row: describes it: path of its first slice, source, group, sequence, label.
        study: key that the series of one study share.
        logits, positions: (n,) of its judged slices; positions in mm, or None.
        unfamiliar_share: share of its tissue in unfamiliar slices.
        slices: number of its slices, including those that were not judged.
        seen: 1 if a slice was in training, 0 if none, NaN if unknown.
        fold: fold of its slices.
    """

    row: Row
    study: str
    logits: FloatArray
    positions: tuple[float | None, ...]
    unfamiliar_share: float
    slices: int
    seen: float
    fold: str

    @cached_property
    def profile(self) -> Profile:
        """The profile of its judged slices, of which there is at least one."""
        return Profile.of(self.logits, self.positions)

    @property
    def is_judged(self) -> bool:
        """Whether any slice shows brain."""
        return len(self.logits) > 0

    @cached_property
    def features(self) -> dict[str, float]:
        """Of its evidence, as a study model weighs them."""
        return measure_features(self.profile)

    def describe_to_fit(self) -> SeriesToFit:
        """The series in the form that the fit needs."""
        row = self.row
        tumor = row.label == "tumor"
        return SeriesToFit(row.group_key, row.sequence or "other", tumor, self.features)


def list_series(scores: Scores) -> list[LabelledSeries]:
    """The series of a table, sorted by name.

    Left out are images without a patient or a sequence, series of fewer than `LEAST_SLICES`, and
    selections: sets of slices that all show a tumor, which a whole head never does. A series
    without a tumor slice has no label if its patient has a tumor slice in another series.
    """
    rows = np.flatnonzero(know_patients(scores) & (scores.column("sequence") != ""))
    keys = [_name_series(scores.rows[index]) for index in rows]
    names, code = np.unique(np.array(keys, object).astype(str), return_inverse=True)
    order = np.argsort(code, kind="stable")
    cuts = np.searchsorted(code[order], np.arange(1, len(names)))
    tumor_groups = set(scores.group[scores.tumor])
    found = [
        _build(scores, rows[part], tumor_groups) for part in np.split(order, cuts) if len(part)
    ]
    return [one for one in found if one is not None]


def weigh_series(series: Sequence[LabelledSeries], model: StudyModel) -> FloatArray:
    """(n,) log-odds of a tumor in each series, by the numbers of a model."""
    return np.array([model.weigh_series(one.row.sequence, one.features) for one in series])


def score_series(
    series: Sequence[LabelledSeries], logits: FloatArray, point: OperatingPoint, name: str
) -> Scores:
    """A table with one row per series: probability, thresholds and verdict.

    Args:
        series: judged ones.
        logits: (n,) their log-odds.
        point: thresholds of series.
        name: of the table.
    """
    strange = [one.unfamiliar_share > MOSTLY for one in series]
    rows = [one.row for one in series]
    return _tabulate(rows, logits, strange, point, series=series, name=name)


def score_studies(
    series: Sequence[LabelledSeries],
    logits: FloatArray,
    terms: StudyTerms,
    point: OperatingPoint,
    name: str,
) -> Scores:
    """A table with one row per study; the column ``sequences`` joins those of its series.

    Args:
        series: judged ones, of any number of studies.
        logits: (n,) their log-odds.
        terms: how they add up.
        point: thresholds of studies.
        name: of the table.
    """
    studies = group_studies(series)
    familiar = [[i for i in one if series[i].unfamiliar_share <= MOSTLY] for one in studies]
    sums = [
        terms.add_up([(series[i].row.sequence, float(logits[i])) for i in some or every])
        for some, every in zip(familiar, studies, strict=True)
    ]
    members = [[series[i] for i in one] for one in studies]
    rows = [_join_rows(one) for one in members]
    strange = [not some for some in familiar]
    first = [one[0] for one in members]
    return _tabulate(rows, np.array(sums), strange, point, series=first, name=name)


def group_studies(series: Sequence[LabelledSeries]) -> list[list[int]]:
    """Indices of the series of each study, in the order of their first ones."""
    members: dict[str, list[int]] = {}
    for index, one in enumerate(series):
        members.setdefault(one.study, []).append(index)
    return list(members.values())


def list_studies(series: Sequence[LabelledSeries], logits: FloatArray) -> list[StudyToFit]:
    """Studies with the given log-odds of their series, for a fit."""
    return [
        StudyToFit(
            group=series[one[0]].row.group_key,
            tumor=any(series[i].row.label == "tumor" for i in one),
            logits=[(series[i].row.sequence or "other", float(logits[i])) for i in one],
        )
        for one in group_studies(series)
    ]


def _name_series(row: Row) -> str:
    """The key that the slices of a series share."""
    known = dict(row.extra)
    parts = (row.source, row.group_key, row.sequence, _find_plane(row, known))
    return "\t".join((*parts, known.get("series", "")))


def _find_plane(row: Row, known: dict[str, str]) -> str:
    """As a column says, or the note; axial where neither does."""
    told = row.plane or known.get("plane", "")
    note = PLANE.search(row.note)
    return told if told not in ("", "unsure") else (note[1] if note else "axial")


def _build(
    scores: Scores, index: npt.NDArray[np.intp], tumor_groups: set[str]
) -> LabelledSeries | None:
    rows = [scores.rows[i] for i in index]
    labels = {row.label for row in rows}
    if len(index) < LEAST_SLICES or "no_tumor" not in labels:
        return None
    label = "tumor" if "tumor" in labels else "no_tumor"
    if label == "no_tumor" and (rows[0].group_key in tumor_groups or "" in labels):
        label = ""
    judged = index[scores.verdict[index] != NOT_JUDGED]
    positions = tuple(_find_position(scores.rows[i]) for i in judged)
    order = _sort(positions, [scores.rows[i] for i in judged])
    judged, positions = judged[order], tuple(positions[i] for i in order)
    classes = {row.tumor_class for row in rows} - {""}
    known = dict(rows[0].extra)
    return LabelledSeries(
        row=replace(
            rows[0],
            label=label,
            tumor_class=classes.pop() if len(classes) == 1 and label == "tumor" else "",
            boxes=(),
            mask=None,
            position=None,
        ),
        study=known.get("study", "") or f"{rows[0].source}\t{rows[0].group_key}",
        logits=to_logit(scores.tumor_probability[judged]),
        positions=positions,
        unfamiliar_share=_share_strange(scores, judged, positions),
        slices=len(index),
        seen=_any_seen(scores.seen[index]),
        fold=str(scores.fold[index[0]]),
    )


def _find_position(row: Row) -> float | None:
    """In mm: as the column ``position_mm`` says, or as in a head of the usual length."""
    told = dict(row.extra).get("position_mm", "")
    try:
        return float(told)
    except ValueError:
        return None if row.position is None else row.position * HEAD_MM


def _sort(positions: Sequence[float | None], rows: Sequence[Row]) -> npt.NDArray[np.intp]:
    """By position; by file and frame where one is missing."""
    known = all(one is not None for one in positions)

    def place(i: int) -> tuple[float, str, int]:
        return (positions[i] or 0.0) if known else 0.0, str(rows[i].path), rows[i].frame or 0

    return np.array(sorted(range(len(rows)), key=place), np.intp)


def _share_strange(
    scores: Scores, index: npt.NDArray[np.intp], positions: Sequence[float | None]
) -> float:
    if not len(index):
        return 0.0
    place, _ = place_slices(positions, len(index))
    tissue = measure_tissue(place)
    return float(tissue[scores.verdict[index] == "unfamiliar"].sum() / tissue.sum())


def _any_seen(seen: FloatArray) -> float:
    return UNKNOWN if np.isnan(seen).all() else float(np.nanmax(seen))


def _join_rows(study: Sequence[LabelledSeries]) -> Row:
    """The row of a study: the label of its series, and ``sequences`` as a column of its own."""
    labels = {one.row.label for one in study}
    label = "tumor" if "tumor" in labels else "" if "" in labels else "no_tumor"
    classes = {one.row.tumor_class for one in study} - {""}
    sequences = "+".join(sorted({one.row.sequence for one in study}))
    first = study[0].row
    return replace(
        first,
        label=label,
        tumor_class=classes.pop() if len(classes) == 1 and label == "tumor" else "",
        sequence=first.sequence if len(study) == 1 else "",
        extra=(*first.extra, ("sequences", sequences)),
    )


def _tabulate(
    rows: Sequence[Row],
    logits: FloatArray,
    strange: Sequence[bool],
    point: OperatingPoint,
    *,
    series: Sequence[LabelledSeries],
    name: str,
) -> Scores:
    n = len(rows)
    probabilities = np.array([to_probability(logit) for logit in logits.tolist()], np.float64)
    unfamiliarity = np.where(np.array(strange, bool), 2.0, 0.0)
    pairs = zip(probabilities.tolist(), unfamiliarity.tolist(), strict=True)
    return Scores(
        rows=tuple(rows),
        name=name,
        classes=(),
        tumor_probability=probabilities,
        probabilities=np.empty((n, 0)),
        unfamiliarity=unfamiliarity,
        verdict=as_text([point.judge(*pair) for pair in pairs]),
        thresholds=np.tile([point.low, point.middle, point.high], (n, 1)),
        peak_xy=np.full((n, 2), np.nan),
        boxes=as_text([""] * n),
        fold=as_text([one.fold for one in series]),
        seen=np.array([one.seen for one in series], np.float64),
        hits=np.full((n, 3), UNKNOWN),
    )
