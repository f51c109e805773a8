"""Values and weighted replicates are scikit-learn's, called directly."""

import numpy as np
import pytest
from sklearn import metrics

from score_tables import CLASSES, draw_scores, make_rows, make_scores
from tumorlens.evaluation.figures.families import build_families
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import draw_weights, replicate_family
from tumorlens.evaluation.figures.verdict_figures import (
    class_families,
    count_classes,
    predict_classes,
    predictive_values,
    verdict_family,
)


def everything(scores, weights=None):
    """Figure -> value, or its replicates under weights."""
    grouped = GroupedScores.of(scores)
    found = {}
    for family in build_families(grouped, prevalence=0.1):
        drawn = None if weights is None else replicate_family(family, weights, cells=1000)
        for k, one in enumerate(family.statistics):
            found[one.name] = one.value if drawn is None else drawn[:, k]
    return found


def measure_all(families):
    return {one.name: one for family in families for one in family.statistics}


def by_sklearn(y, p, called, weight=None):
    options = {"sample_weight": weight}
    fpr, tpr, _ = metrics.roc_curve(y, p, drop_intermediate=False, **options)
    return {
        "auc": metrics.roc_auc_score(y, p, **options),
        "average_precision": metrics.average_precision_score(y, p, **options),
        "sensitivity_at_specificity_90": tpr[fpr <= 0.1 + 1e-9].max(),
        "specificity_at_sensitivity_95": 1 - fpr[tpr >= 0.95 - 1e-9].min(),
        "accuracy": metrics.accuracy_score(y, called, **options),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, called, **options),
        "sensitivity": metrics.recall_score(y, called, **options),
        "specificity": metrics.recall_score(y, called, pos_label=False, **options),
        "f1_tumor": metrics.f1_score(y, called, **options),
        "f1_no_tumor": metrics.f1_score(y, called, pos_label=False, **options),
        "mcc": metrics.matthews_corrcoef(y, called, **options),
        "loss": metrics.log_loss(y, p, **options),
        "brier": metrics.brier_score_loss(y, p, **options),
    }


def test_values_are_those_of_scikit_learn():
    scores = draw_scores()
    expected = by_sklearn(scores.tumor, scores.tumor_probability, scores.called)
    found = everything(scores)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_weighted_replicates_are_those_of_scikit_learn():
    scores = draw_scores()
    grouped = GroupedScores.of(scores)
    weights = draw_weights(len(grouped.names), 7, seed=1)
    found = everything(scores, weights)
    for k, drawn in enumerate(weights):
        weight = drawn[grouped.codes].astype(float)
        expected = by_sklearn(scores.tumor, scores.tumor_probability, scores.called, weight)
        got = {name: found[name][k] for name in expected}
        assert got == pytest.approx(expected, abs=1e-12)


def test_classes_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    tumor = rng.random(200) < 0.6
    named = [str(rng.choice(CLASSES[1:])) if ill else "" for ill in tumor]
    rows = make_rows([f"p{i // 4}" for i in range(200)], tumor, tumor_class=named)
    scores = make_scores(rows, rng.random(200), classes=CLASSES)
    chances = rng.dirichlet(np.ones(3), 200) * scores.tumor_probability[:, None]
    scores.probabilities[:, 1:] = chances
    truth = [name or "no_tumor" for name in named]
    guess = list(predict_classes(scores))
    found = everything(scores)
    f1 = metrics.f1_score(truth, guess, labels=list(CLASSES), average=None)
    assert [found[f"f1_{name}"] for name in CLASSES[1:]] == pytest.approx(list(f1[1:]))
    for name in CLASSES[1:]:
        mcc = metrics.matthews_corrcoef(np.array(truth) == name, np.array(guess) == name)
        assert found[f"mcc_{name}"] == pytest.approx(mcc)
    assert found["class_accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    loss = metrics.log_loss(
        truth, scores.probabilities[:, np.argsort(CLASSES)], labels=sorted(CLASSES)
    )
    assert found["class_loss"] == pytest.approx(loss)
    matrix = metrics.confusion_matrix(truth, guess, labels=list(CLASSES))
    assert [list(row.values()) for row in count_classes(scores).values()] == matrix.tolist()


def test_a_class_that_the_model_lacks_counts_as_tumor_and_in_no_figure_of_classes():
    rows = make_rows(
        "abcd", [True, True, True, False], tumor_class=["glioma", "metastasis", "", ""]
    )
    scores = make_scores(rows, np.array([0.9, 0.9, 0.9, 0.1]), classes=CLASSES)
    assert everything(scores)["sensitivity"] == 1
    assert sum(sum(row.values()) for row in count_classes(scores).values()) == 2


