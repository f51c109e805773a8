"""Level-matched and within-patient AUC against loops that spell the definitions out."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from score_tables import draw_scores, make_rows, make_scores
from tumorlens.evaluation.figures import levels
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import draw_weights, replicate_family


def by_loops(scores, score, weight):
    """The share of pairs of two patients at one level, counted pair by pair with their weights."""
    won = pairs = 0.0
    for i in np.flatnonzero(scores.tumor):
        for j in np.flatnonzero(~scores.tumor):
            level = abs(scores.position[i] - scores.position[j]) <= 0.05 + 1e-9
            if level and scores.group[i] != scores.group[j]:
                both = weight[i] * weight[j]
                pairs += both
                won += both * ((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
    return won / pairs


def statistics_of(scores):
    families = levels.level_families(GroupedScores.of(scores))
    return {one.name: one for family in families for one in family.statistics}


def test_level_matched_auc_is_what_the_loops_give():
    scores = draw_scores(groups=8, slices=12)
    expected = by_loops(scores, scores.tumor_probability, np.ones(len(scores)))
    assert statistics_of(scores)["level_matched_auc"].value == pytest.approx(expected)


def test_its_replicates_weigh_pairs_by_both_patients():
    scores = draw_scores(groups=8, slices=12)
    grouped = GroupedScores.of(scores)
    weights = draw_weights(8, 3)
    family = levels.level_families(grouped)[0]
    drawn = replicate_family(family, weights)[:, 0]
    for k in range(3):
        expected = by_loops(
            scores, scores.tumor_probability, weights[k][grouped.codes].astype(float)
        )
        assert drawn[k] == pytest.approx(expected)


def test_pairs_in_portions_are_the_same_pairs(monkeypatch):
    scores = draw_scores(groups=10, slices=15)
    whole = statistics_of(scores)["level_matched_auc"]
    monkeypatch.setattr(levels, "PAIRS_AT_ONCE", 7)
    assert statistics_of(scores)["level_matched_auc"].value == whole.value


def test_many_groups_are_pooled_and_spread_alike(monkeypatch):
    scores = draw_scores(groups=120, slices=6)

    def spread():
        grouped = GroupedScores.of(scores)
        family = levels.level_families(grouped)[0]
        return family.statistics[0].value, replicate_family(family, draw_weights(120, 500)).std()

    value, whole = spread()
    monkeypatch.setattr(levels, "MOST_CELLS", 60)
    pooled_value, pooled = spread()
    assert pooled_value == pytest.approx(value)
    assert pooled == pytest.approx(whole, rel=0.2)


def test_within_patient_auc_is_the_mean_over_patients_with_both():
    scores = draw_scores(groups=9, slices=10)
    areas = []
    for name in sorted(set(scores.group)):
        rows = scores.group == name
        if 0 < scores.tumor[rows].sum() < rows.sum():
            areas.append(roc_auc_score(scores.tumor[rows], scores.tumor_probability[rows]))
    found = statistics_of(scores)["within_patient_auc"]
    assert found.value == pytest.approx(np.mean(areas))
    assert found.n == len(areas)


def test_a_patient_with_several_sequences_counts_once():
    tumor = np.array([True, False] * 3)
    rows = make_rows(
        "aaaabb", tumor, np.full(6, 0.5), sequence=["T1", "T1", "T2", "T2", "T1", "T1"]
    )
    found = statistics_of(make_scores(rows, np.array([0.9, 0.1, 0.9, 0.1, 0.1, 0.9])))
    assert found["within_patient_auc"].value == 0.5
    assert found["within_patient_auc"].n == 2


def test_position_alone_is_the_smoothed_tumor_rate_of_the_others():
    scores = draw_scores(groups=6, slices=9)
    position = np.round(scores.position, 3)
    group = np.unique(scores.group, return_inverse=True)[1]
    rate = levels.score_positions(
        position, scores.tumor, group, np.zeros(len(scores), dtype=np.intp)
    )
    for i in range(len(scores)):
        others = group != group[i]
        kernel = np.exp(-0.5 * ((position[others] - position[i]) / 0.08) ** 2)
        assert rate[i] == pytest.approx((kernel * scores.tumor[others]).sum() / kernel.sum())


def test_a_detector_of_position_is_unmasked():
    """Tumors in the middle, a score that knows only the level: its AUC melts at one level.

    A little is left, because tumors grow more frequent inside the tolerance, too.
    """
    rng = np.random.default_rng(0)
    position = np.tile((np.arange(40) + 0.5) / 40, 40)
    tumor = rng.random(1600) < np.exp(-0.5 * ((position - 0.5) / 0.12) ** 2)
    chance = 1 - np.abs(position - 0.5)
    rows = make_rows(np.repeat(np.arange(40), 40), tumor, position)
    found = statistics_of(make_scores(rows, chance))
    assert roc_auc_score(tumor, chance) > 0.85
    assert found["level_matched_auc"].value < 0.7
    within, alone = found["within_patient_auc"], found["within_patient_auc_of_position"]
    assert within.value == pytest.approx(alone.value, abs=0.03)


def test_levels_compare_inside_one_sequence_only():
    rows = make_rows("ab", [True, False], [0.5, 0.5], sequence=["FLAIR", "T1"])
    assert levels.level_families(GroupedScores.of(make_scores(rows, np.array([0.9, 0.1])))) == []


def test_without_positions_there_are_no_such_figures():
    rows = make_rows("ab", [True, False])
    assert levels.level_families(GroupedScores.of(make_scores(rows, np.array([0.9, 0.1])))) == []


def test_the_rate_at_a_level_where_no_other_patient_lies_is_unknown():
    position = np.array([0.0, 0.02, 0.96, 1.0])
    tumor = np.array([True, False, True, False])
    group, one = np.array([0, 0, 1, 1]), np.zeros(4, dtype=np.intp)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(levels.score_positions(position, tumor, group, one)).all()
