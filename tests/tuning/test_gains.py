"""What a gain is worth: the mean over folds, paired, and how far luck alone goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from score_tables import draw_scores
from tumorlens.evaluation.scores import as_text, join_scores
from tumorlens.tuning.gains import expect_optimism, measure_figure, measure_gain


def name_fold(scores, name):
    rows = [replace(row, group=f"{name}-{row.group}") for row in scores.rows]
    return replace(scores, rows=tuple(rows), fold=as_text([name] * len(scores)))


@pytest.fixture(scope="module")
def folds():
    return [name_fold(draw_scores(groups=30, slices=2, seed=seed), f"{seed}") for seed in (0, 1)]


def test_folds_are_not_pooled(folds):
    parts = [roc_auc_score(one.tumor, one.tumor_probability) for one in folds]
    shifted = [folds[0], replace(folds[1], tumor_probability=folds[1].tumor_probability / 100)]
    assert measure_figure(join_scores(folds), "auc") == pytest.approx(np.mean(parts))
    assert measure_figure(join_scores(shifted), "auc") == pytest.approx(np.mean(parts))


def test_a_gain_is_paired_and_zero_over_itself(folds):
    table = join_scores(folds)
    none = measure_gain(table, table, "auc", over="seed", nested=True)
    assert (none.difference, none.low, none.high) == (0, None, None)
    rng = np.random.default_rng(0)
    noisy = np.clip(table.tumor_probability + rng.normal(0, 0.4, len(table)), 0, 1)
    worse = replace(table, tumor_probability=noisy)
    gain = measure_gain(table, worse, "auc", over="seed", nested=False)
    assert gain.low < gain.difference < gain.high
    assert gain.difference == pytest.approx(gain.value - gain.other)
    assert gain.other == pytest.approx(measure_figure(worse, "auc"))
    loss = measure_gain(table, worse, "loss", over="seed", nested=False)
    assert loss.difference < 0


def test_luck_is_what_the_best_of_equal_recipes_seems_to_gain():
    """Against draws: normal scores of AUC 0.95, correlated by one half from recipe to recipe."""
    rng = np.random.default_rng(1)
    tumors, normals, trials = 40, 30, 20
    truth = np.r_[np.ones(tumors), np.zeros(normals)]
    apart = 2.326  # AUC 0.95 of two normal distributions of deviation 1
    gains = []
    for _ in range(40):
        common = rng.normal(size=len(truth))
        found = [
            roc_auc_score(
                truth, truth * apart + np.sqrt(0.5) * (common + rng.normal(size=len(truth)))
            )
            for _ in range(trials)
        ]
        gains.append(max(found) - np.mean(found))
    assert expect_optimism(tumors, normals, trials) == pytest.approx(np.mean(gains), rel=0.6)
    assert expect_optimism(tumors, normals, 1) == 0
    assert expect_optimism(400, 300, trials) < expect_optimism(tumors, normals, trials) / 2
