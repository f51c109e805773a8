"""Figures of whole heads, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from score_tables import make_rows, make_scores
from tumorlens.evaluation.series_and_studies.series_figures import measure_heads


def make_heads(positives: list[float], negatives: list[float]):
    names = [f"patient-{n}" for n in range(len(positives) + len(negatives))]
    tumor = [True] * len(positives) + [False] * len(negatives)
    return make_scores(make_rows(names, tumor), np.array(positives + negatives))


def find(estimates, name):
    return next(one for one in estimates if one.name == name)


def test_figures_by_hand():
    positives = [0.9] * 16 + [0.6] * 3 + [0.1]
    negatives = [0.05] * 16 + [0.4, 0.4, 0.65, 0.8]
    estimates = measure_heads(make_heads(positives, negatives))
    assert find(estimates, "sensitivity").value == pytest.approx(19 / 20)
    assert find(estimates, "specificity").value == pytest.approx(18 / 20)
    assert find(estimates, "found").value == pytest.approx(16 / 20)
    alarms = find(estimates, "alarms_per_100")
    assert alarms.value == pytest.approx(5)
    assert alarms.low < 5 < alarms.high
    # Two of twenty alarms are allowed: 0.8 and 0.65; then four: the two at 0.4 as negatives.
    assert find(estimates, "found_at_10_alarms").value == pytest.approx(19 / 20)
    assert find(estimates, "found_at_20_alarms").value == pytest.approx(1)
    assert find(estimates, "uncertain_among_no_tumor").value == pytest.approx(3 / 20)


def test_tumor_free_heads_alone_give_alarms():
    estimates = measure_heads(make_heads([], [0.05] * 24 + [0.9]))
    assert find(estimates, "alarms_per_100").value == pytest.approx(4)
    assert "auc" not in {one.name for one in estimates}


def test_nothing_labelled_gives_nothing():
    assert measure_heads(make_heads([0.5], [0.5]).take(np.zeros(2, bool))) == []
