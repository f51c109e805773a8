"""Figures of the order of scores, which need no threshold of the model: AUC and others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorlens.evaluation.figures.grouped_scores import ONE_LABEL, GroupedScores
from tumorlens.evaluation.figures.intervals import Family, Statistic
from tumorlens.optional import load

__all__ = ["TARGETS", "ranking_family"]

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

TARGETS = (0.90, 0.95)
"""Specificities at which sensitivity is stated, and the reverse."""


def ranking_family(grouped: GroupedScores, targets: Sequence[float] = TARGETS) -> Family:
    """AUC, average precision, sensitivity at fixed specificity and the reverse.

    The scores are sorted once; a replicate is a gather, two cumulative sums and a few sums.

    Args:
        grouped: rows without a label are not counted.
        targets: specificities at which sensitivity is stated, and the reverse.
    """
    names = _name_figures(targets)
    ladder = _Ladder.of(grouped, targets)
    both = grouped.groups_of_both > 0
    values = _score(grouped, targets) if both else [np.nan] * len(names)
    statistics = tuple(
        Statistic(
            name,
            value,
            n=int(grouped.scores.labelled.sum()),
            groups=grouped.groups_of_both,
            parts=grouped.of_each,
            share=True,
            note="" if both else ONE_LABEL,
        )
        for name, value in zip(names, values, strict=True)
    )
    return Family(statistics, ladder.climb, width=3 * len(ladder.codes))


def _name_figures(targets: Sequence[float]) -> tuple[str, ...]:
    return (
        "auc",
        "average_precision",
        *(f"sensitivity_at_specificity_{round(100 * t)}" for t in targets),
        *(f"specificity_at_sensitivity_{round(100 * t)}" for t in targets),
    )


SLACK = 1e-9
"""A share that equals its target must not miss it by rounding."""


@dataclass(frozen=True, eq=False)
class _Ladder:
    """Labelled slices from the highest score down.

    Attributes:
        codes: (n,) group of each slice.
        tumor: (n,) float64, 1 for tumor.
        ends: (m,) index of the last slice of each run of equal scores.
        targets: as `ranking_family` takes them.
    """

    codes: IndexArray
    tumor: FloatArray
    ends: IndexArray
    targets: Sequence[float]

    @classmethod
    def of(cls, grouped: GroupedScores, targets: Sequence[float]) -> _Ladder:
        rows = np.flatnonzero(grouped.scores.labelled)
        score = grouped.scores.tumor_probability[rows]
        order = np.argsort(-score, kind="stable")
        score = score[order]
        ends = np.flatnonzero(np.append(score[1:] != score[:-1], len(score) > 0))
        rows = rows[order]
        tumor = grouped.scores.tumor[rows].astype(np.float64)
        return cls(grouped.codes[rows], tumor, ends, targets)

    def climb(self, weights: FloatArray) -> FloatArray:
        """(b, G) weights -> (b, 2 + 2 a target) figures."""
        if not len(self.codes):
            return np.full((len(weights), 2 + 2 * len(self.targets)), np.nan)
        drawn = weights[:, self.codes]
        tp = np.cumsum(drawn * self.tumor, axis=1)[:, self.ends]
        fp = np.cumsum(drawn, axis=1, out=drawn)[:, self.ends] - tp
        positives, negatives = tp[:, -1:], fp[:, -1:]
        columns = [_area(tp, fp, positives, negatives), _average_precision(tp, fp, positives)]
        columns += [_reach(tp / positives, fp, (1 - t + SLACK) * negatives) for t in self.targets]
        columns += [_keep(fp / negatives, tp, (t - SLACK) * positives) for t in self.targets]
        return np.where((positives > 0) & (negatives > 0), np.stack(columns, axis=1), np.nan)


def _area(
    tp: FloatArray, fp: FloatArray, positives: FloatArray, negatives: FloatArray
) -> FloatArray:
    """Trapezoids under the ROC curve: ties count half."""
    width = np.diff(fp, axis=1, prepend=0)
    height = tp - np.diff(tp, axis=1, prepend=0) / 2
    return np.asarray(np.einsum("ij,ij->i", width, height) / (positives * negatives)[:, 0])


def _average_precision(tp: FloatArray, fp: FloatArray, positives: FloatArray) -> FloatArray:
    """Sum of precision times the step in recall, as scikit-learn defines it."""
    called = tp + fp
    precision = np.divide(tp, called, out=np.zeros_like(tp), where=called > 0)
    return np.asarray(
        np.einsum("ij,ij->i", precision, np.diff(tp, axis=1, prepend=0)) / positives[:, 0]
    )


def _reach(sensitivity: FloatArray, fp: FloatArray, allowed: FloatArray) -> FloatArray:
    """The highest sensitivity whose false positives are allowed."""
    steps = (fp <= allowed).sum(axis=1)
    best = np.take_along_axis(sensitivity, np.maximum(steps - 1, 0)[:, None], axis=1)[:, 0]
    return np.where(steps > 0, best, 0.0)


def _keep(false_rate: FloatArray, tp: FloatArray, wanted: FloatArray) -> FloatArray:
    """The specificity at the first threshold that finds the wanted number of tumors."""
    step = (tp < wanted).sum(axis=1)
    step = np.minimum(step, tp.shape[1] - 1)
    return 1 - np.take_along_axis(false_rate, step[:, None], axis=1)[:, 0]


def _score(grouped: GroupedScores, targets: Sequence[float]) -> list[float]:
    metrics = load("sklearn.metrics", "figures")
    s = grouped.scores
    y, p = s.tumor[s.labelled], s.tumor_probability[s.labelled]
    fpr, tpr, _ = metrics.roc_curve(y, p, drop_intermediate=False)
    at_specificity = [tpr[fpr <= 1 - t + SLACK].max() for t in targets]
    at_sensitivity = [1 - fpr[tpr >= t - SLACK].min() for t in targets]
    values = [
        metrics.roc_auc_score(y, p),
        metrics.average_precision_score(y, p),
        *at_specificity,
        *at_sensitivity,
    ]
    return [float(value) for value in values]
