"""Measures all figures of a table of scores, for the whole table and for each subset.

A subset is the rows that share one value of a column (a source, a sequence). If some images
were seen in training, each subset is measured twice: first without them, then with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.errors import DataError, UsageError
from tumorlens.evaluation.figures.families import build_families, compare_figures
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import REPLICATES, measure
from tumorlens.evaluation.figures.reliability import tabulate_reliability
from tumorlens.evaluation.figures.verdict_figures import count_classes, true_classes
from tumorlens.evaluation.results import Evaluation, Heads, Subset
from tumorlens.evaluation.scores import Judged, Scores, drop_unfit
from tumorlens.evaluation.series_and_studies.series_figures import measure_heads

__all__ = ["align_scores", "evaluate_scores"]

BoolArray = npt.NDArray[np.bool_]


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
        by: columns that define subsets, each on its own; ``a,b`` combines two columns. By
            default source and sequence, where they have several values.
        prevalence: share of tumor slices at which PPV and NPV are stated.
        other: scores of another model on the same rows, for paired differences.
        heads: series and studies of these scores; without them their figures are left out.
        keep_all: also count rows whose notes call them unfit (CT, doubtful).
        replicates, seed: of the bootstrap.
        notes: what else to know about the scores.

    Raises:
        DataError: no rows, an unknown column, or other scores of other rows.
        UsageError: a prevalence, a number of replicates or a seed that makes no sense.
    """
    if prevalence is not None and not 0 < prevalence < 1:
        raise UsageError(f"`prevalence=` must lie between 0 and 1, got {prevalence}")
    if replicates < 1 or seed < 0:
        raise UsageError(
            f"`replicates=` must be at least 1 and `seed=` at least 0, got {replicates} and {seed}"
        )
    if not len(scores):
        raise DataError(f"{scores.name}: no rows to evaluate")
    kept, left_out = (scores, {}) if keep_all else drop_unfit(scores)
    if not len(kept):
        raise DataError(f"{scores.name}: all rows are left out ({_word_counts(left_out)})")
    same = None if other is None else align_scores(kept, other)
    measuring = _Measuring(kept, same, heads, prevalence, replicates, seed)
    evaluation = Evaluation(
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
    warned = [evaluation.optimism] if evaluation.optimism else []
    return msgspec.structs.replace(evaluation, notes=[*warned, *evaluation.notes])


@dataclass(frozen=True, eq=False)
class _Measuring:
    """Options that are the same for all subsets; ``other`` has the rows of ``scores``."""

    scores: Scores
    other: Scores | None
    heads: Judged | None
    prevalence: float | None
    replicates: int
    seed: int

    def measure_twice(self, by: dict[str, str], rows: BoolArray) -> Iterator[Subset]:
        unseen = rows & ~(self.scores.seen == 1)
        some_seen = bool(unseen.sum() < rows.sum())
        if some_seen and unseen.any():
            yield self.measure(by, unseen, "without_seen")
        yield self.measure(by, rows, "as_is")
        if not unseen.any():
            yield Subset(by, "without_seen", 0, note="all seen")

    def measure(self, by: dict[str, str], rows: BoolArray, seen: str) -> Subset:
        grouped = GroupedScores.of(self.scores.take(rows))
        draws = {"replicates": self.replicates, "seed": self.seed}
        return Subset(
            by=by,
            seen=seen,
            slices=len(grouped.scores),
            tumor=int(grouped.scores.tumor.sum()),
            no_tumor=int((grouped.scores.labelled & ~grouped.scores.tumor).sum()),
            groups=len(grouped.names),
            slices_seen=int((grouped.scores.seen == 1).sum()),
            estimates=measure(build_families(grouped, self.prevalence), grouped.names, **draws),
            confusion=count_classes(grouped.scores),
            reliability=tabulate_reliability(grouped, **draws),
            differences=[]
            if self.other is None
            else compare_figures(
                grouped,
                GroupedScores.of(self.other.take(rows)),
                replicates=self.replicates,
                seed=self.seed,
            ),
            heads=self._measure_heads(by, seen),
            note=_say_what_lacks(grouped.scores),
        )

    def _measure_heads(self, by: dict[str, str], seen: str) -> Heads:
        if self.heads is None:
            return Heads()
        series = _choose_heads(self.heads.series, by, seen)
        # A study has several sequences, so it belongs to none of them.
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
    """The labelled series or studies of a subset."""
    if not len(heads):
        return heads
    rows = heads.labelled.copy()
    for name, value in by.items():
        rows &= np.asarray(heads.column(name) == value, bool)
    if seen == "without_seen":
        rows &= ~(heads.seen == 1)
    return heads.take(rows)


def _count_labels(heads: Scores) -> tuple[int, int]:
    with_tumor = int(heads.tumor.sum())
    return with_tumor, len(heads) - with_tumor


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


def align_scores(scores: Scores, other: Scores) -> Scores:
    """The rows of ``other`` that ``scores`` has, in its order.

    Raises:
        DataError: a row is missing in ``other``, or has another label there.
    """
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


def _say_what_lacks(scores: Scores) -> str:
    if not scores.labelled.any():
        return "no labels: only the shares of the verdicts are valid"
    if scores.tumor[scores.labelled].all():
        return (
            "one label only (tumor): sensitivity, found, loss and pointing are valid; AUC, "
            "balanced accuracy, F1, MCC, ECE and other figures of both labels need no_tumor slices"
        )
    if not scores.tumor.any():
        return (
            "one label only (no_tumor): specificity, alarm, cleared, loss and series without "
            "alarm are valid; AUC, balanced accuracy, F1, MCC, ECE and other figures of both "
            "labels need tumor slices"
        )
    return ""


def _collect_notes(scores: Scores) -> list[str]:
    notes = []
    if len(scores.classes) > 2:
        strange = Counter(scores.column("tumor_class")[true_classes(scores) == ""])
        for word, count in sorted(strange.items()):
            if word:
                notes.append(
                    f"{count} slices of the class {word!r}, which the model does not know: "
                    "they count as tumor, but in no figure of classes"
                )
    groupless = sum(not row.group for row in scores.rows)
    if groupless:
        notes.append(
            f"{groupless} of {len(scores)} slices have no group: each file counts as a "
            "group of its own, and intervals are too narrow if patients have several files"
        )
    return notes


def _word_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in counts.items())
