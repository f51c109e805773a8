"""Scale, offset, thresholds and familiarity: recovered where known, refused where too few."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from models import make_card
from score_tables import draw_scores, make_rows, make_scores
from tumorlens.errors import DataError, UsageError
from tumorlens.evaluation.calibration import (
    apply_calibration,
    apply_point,
    carry_point,
    check_enough,
    choose_thresholds,
    fit_familiarity,
    fit_logit,
)
from tumorlens.evaluation.figures.reliability import assign_bins, calibration_error
from tumorlens.evaluation.scores import as_text
from tumorlens.evaluation.site_calibration import Wishes, calibrate_crosswise, calibrate_model
from tumorlens.logits import to_logit
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


def test_calibrated_probabilities_add_up_and_compose():
    scores = draw_scores(classes=("no_tumor", "glioma", "meningioma"))
    first, second = Calibration(0.5, -1.0, 2.0), Calibration(1.5, 0.3, 0.5)
    twice = apply_calibration(apply_calibration(scores, first), second)
    once = apply_calibration(scores, first.then(second))
    assert twice.tumor_probability == pytest.approx(once.tumor_probability, abs=1e-4)
    assert once.probabilities.sum(axis=1) == pytest.approx(np.ones(len(scores)))
    assert once.probabilities[:, 1:].sum(axis=1) == pytest.approx(once.tumor_probability)
    assert once.unfamiliarity == pytest.approx(scores.unfamiliarity)


def test_other_points_keep_their_decisions():
    scores, fitted = draw_scores(), Calibration(0.6, 0.8)
    point = OperatingPoint(low=0.305, middle=0.505, high=0.705)
    before = apply_point(scores, point)
    after = apply_point(apply_calibration(scores, fitted), carry_point(point, fitted))
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
    called = scores.tumor_probability >= choose_thresholds(scores).point.middle
    assert called[scores.tumor].mean() == pytest.approx((~called)[~scores.tumor].mean(), abs=0.03)


def draw_separated(odd=0, seed=0, slices=200):
    """Well separated labels, and ``odd`` normals that look like the surest of tumors."""
    rng = np.random.default_rng(seed)
    tumor = np.arange(slices) % 2 == 0
    logit = np.where(tumor, 2.5, -2.5) + rng.normal(0, 1.3, slices)
    logit[np.flatnonzero(~tumor)[:odd]] = 9
    rows = make_rows([f"p{i}" for i in range(slices)], tumor)
    return make_scores(rows, 1 / (1 + np.exp(-logit)))


def cover(scores, point):
    after = apply_point(scores, point)
    return np.mean([word in ("tumor", "no_tumor") for word in after.verdict])


@pytest.mark.parametrize("wish", [{}, {"sensitivity": 0.95}, {"specificity": 0.95}])
@pytest.mark.parametrize("odd", [0, 3, 12])
def test_a_few_odd_normals_do_not_silence_the_model(wish, odd):
    scores = draw_separated(odd=odd)
    chosen = choose_thresholds(scores, **wish)
    assert cover(scores, chosen.point) >= 0.9
    told = "at least 90 % of the slices get an answer" in chosen.point.meaning
    assert told or odd == 0


def test_a_point_says_in_plain_words_what_its_thresholds_do():
    scores = draw_separated(slices=200)
    point = choose_thresholds(scores, sensitivity=0.95).point
    chance, tumor = scores.tumor_probability, scores.tumor
    kept, passed = np.mean(chance[tumor] >= point.low), np.mean(chance[~tumor] < point.high)
    assert point.meaning == (
        f"sensitivity 0.95 at the middle; {100 * kept:.1f} % of 100 tumor slices are not cleared "
        f"(at or over the low threshold), and {100 * passed:.1f} % of 100 other slices are not "
        "called tumor (under the high one)"
    )


def test_a_poor_model_still_answers_what_was_asked():
    scores = draw_scores(groups=80, shift=0.2)
    chosen = choose_thresholds(scores, sensitivity=0.9, coverage=0.7)
    assert 0.7 <= cover(scores, chosen.point) < 0.75
    assert chosen.confident < 0.98


def test_slices_that_are_unfamiliar_do_not_count_for_coverage():
    scores = draw_separated(odd=6)
    strange = make_scores(
        scores.rows,
        scores.tumor_probability,
        unfamiliarity=np.where(np.arange(200) < 60, 2.0, 0.5),
    )
    known = strange.take(strange.unfamiliarity <= 1)
    assert cover(known, choose_thresholds(strange).point) >= 0.9


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
    after = calibrate_crosswise(scores)
    before_ece, after_ece = (
        calibration_error(one.tumor_probability, one.tumor, assign_bins(one))
        for one in (scores, after)
    )
    assert after_ece < 0.6 * before_ece
    # No single map of the logit explains the result: folds were fitted apart.
    slope = (to_logit(after.tumor_probability) - 0)[scores.tumor_probability == 0.9]
    assert len(np.unique(np.round(slope, 9))) > 1


def test_crosswise_verdicts_are_those_of_thresholds_fitted_on_others():
    scores = draw_scores(groups=80)
    after = calibrate_crosswise(scores, partial(choose_thresholds, sensitivity=0.8))
    assert [row.path for row in after.rows] == [row.path for row in scores.rows]
    assert len(np.unique(after.thresholds[:, 1])) == 5
    # Thresholds keep about the wanted rate on groups that did not choose them.
    assert after.called[after.tumor].mean() == pytest.approx(0.8, abs=0.06)


def test_a_point_that_hardly_answers_is_warned_of():
    scores = draw_scores(groups=60)
    assert calibrate_model(make_card(), scores).warnings == []
    calibrated = calibrate_model(make_card(), scores, Wishes(coverage=0.3))
    assert "of the slices would get an answer" in calibrated.warnings[0]
    assert calibrated.card.history[0].notes == [*calibrated.notes, *calibrated.warnings]


def test_ranking_is_not_said_to_change():
    calibrated = calibrate_model(make_card(), draw_scores(groups=60))
    told = [one.after.name for one in calibrated.changes]
    assert "found" in told
    assert not any(name.startswith("auc") for name in told)


def test_a_slice_that_was_not_judged_stays_so():
    scores = draw_scores(groups=4)
    words = ["not_judged", *scores.verdict[1:]]
    point = OperatingPoint(low=0.0, middle=0.0, high=0.0)
    judged = apply_point(replace(scores, verdict=as_text(words)), point)
    assert judged.verdict[0] == "not_judged"
    assert set(judged.verdict[1:]) == {"tumor"}