def test_predictive_values_at_a_stated_prevalence():
    # 1,000 people, 100 ill: 90 found, 10 missed, 180 alarms, 720 cleared.
    ppv, npv = predictive_values(np.array(0.9), np.array(0.8), 0.1)
    assert ppv == pytest.approx(90 / 270)
    assert npv == pytest.approx(720 / 730)


def test_verdicts_and_abstention():
    chance = np.array([0.9, 0.5, 0.9, 0.1, 0.1, 0.9, 0.5])
    rows = make_rows("abcdefg", [True, True, True, True, False, False, False])
    unfamiliar = np.array([0, 0, 2.0, 0, 0, 0, 0])
    found = everything(make_scores(rows, chance, unfamiliarity=unfamiliar))
    assert found["found"] == 1 / 4
    assert found["uncertain_among_tumor"] == found["unfamiliar_among_tumor"] == 1 / 4
    assert found["alarm"] == 1 / 3
    assert found["cleared"] == 2 / 3  # cleared and uncertain
    assert found["coverage"] == 4 / 7
    assert found["error_among_answered"] == 2 / 4  # one missed, one alarm
    assert found["sensitivity"] == 3 / 4  # over all slices, unanswered ones too
    assert found["error_at_coverage_100"] == 3 / 7


@pytest.mark.parametrize(
    ("label", "holds", "lacks"),
    [(True, "sensitivity", "specificity"), (False, "specificity", "sensitivity")],
)
def test_with_one_label_some_figures_hold_and_others_say_why_not(label, holds, lacks):
    rows = make_rows("abc", [label] * 3)
    grouped = GroupedScores.of(make_scores(rows, np.array([0.1, 0.6, 0.9])))
    statistics = {one.name: one for f in build_families(grouped) for one in f.statistics}
    assert np.isfinite(statistics[holds].value)
    for name in ("auc", "mcc", "balanced_accuracy", "ece", lacks):
        assert np.isnan(statistics[name].value)
        assert statistics[name].note


def test_types_that_nobody_named_give_a_two_way_matrix():
    scores = make_scores(
        make_rows("abc", [True, True, False]), np.array([0.9, 0.1, 0.2]), classes=CLASSES
    )
    assert count_classes(scores) == {
        "no_tumor": {"no_tumor": 1, "tumor": 0},
        "tumor": {"no_tumor": 1, "tumor": 1},
    }


def test_cleared_is_also_averaged_over_people():
    # One person with four clear slices, one with a false alarm in one of two: 5 of 6 slices.
    rows = make_rows("aaaabbc", [False] * 6 + [True])
    scores = make_scores(rows, np.array([0.1, 0.1, 0.1, 0.5, 0.9, 0.1, 0.9]))
    found = measure_all([verdict_family(GroupedScores.of(scores))])
    assert found["cleared"].value == pytest.approx(5 / 6)
    assert found["cleared_mean_of_groups"].value == pytest.approx((1 + 1 / 2) / 2)
    assert (found["cleared_mean_of_groups"].n, found["cleared_mean_of_groups"].groups) == (2, 2)


def test_found_is_told_by_tumor_class():
    classes = ["glioma", "glioma", "schwannoma", "", ""]
    rows = make_rows("abcde", [True] * 4 + [False], tumor_class=classes)
    scores = make_scores(rows, np.array([0.9, 0.1, 0.9, 0.9, 0.9]), classes=CLASSES)
    found = measure_all([verdict_family(GroupedScores.of(scores))])
    told = {name: (one.value, one.n) for name, one in found.items() if name.startswith("found_")}
    assert told == {"found_glioma": (0.5, 2), "found_schwannoma": (1.0, 1)}


def test_types_are_told_apart_whatever_the_verdict():
    truth = ["glioma", "glioma", "meningioma", "pituitary", ""]
    rows = make_rows("abcde", [True] * 4 + [False], tumor_class=truth)
    scores = make_scores(rows, np.array([0.1, 0.9, 0.9, 0.9, 0.1]), classes=CLASSES)
    # make_scores gives glioma the largest share; the third row is turned to its own class.
    scores.probabilities[2, 1:3] = scores.probabilities[2, 2:0:-1].copy()
    found = measure_all(class_families(GroupedScores.of(scores)))
    assert found["type_accuracy"].value == pytest.approx(3 / 4)
    assert found["type_accuracy_glioma"].value == 1
    assert found["type_accuracy_meningioma"].value == 1
    assert found["type_accuracy_pituitary"].value == 0
    # With no_tumor as a fourth class the first glioma is missed, too.
    assert found["class_accuracy"].value == pytest.approx(3 / 5)
