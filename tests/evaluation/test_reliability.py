"""ECE in bins of equal mass, its floor, and abstention."""

import numpy as np
import pytest

from score_tables import draw_scores, make_rows, make_scores
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.reliability import (
    assign_bins,
    calibration_error,
    calibration_family,
    expect_error,
    tabulate_reliability,
)


def test_bins_hold_equal_numbers_source_by_source():
    tumor = np.arange(800) % 3 == 0
    source = ["big"] * 700 + ["small"] * 60 + ["healthy"] * 40
    tumor[760:] = False
    rows = make_rows(range(800), tumor, source=source)
    bins = assign_bins(make_scores(rows, np.random.default_rng(0).random(800)))
    assert (np.bincount(bins[:700]) == 100).all()  # n / 100 = 7 bins
    assert np.bincount(bins[700:760] - 7).tolist() == [12] * 5  # never under 5
    assert (bins[760:] == -1).all()  # one label only


def test_error_by_hand():
    chance = np.array([0.1, 0.3, 0.6, 0.8])
    tumor = np.array([False, True, True, True])
    bins = np.array([0, 0, 1, 1])
    # |0.2 - 0.5| and |0.7 - 1.0|, half of the slices each.
    assert calibration_error(chance, tumor, bins) == pytest.approx(0.3)


def test_a_calibrated_model_shows_what_was_expected_of_it():
    rng = np.random.default_rng(3)
    chance = rng.random(1000)
    found = []
    for _ in range(25):
        rows = make_rows(range(1000), rng.random(1000) < chance)
        scores = make_scores(rows, chance)
        found.append(calibration_error(chance, scores.tumor, assign_bins(scores)))
    assert np.mean(found) == pytest.approx(expect_error(chance, assign_bins(scores)), rel=0.1)


def test_the_note_states_the_floor():
    one = calibration_family(GroupedScores.of(draw_scores(groups=50))).statistics[0]
    assert one.note.startswith("perfectly calibrated: 0.0")
    assert one.biased


def test_table_adds_up():
    scores = draw_scores(groups=60)
    table = tabulate_reliability(GroupedScores.of(scores), replicates=200, seed=0)
    assert sum(one.n for one in table) == len(scores)
    gap = sum(one.n * abs(one.predicted - one.observed) for one in table) / len(scores)
    bins = assign_bins(scores)
    assert gap == pytest.approx(calibration_error(scores.tumor_probability, scores.tumor, bins))
    assert all(one.low <= one.observed <= one.high for one in table if one.groups >= 20)
