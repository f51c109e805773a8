"""Intervals: by weights, over groups, exact where no error was seen, and they cover."""

import numpy as np
import pytest

from score_tables import draw_scores, make_rows, make_scores
from tumorlens.evaluation.figures.families import build_families
from tumorlens.evaluation.figures.grouped_scores import GroupedScores, Ratio, ratio_family
from tumorlens.evaluation.figures.intervals import (
    bound_exactly,
    bound_replicates,
    draw_weights,
    measure,
)


def sensitivity_of(scores):
    grouped = GroupedScores.of(scores)
    family = ratio_family(grouped, [Ratio("s", scores.tumor & scores.called, scores.tumor)])
    return measure([family], grouped.names)[0]


def test_weights_are_counts_of_draws():
    weights = draw_weights(40, 200)
    assert weights.shape == (200, 40)
    assert (weights.sum(axis=1) == 40).all()
    assert np.array_equal(weights, draw_weights(40, 200))
    assert not np.array_equal(weights, draw_weights(40, 200, seed=1))


def test_copies_of_a_slice_do_not_narrow_an_interval():
    once = draw_scores(groups=40, slices=5)
    copies = once.take(np.tile(np.arange(len(once)), 9))
    one, nine = sensitivity_of(once), sensitivity_of(copies)
    assert (one.low, one.high) == pytest.approx((nine.low, nine.high))
    assert nine.n == 9 * one.n


def test_no_error_gives_an_exact_bound_on_groups_not_slices():
    rows = make_rows(np.repeat(np.arange(30), 4), [True] * 120)
    found = sensitivity_of(make_scores(rows, np.full(120, 0.9)))
    assert found.method == "exact"
    assert (found.low, found.high) == pytest.approx((0.025 ** (1 / 30), 1.0))


def test_only_errors_give_an_exact_bound():
    rows = make_rows(range(25), [True] * 25)
    found = sensitivity_of(make_scores(rows, np.full(25, 0.1)))
    assert (found.low, found.high) == pytest.approx((0, 1 - 0.025 ** (1 / 25)))


def test_under_twenty_groups_the_counts_are_listed():
    rows = make_rows(list("aabbb"), [True] * 5)
    found = sensitivity_of(make_scores(rows, np.array([0.9, 0.1, 0.9, 0.9, 0.9])))
    assert (found.low, found.high, found.method) == (None, None, "counts")
    assert found.counts == [("a", 1, 2), ("b", 3, 3)]


def test_exact_bounds_are_those_of_clopper_and_pearson():
    # Clopper and Pearson 1934; 8 of 10 in any table: 0.4439 to 0.9748.
    assert bound_exactly(8, 10) == pytest.approx((0.4439, 0.9748), abs=1e-4)


def test_a_plain_figure_is_spread_by_student():
    drawn = np.random.default_rng(0).normal(3, 1, 4000)
    low, high = bound_replicates(drawn, 21, value=2)
    # t of 20 degrees of freedom is 2.086; sqrt(21 / 20) undoes the bootstrap's narrowness.
    assert (low + high) / 2 == pytest.approx(2)
    assert (high - low) / 2 == pytest.approx(2.086 * np.sqrt(21 / 20) * drawn.std(), rel=1e-3)


def test_a_share_stays_a_share_and_is_symmetric_in_the_logit():
    drawn = np.clip(np.random.default_rng(0).normal(0.97, 0.03, 1000), 0, 1)
    low, high = bound_replicates(drawn, 30, value=0.97, share=True)
    odds = np.array([low, 0.97, high]) / (1 - np.array([low, 0.97, high]))
    assert 0 < low < high < 1
    assert odds[1] / odds[0] == pytest.approx(odds[2] / odds[1])


def test_the_interval_of_a_correlation_stays_below_one():
    drawn = np.clip(np.random.default_rng(0).normal(0.9, 0.05, 400), -1, 0.99)
    low, high = bound_replicates(drawn, 30, value=0.9, correlation=True)
    assert 0.6 < low < 0.7
    assert 0.95 < high < 1


def test_the_bias_that_replicates_show_is_taken_off():
    drawn = np.random.default_rng(0).normal(0.05, 0.01, 1000)
    low, high = bound_replicates(drawn, 1000, value=0.04, biased=True)
    assert (low + high) / 2 == pytest.approx(0.03, abs=1e-3)
    assert bound_replicates(drawn, 1000, value=0.01, biased=True)[0] == 0


def test_a_positive_figure_never_falls_below_zero_and_is_symmetric_in_the_log():
    drawn = np.random.default_rng(0).exponential(0.1, 1000)
    low, high = bound_replicates(drawn, 30, value=0.1, positive=True)
    assert 0 < low < 0.1 < high
    assert 0.1 / low == pytest.approx(high / 0.1)
    assert bound_replicates(np.zeros(100), 30, value=0.0, positive=True) == (0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_loss_brier_and_ece_have_no_negative_bounds(seed):
    """Hardly an error, so that a few groups carry all of the loss."""
    rng = np.random.default_rng(seed)
    tumor = np.arange(60) % 2 == 0
    chance = np.where(tumor, 0.999, 0.001)
    chance[rng.permutation(60)[:2]] = 0.5
    grouped = GroupedScores.of(make_scores(make_rows(range(60), tumor), chance))
    found = {one.name: one for one in measure(build_families(grouped), grouped.names)}
    for name in ("loss", "brier", "ece"):
        assert 0 <= found[name].low <= found[name].high


def test_an_interval_needs_draws_that_can_tell():
    drawn = np.full(100, np.nan)
    drawn[:40] = 0.5
    assert np.isnan(bound_replicates(drawn, 30, value=0.5)).all()


@pytest.mark.parametrize("groups", [20, 50])
def test_intervals_cover(groups):
    """A quick look; benchmarks/coverage.py looks closely."""
    rng = np.random.default_rng(7)
    truth, hits, rounds = 0.7, 0, 150
    code = np.repeat(np.arange(groups), 8)
    for _ in range(rounds):
        rate = rng.beta(3.5, 1.5, groups)  # mean 0.7, correlation 1/6 inside a group
        right = rng.random(len(code)) < rate[code]
        part, whole = np.bincount(code, weights=right), np.bincount(code)
        weights = draw_weights(groups, 300, seed=int(rng.integers(1 << 30)))
        drawn = (weights @ part) / (weights @ whole)
        value = part.sum() / whole.sum()
        low, high = bound_replicates(drawn, groups, value=value, share=True)
        hits += low <= truth <= high
    assert 0.91 <= hits / rounds <= 0.985


def test_where_no_draw_differs_there_is_no_interval():
    """A model that calls everything a tumor: its balanced accuracy is not known without error."""
    rows = make_rows(range(50), [True, False] * 25)
    grouped = GroupedScores.of(make_scores(rows, np.linspace(0.9, 0.99, 50)))
    found = {one.name: one for one in measure(build_families(grouped), grouped.names)}
    for name in ("balanced_accuracy", "mcc"):
        assert (found[name].low, found[name].high) == (None, None)
        assert "no draw of groups differs" in found[name].note
    assert found["sensitivity"].method == "exact"
    assert found["brier"].low < found["brier"].value < found["brier"].high
