"""Scale, offset, thresholds and familiarity: recovered where known, refused where too few."""

import numpy as np
import pytest

from score_tables import draw_scores, make_rows, make_scores
from tumorlens.errors import DataError, UsageError
from tumorlens.evaluation.adoption import recalibrate_crosswise
from tumorlens.evaluation.calibration import (
    apply_point,
    carry_point,
    check_enough,
    choose_thresholds,
    fit_familiarity,
    fit_logit,
    recalibrate,
)
from tumorlens.evaluation.reliability import assign_bins, calibration_error, to_logit
from tumorlens.model.card import OperatingPoint
from tumorlens.model.contract import Calibration


def draw_logits(n, scale, offset, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, n)
    tumor = rng.random(n) < 1 / (1 + np.exp(-(scale * z + offset)))
    return 1 / (1 + np.exp(-z)), tumor


def test_a_known_distortion_is_recovered():
    chance, tumor = draw_logits(5000, scale=0.5, offset=-1.0)
    fitted = fit_logit(chance, tumor, np.arange(5000))
    assert fitted.scale == pytest.approx(0.5, abs=0.04)
    assert fitted.offset == pytest.approx(-1.0, abs=0.1)


def test_few_cases_stay_near_the_identity():
    chance = np.array([0.6, 0.4])
    fitted = fit_logit(chance, np.array([True, False]), np.arange(2))
    assert 0.8 < fitted.scale < 1.6
    assert fitted.offset == pytest.approx(0, abs=0.2)


def test_copies_of_a_case_count_less_than_new_cases():
    chance, tumor = draw_logits(30, scale=0.2, offset=-2.0)
    once = fit_logit(chance, tumor, np.arange(30))
    copied = fit_logit(np.tile(chance, 16), np.tile(tumor, 16), np.tile(np.arange(30), 16))
    cases = fit_logit(np.tile(chance, 16), np.tile(tumor, 16), np.arange(480))
    assert abs(once.offset) < abs(copied.offset) < abs(cases.offset)


def test_recalibrated_probabilities_add_up_and_compose():
    scores = draw_scores(classes=("no_tumor", "glioma", "meningioma"))
    first, second = Calibration(0.5, -1.0, 2.0), Calibration(1.5, 0.3, 0.5)
    twice = recalibrate(recalibrate(scores, first), second)
    once = recalibrate(scores, first.then(second))
    assert twice.tumor_probability == pytest.approx(once.tumor_probability, abs=1e-4)
    assert once.probabilities.sum(axis=1) == pytest.approx(np.ones(len(scores)))
    assert once.probabilities[:, 1:].sum(axis=1) == pytest.approx(once.tumor_probability)
    assert once.unfamiliarity == pytest.approx(scores.unfamiliarity)


def test_other_points_keep_their_decisions():
    scores, fitted = draw_scores(), Calibration(0.6, 0.8)
    point = OperatingPoint(low=0.305, middle=0.505, high=0.705)
    before = apply_point(scores, point)
    after = apply_point(recalibrate(scores, fitted), carry_point(point, fitted))
    assert after.verdict.tolist() == before.verdict.tolist()


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.95, 0.99])
def test_a_wanted_rate_is_reached_and_no_more_than_needed(rate):
    scores = draw_scores(groups=60)
    for wish in ("sensitivity", "specificity"):
        point = choose_thresholds(scores, **{wish: rate}).point
        called = scores.tumor_probability >= point.middle
        right = called[scores.tumor] if wish == "sensitivity" else ~called[~scores.tumor]
        assert right.mean() >= rate
        # One step of the threshold further, the rate is missed.
        edge = scores.tumor_probability[scores.tumor if wish == "sensitivity" else ~scores.tumor]
        ties = np.unique(edge, return_counts=True)[1].max()
        assert right.mean() < rate + (ties + 1) / len(right)
        assert point.low <= point.middle <= point.high


def test_without_a_wish_both_rates_are_nearly_equal():
    scores = draw_scores(groups=200)
    chosen = choose_thresholds(scores)
    sensitivity, specificity = chosen.estimates
    assert sensitivity.value == pytest.approx(specificity.value, abs=0.03)
    assert sensitivity.low < sensitivity.value < sensitivity.high


def test_separated_labels_get_a_threshold_between_them():
    rows = make_rows(range(4), [True, True, False, False])
    point = choose_thresholds(make_scores(rows, np.array([0.9, 0.8, 0.2, 0.1]))).point
    assert (point.low, point.middle, point.high) == pytest.approx((0.4, 0.5, 0.6), abs=0.2)


def test_familiarity_limit_weighs_groups_not_slices():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.uniform(0, 1, 200), np.full(5000, 9.0)])
    group = np.concatenate([np.arange(200), np.full(5000, 1000)])
    factor = fit_familiarity(values, group, familiar=0.95)
    assert 1 / factor == pytest.approx(0.955, abs=0.03)


def test_too_few_cases_are_refused_with_the_number_that_would_do():
    rows = make_rows(range(45), [True] * 15 + [False] * 30)
    scores = make_scores(rows, np.linspace(0, 1, 45))
    with pytest.raises(DataError, match=r"15 groups .* tumor; expected at least 20: add 5 more"):
        check_enough(scores)
    with pytest.raises(DataError, match=r"expected at least 50 for a rate of 0\.98: add 35 more"):
        check_enough(scores, sensitivity=0.98)


def test_two_wishes_contradict_each_other():
    with pytest.raises(UsageError, match="not both"):
        choose_thresholds(draw_scores(), sensitivity=0.9, specificity=0.9)


def test_crosswise_fits_mend_an_overconfident_model():
    scores = draw_scores(groups=80, scale=3.0, alike=0.3)
    after = recalibrate_crosswise(scores)
    before_ece, after_ece = (
        calibration_error(one.tumor_probability, one.tumor, assign_bins(one))
        for one in (scores, after)
    )
    assert after_ece < 0.6 * before_ece
    # No single map of the logit explains the result: folds were fitted apart.
    slope = (to_logit(after.tumor_probability) - 0)[scores.tumor_probability == 0.9]
    assert len(np.unique(np.round(slope, 9))) > 1
