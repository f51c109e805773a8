"""ROC and precision-recall curves of a table of scores, with few enough points to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorlens.evaluation.scores import Scores
from tumorlens.optional import load

__all__ = ["MOST_POINTS", "Curve", "trace_precision_recall", "trace_roc"]

FloatArray = npt.NDArray[np.float64]

MOST_POINTS = 400
"""Most points of one curve: a plot shows no more, and a page stays small."""


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve.

    Attributes:
        x, y: (m,) float64 in [0, 1], m at most `MOST_POINTS`.
        area: under the whole curve (AUC; average precision).
    """

    x: FloatArray
    y: FloatArray
    area: float


def trace_roc(scores: Scores) -> Curve | None:
    """False-positive rate against sensitivity; None unless both labels are there."""
    tumor, chance = _labelled(scores)
    if len(np.unique(tumor)) < 2:
        return None
    metrics = load("sklearn.metrics", "curves")
    x, y, _ = metrics.roc_curve(tumor, chance)
    return Curve(*_thin(x, y), float(metrics.roc_auc_score(tumor, chance)))


def trace_precision_recall(scores: Scores) -> Curve | None:
    """Sensitivity (recall) against precision; None unless both labels are there."""
    tumor, chance = _labelled(scores)
    if len(np.unique(tumor)) < 2:
        return None
    metrics = load("sklearn.metrics", "curves")
    precision, recall, _ = metrics.precision_recall_curve(tumor, chance)
    x, y = _thin(recall[::-1], precision[::-1])
    return Curve(x, y, float(metrics.average_precision_score(tumor, chance)))


def _labelled(scores: Scores) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    return scores.tumor[scores.labelled], scores.tumor_probability[scores.labelled]


def _thin(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """At most `MOST_POINTS` points, evenly spaced along the curve; both ends stay."""
    if len(x) <= MOST_POINTS:
        return np.asarray(x, np.float64), np.asarray(y, np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    wanted = np.linspace(0, along[-1], MOST_POINTS - 1)
    chosen = np.unique(np.append(np.searchsorted(along, wanted).clip(0, len(x) - 1), len(x) - 1))
    return np.asarray(x[chosen], np.float64), np.asarray(y[chosen], np.float64)
