"""Curves: thin, whole at both ends, and under them the area that scikit-learn gives."""

import numpy as np
import pytest

from score_tables import draw_scores, make_rows, make_scores
from tumorlens.evaluation.figures.curves import MOST_POINTS, trace_precision_recall, trace_roc


@pytest.mark.parametrize("slices", [2, 200])
def test_roc_is_thin_and_has_its_area(slices):
    scores = draw_scores(100, slices)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(scores))
    scores = make_scores(scores.rows, np.clip(scores.tumor_probability + noise, 0, 1))
    curve = trace_roc(scores)
    assert len(curve.x) <= MOST_POINTS
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(curve.area, abs=0.01)


def test_precision_recall_ends_at_the_share_of_tumors():
    scores = draw_scores(100, 20)
    curve = trace_precision_recall(scores)
    assert len(curve.x) <= MOST_POINTS
    assert curve.x[-1] == 1
    assert curve.y[-1] >= scores.tumor.mean() - 1e-9


def test_one_label_has_no_curve():
    scores = make_scores(make_rows(["a", "b"], [True, True]), np.array([0.1, 0.9]))
    assert trace_roc(scores) is None
    assert trace_precision_recall(scores) is None
