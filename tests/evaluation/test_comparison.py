"""Paired differences: of a model with itself nothing, of unequal ones more than unpaired."""

from dataclasses import replace

import numpy as np
import pytest

from score_tables import draw_scores
from tumorlens.errors import DataError
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.evaluation.figures.families import compare_figures
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.reliability import calibration_family
from tumorlens.evaluation.scores import as_text


def differences(scores, other):
    found = compare_figures(GroupedScores.of(scores), GroupedScores.of(other), replicates=300)
    return {one.name: one for one in found}


def test_a_model_does_not_differ_from_itself():
    scores = draw_scores()
    for one in differences(scores, scores).values():
        assert (one.difference, one.low) == (0, None)


def test_pairing_narrows_the_interval():
    scores = draw_scores(groups=60)
    nudged = np.clip(scores.tumor_probability + 0.02 * np.sin(np.arange(600)), 0, 1)
    other = replace(scores, tumor_probability=nudged)
    paired = differences(scores, other)["auc"]
    alone = evaluate_scores(scores, replicates=300).parts[0].find("auc")
    assert paired.high - paired.low < 0.3 * (alone.high - alone.low)
    assert paired.low < paired.difference < paired.high


def test_the_better_model_is_seen():
    scores = draw_scores(groups=60, seed=1)
    noise = np.random.default_rng(0).random(600)
    worse = replace(scores, tumor_probability=0.3 * scores.tumor_probability + 0.7 * noise)
    found = differences(scores, worse)["auc"]
    assert found.low > 0
    assert found.difference == pytest.approx(found.value - found.other)


def test_the_difference_of_two_shares_is_at_most_one():
    scores = draw_scores(groups=40)
    silent = replace(scores, verdict=as_text(["unfamiliar"] * len(scores)))
    words = ["uncertain" if one == scores.group[0] else "tumor" for one in scores.group]
    found = differences(replace(scores, verdict=as_text(words)), silent)["coverage"]
    assert found.difference > 0.9
    assert found.low < found.difference < found.high == 1


def test_slices_that_one_model_alone_does_not_judge_are_compared():
    judged = draw_scores(groups=40)
    silent = replace(judged, verdict=as_text(["not_judged"] * len(judged)))
    for one, other, expected in [(judged, silent, (0, 1)), (silent, judged, (1, 0))]:
        found = differences(one, other)
        for name in ("not_judged_among_tumor", "not_judged_among_no_tumor"):
            assert (found[name].value, found[name].other) == expected


def test_only_the_figures_that_are_asked_for_are_compared():
    grouped = GroupedScores.of(draw_scores())
    found = compare_figures(
        grouped, grouped, replicates=20, build=lambda one: [calibration_family(one)]
    )
    assert [one.name for one in found] == ["ece"]


def test_rows_are_matched_not_trusted():
    scores = draw_scores()
    shuffled = scores.take(np.random.default_rng(0).permutation(300))
    part = evaluate_scores(scores, other=shuffled, replicates=100).parts[0]
    assert all(one.difference == pytest.approx(0, abs=1e-12) for one in part.differences)


def test_other_rows_are_refused():
    scores = draw_scores()
    with pytest.raises(DataError, match="100 of the 300 slices"):
        evaluate_scores(scores, other=scores.take(np.arange(200)), replicates=100)
    flipped = tuple(replace(row, label="tumor") for row in scores.rows)
    with pytest.raises(DataError, match="labelled 'tumor' here and 'no_tumor'"):
        evaluate_scores(scores, other=replace(scores, rows=flipped), replicates=100)
