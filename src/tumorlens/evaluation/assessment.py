"""`Evaluation`: every figure of a table of scores, as a whole and part by part.

A part is what one value of a column holds (a source, a sequence). Where pictures of the test were
seen in training, each part is measured twice: without them, which comes first, and as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.errors import DataError
from tumorlens.evaluation.figures.cases import Cases
from tumorlens.evaluation.figures.comparison import Difference, compare_cases
from tumorlens.evaluation.figures.families import build_families
from tumorlens.evaluation.figures.intervals import REPLICATES, Estimate, measure
from tumorlens.evaluation.figures.reliability import ReliabilityBin, tabulate_reliability
from tumorlens.evaluation.figures.verdict_figures import count_classes, true_classes
from tumorlens.evaluation.heads.series_figures import measure_heads
from tumorlens.evaluation.scores import Judged, Scores
from tumorlens.finding import RESEARCH_USE
from tumorlens.version import __version__

__all__ = [
    "EVALUATION_SCHEMA",
    "Evaluation",
    "Heads",
    "Part",
    "drop_unfit",
    "evaluate_scores",
    "mark_twins",
]

BoolArray = npt.NDArray[np.bool_]

EVALUATION_SCHEMA = 1
"""Number of the JSON's schema: keys may be added under one number, never renamed."""

UNFIT_NOTES = ("CT head", "abdomen CT", "doubtful", "audit: leave out")
"""Rows whose note says so are left out of every figure, unless the caller keeps them."""

SMALL_LESION = re.compile(r"(?<!\d)(\d+) tumor pixels")
SMALLEST_LESION = 150
"""Slices of ``tcga_lgg`` with 1 to so many tumor pixels are left out (design, section 5)."""


class Heads(msgspec.Struct, frozen=True, omit_defaults=True):
    """Figures of whole heads.

    Attributes:
        series, studies: figures that count series, and that count studies.
        of_series, of_studies: (with, without a tumor) how many were counted.
    """

    series: list[Estimate] = []
    studies: list[Estimate] = []
    of_series: tuple[int, int] = (0, 0)
    of_studies: tuple[int, int] = (0, 0)


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """The figures of some of the rows.

    Attributes:
        by: column -> value that the rows share; empty for all rows.
        seen: ``as_is``, or ``without_seen``: without pictures that were seen in training.
        slices, tumor, no_tumor, groups: how many.
        slices_seen: slices among these that were seen in training.
        estimates: the figures, each with its interval.
        confusion: true class -> called class -> slices.
        reliability: predicted against observed, bin by bin.
        differences: against the other scores, if any; this model minus the other.
        heads: figures of whole series and studies, where they were judged.
        note: why there are no figures, e.g. ``all seen``.
    """

    by: dict[str, str]
    seen: str
    slices: int
    tumor: int = 0
    no_tumor: int = 0
    groups: int = 0
    slices_seen: int = 0
    estimates: list[Estimate] = []
    confusion: dict[str, dict[str, int]] = {}
    reliability: list[ReliabilityBin] = []
    differences: list[Difference] = []
    heads: Heads = Heads()
    note: str = ""

    def find(self, name: str) -> Estimate:
        """The figure of that name.

        Raises:
            KeyError: it was not measured here.
        """
        for estimate in self.estimates:
            if estimate.name == name:
                return estimate
        raise KeyError(name)


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What `evaluate_scores` found; `to_json` is the file that ``tumorlens evaluate`` writes.

    Attributes:
        data: name of the set.
        model, operating_point: as the scores name them.
        other: the model compared with; empty if none.
        prevalence: at which PPV and NPV are stated; None if they are not.
        replicates, seed: of the bootstrap.
        left_out: reason -> slices that no figure counts.
        heads: how series and studies were judged, or why they were not.
        notes: what to know before believing a figure.
        parts: all rows first, then one a value of each column; each of them without the pictures
            seen in training before it as it is.
    """

    schema: int = EVALUATION_SCHEMA
    kind: str = "evaluation"
    tumorlens: str = __version__
    research_use: str = RESEARCH_USE
    data: str
    model: str
    operating_point: str
    other: str = ""
    prevalence: float | None = None
    replicates: int = REPLICATES
    seed: int = 0
    left_out: dict[str, int] = {}
    heads: str = ""
    notes: list[str] = []
    parts: list[Part] = []

    @property
    def leading(self) -> Part:
        """The whole, as it is to be believed: without what was seen, where anything is left."""
        return self.parts[0]

    def to_json(self) -> str:
        """Readable JSON, keys in the order of the schema."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode() + "\n"


def evaluate_scores(
    scores: Scores,
    *,
    by: Sequence[str] = (),
    prevalence: float | None = None,
    other: Scores | None = None,
    heads: Judged | None = None,
    keep_all: bool = False,
    replicates: int = REPLICATES,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Evaluation:
    """Measure a table of scores.

    Args:
        scores: at least one row.
        by: columns to part the rows by, each on its own; ``a,b`` parts by both at once. By
            default source and sequence, where they have several values.
        prevalence: share of tumor slices at which PPV and NPV are stated.
        other: scores of another model on the same rows, for paired differences.
        heads: series and studies of these scores; their figures are left out without.
        keep_all: also count rows whose notes call them unfit (CT, doubtful).
        replicates, seed: of the bootstrap.
        notes: what else to know about the scores.

    Raises:
        DataError: no rows, an unknown column, or other scores of other rows.
    """
    if not len(scores):
        raise DataError(f"{scores.name}: no rows to evaluate")
    kept, left_out = (scores, {}) if keep_all else drop_unfit(scores)
    if not len(kept):
        raise DataError(f"{scores.name}: all rows are left out ({_word_counts(left_out)})")
    same = None if other is None else _align(kept, other)
    measuring = _Measuring(kept, same, heads, prevalence, replicates, seed)
    return Evaluation(
        data=scores.name,
        model=scores.model,
        operating_point=scores.operating_point,
        other="" if other is None else other.model or other.name,
        prevalence=prevalence,
        replicates=replicates,
        seed=seed,
        left_out=left_out,
        heads="" if heads is None else heads.how,
        notes=[*notes, *_collect_notes(kept)],
        parts=[part for named in _cut(kept, by) for part in measuring.measure_twice(*named)],
    )


def drop_unfit(scores: Scores, *, small_lesions: bool = True) -> tuple[Scores, dict[str, int]]:
    """Rows that a figure may count, and reason -> number of those that it may not.

    Args:
        scores: any rows.
        small_lesions: False to keep slices with a trace of tumor: they are part of their series.
    """
    reasons = [_find_fault(row.source, row.note, small_lesions) for row in scores.rows]
    counts = Counter(reason for reason in reasons if reason)
    if not counts:
        return scores, {}
    return scores.take([not reason for reason in reasons]), dict(counts)


def mark_twins(scores: Scores, training_groups: set[str]) -> Scores:
    """Mark as seen the rows whose group also stands on the training side of a split."""
    shared = np.array([group in training_groups for group in scores.group], bool)
    if not shared.any():
        return scores
    seen = np.where(shared, 1.0, np.where(np.isnan(scores.seen), 0.0, scores.seen))
    return replace(scores, seen=seen)


@dataclass(frozen=True, eq=False)
class _Measuring:
    """How parts are measured, the same for all of them; ``other`` has the rows of ``scores``."""

    scores: Scores
    other: Scores | None
    heads: Judged | None
    prevalence: float | None
    replicates: int
    seed: int

    def measure_twice(self, by: dict[str, str], rows: BoolArray) -> Iterator[Part]:
        unseen = rows & ~(self.scores.seen == 1)
        some_seen = bool(unseen.sum() < rows.sum())
        if some_seen and unseen.any():
            yield self.measure(by, unseen, "without_seen")
        yield self.measure(by, rows, "as_is")
        if not unseen.any():
            yield Part(by, "without_seen", 0, note="all seen")

    def measure(self, by: dict[str, str], rows: BoolArray, seen: str) -> Part:
        cases = Cases.of(self.scores.take(rows))
        draws = {"replicates": self.replicates, "seed": self.seed}
        return Part(
            by=by,
            seen=seen,
            slices=len(cases.scores),
            tumor=int(cases.scores.tumor.sum()),
            no_tumor=int((cases.scores.labelled & ~cases.scores.tumor).sum()),
            groups=len(cases.names),
            slices_seen=int((cases.scores.seen == 1).sum()),
            estimates=measure(build_families(cases, self.prevalence), cases.names, **draws),
            confusion=count_classes(cases.scores),
            reliability=tabulate_reliability(cases, **draws),
            differences=[]
            if self.other is None
            else compare_cases(cases, Cases.of(self.other.take(rows)), **draws),
            heads=self._measure_heads(by, seen),
            note=_say_what_lacks(cases.scores),
        )

    def _measure_heads(self, by: dict[str, str], seen: str) -> Heads:
        if self.heads is None:
            return Heads()
        series = _choose_heads(self.heads.series, by, seen)
        # A study of several sequences belongs to none of them.
        whole = "sequence" not in by
        studies = (
            _choose_heads(self.heads.studies, by, seen)
            if whole
            else series.take(np.zeros(len(series), bool))
        )
        draws = {"replicates": self.replicates, "seed": self.seed}
        return Heads(
            series=measure_heads(series, **draws),
            studies=measure_heads(studies, **draws),
            of_series=_count_labels(series),
            of_studies=_count_labels(studies),
        )


def _choose_heads(heads: Scores, by: dict[str, str], seen: str) -> Scores:
    """The labelled ones of a part."""
    if not len(heads):
        return heads
    rows = heads.labelled.copy()
    for name, value in by.items():
        rows &= np.asarray(heads.column(name) == value, bool)
    if seen == "without_seen":
        rows &= ~(heads.seen == 1)
    return heads.take(rows)


def _count_labels(heads: Scores) -> tuple[int, int]:
    ill = int(heads.tumor.sum())
    return ill, len(heads) - ill


def _cut(scores: Scores, by: Sequence[str]) -> Iterator[tuple[dict[str, str], BoolArray]]:
    """All rows, then the rows of each value of each column."""
    yield {}, np.ones(len(scores), bool)
    for names in [one.split(",") for one in by] or [["source"], ["sequence"]]:
        columns = [scores.column(name.strip()) for name in names]
        values = sorted(set(zip(*columns, strict=True)))
        if len(values) < 2 and not by:
            continue
        for value in values:
            rows = np.ones(len(scores), bool)
            for column, word in zip(columns, value, strict=True):
                rows &= np.asarray(column == word, bool)
            yield dict(zip(names, value, strict=True)), rows


def _align(scores: Scores, other: Scores) -> Scores:
    """The rows of ``other`` in the order of ``scores``."""
    index = {(row.path, row.frame or 0): i for i, row in enumerate(other.rows)}
    order = [index.get((row.path, row.frame or 0), -1) for row in scores.rows]
    if -1 in order:
        first = scores.rows[order.index(-1)]
        raise DataError(
            f"{other.name}: {order.count(-1)} of the {len(scores)} slices of {scores.name} have no "
            f"scores here, the first is {first.path}; compare scores of the same rows"
        )
    aligned = other.take(np.array(order))
    wrong = np.flatnonzero(aligned.label != scores.label)
    if len(wrong):
        row = scores.rows[wrong[0]]
        raise DataError(
            f"{other.name}: {row.path} is labelled {aligned.label[wrong[0]]!r} here and "
            f"{row.label!r} in {scores.name}; score both models on one manifest"
        )
    return aligned


def _find_fault(source: str, note: str, small_lesions: bool) -> str:
    for word in UNFIT_NOTES:
        if word in note:
            return f"note says {word}"
    counted = small_lesions and source.startswith("tcga_lgg")
    pixels = SMALL_LESION.search(note) if counted else None
    if pixels and 1 <= int(pixels[1]) <= SMALLEST_LESION:
        return f"1 to {SMALLEST_LESION} tumor pixels"
    return ""


def _say_what_lacks(scores: Scores) -> str:
    if not scores.labelled.any():
        return "no labels: only the shares of the verdicts hold"
    if scores.tumor[scores.labelled].all():
        return (
            "one label only (tumor): sensitivity, found, loss and pointing hold; AUC, balanced "
            "accuracy, F1, MCC, ECE and every other figure of both labels need no_tumor slices"
        )
    if not scores.tumor.any():
        return (
            "one label only (no_tumor): specificity, alarm, cleared, loss and series without alarm "
            "hold; AUC, balanced accuracy, F1, MCC, ECE and every other figure of both labels need "
            "tumor slices"
        )
    return ""


def _collect_notes(scores: Scores) -> list[str]:
    notes = []
    if len(scores.classes) > 2:
        strange = Counter(scores.column("tumor_class")[true_classes(scores) == ""])
        for word, count in sorted(strange.items()):
            if word:
                notes.append(
                    f"{count} slices of the class {word!r}, which the model does not have: "
                    "they count as tumor, and in no figure of classes"
                )
    groupless = sum(not row.group for row in scores.rows)
    if groupless:
        notes.append(
            f"{groupless} of {len(scores)} slices have no group: each file counts as a case of "
            "its own, and intervals are too narrow if patients have several"
        )
    return notes


def _word_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in counts.items())
