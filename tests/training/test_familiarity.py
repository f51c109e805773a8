from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from score_tables import make_scores
from tumorlens.data.rows import Row
from tumorlens.evaluation.scores import join_scores
from tumorlens.training import familiarity
from tumorlens.training.familiarity import (
    check_familiarity,
    find_raise,
    fit_projection,
    measure_distances,
)


def make_embeddings(count=600, sources=4, apart=0.5):
    """Correlated features, the sources a little apart."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(12, 12)).astype(np.float32) * np.geomspace(10, 0.1, 12)[:, None]
    source = np.arange(count) % sources
    shift = apart * rng.normal(size=(sources, 12))
    values = ((rng.normal(size=(count, 12)) + shift[source]) @ mixing).astype(np.float32)
    return values, np.array([f"s{one}" for one in source], dtype=object), mixing


def name_groups(count, size=3):
    return np.array([f"p{number // size}" for number in range(count)], dtype=object)


def draw_pictures(count, features=192, seed=0, size=3):
    """As pictures give them: features that go together, three alike of each patient."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(features, features))
    mixing *= np.geomspace(5, 0.05, features)[:, None]
    patients = rng.standard_t(8, size=(-(-count // size), features)).repeat(size, 0)[:count]
    return ((patients + 0.5 * rng.normal(size=(count, features))) @ mixing).astype(np.float32)


def test_what_lies_across_the_correlations_is_far():
    values, sources, _ = make_embeddings(apart=0.0)
    fit = fit_projection(values, sources, name_groups(len(values)))
    strange = np.random.default_rng(1).normal(size=values.shape).astype(np.float32)
    strange = strange * values.std(0) + values.mean(0)  # each feature alone looks the same
    near = measure_distances(values, fit.mean, fit.projection)
    far = measure_distances(strange, fit.mean, fit.projection)
    assert np.mean(near < fit.limit) > 0.95
    assert np.mean(far > fit.limit) > 0.9


def test_the_limit_is_the_largest_of_those_of_the_sources_left_out():
    values, sources, mixing = make_embeddings(apart=0.2)
    close = fit_projection(values, sources, name_groups(len(values)))
    values[sources == "s1"] += (3 * mixing[3]).astype(np.float32)
    fit = fit_projection(values, sources, name_groups(len(values)))
    assert fit.limit == max(fit.limits.values()) == fit.limits["s1"] > fit.own
    assert fit.limit > close.limit
    assert set(fit.limits) == set(sources)


def test_one_source_alone_gives_a_limit_that_nearly_all_of_it_keeps():
    values, sources, _ = make_embeddings(sources=1)
    fit = fit_projection(values, sources, name_groups(len(values)))
    assert fit.limits == {}
    distances = measure_distances(values, fit.mean, fit.projection)
    assert np.mean(distances <= fit.limit) >= 0.98
    assert fit.limit < distances.max()


@pytest.mark.parametrize("count", [60, 200, 600])
def test_new_patients_of_the_one_source_are_familiar_however_few_it_has(count):
    values = draw_pictures(count)
    fit = fit_projection(values, np.full(count, "one", dtype=object), name_groups(count))
    new = draw_pictures(600, seed=1)
    far = np.random.default_rng(2).permuted(new, axis=0)  # each feature alone looks the same
    distances = (measure_distances(one, fit.mean, fit.projection) for one in (new, far))
    unfamiliar, told = (np.mean(one > fit.limit) for one in distances)
    assert unfamiliar <= 0.05
    assert told > (0.5 if count == 60 else 0.95)


@pytest.mark.parametrize("count", [30, 300])
def test_the_covariance_is_shrunk_as_scikit_learn_does(count):
    from sklearn.covariance import ledoit_wolf_shrinkage

    values = draw_pictures(count, features=40).astype(np.float64)
    standard = (values - values.mean(0)) / values.std(0)
    shrinkage = familiarity._find_shrinkage(standard, standard.T @ standard / count)
    assert shrinkage == pytest.approx(ledoit_wolf_shrinkage(standard, assume_centered=True))


def test_a_single_group_is_measured_by_itself():
    values, sources, _ = make_embeddings(30, sources=1)
    fit = fit_projection(values, sources, np.full(30, "p", dtype=object))
    assert np.isfinite(fit.limit)
    assert fit.limit > 0


@pytest.mark.parametrize(
    ("values", "factor"),
    [
        ([], 1.0),
        ([0.2, 0.9, 1.0], 1.0),
        ([*[0.5] * 19, 1.2], 1.2),
        ([*[0.5] * 19, 3.0], 1.25),  # one of twenty may be odd
        ([*[0.5] * 97, 1.2, 3.0, 3.0], 1.2),
        ([*[0.5] * 18, 1.5, 3.0], 1.5),
        ([2.0, 2.5, 3.0], 3.0),
        ([np.nan, 2.0], 2.0),
    ],
)
def test_the_limit_rises_until_nearly_all_held_out_pictures_keep_it(values, factor):
    values = np.array(values, np.float64)
    found = find_raise(values)
    assert found == pytest.approx(factor, rel=1e-4)
    assert np.count_nonzero(values / found > 1) <= 0.05 * len(values)


def judge(values, source="near", start=0):
    rows = [
        Row(f"/d/{source}{start + one}.png", source=source, group=f"{source}{(start + one) // 2}")
        for one in range(len(values))
    ]
    return replace(make_scores(rows, np.full(len(rows), 0.5)), unfamiliarity=np.array(values))


def test_a_model_that_knows_its_own_sources_passes():
    check = check_familiarity([judge([0.5] * 39 + [2.0])], {"near"})
    assert (check.slices, check.groups, check.unfamiliar, check.passed) == (40, 20, 1, True)
    assert check.words.startswith("1 of 40 validation and test pictures (2.5 %)")
    assert "calibrate" not in check.words


def test_a_model_that_does_not_is_told_with_a_way_out():
    own = judge([0.5] * 18 + [2.0] * 2)
    other = judge([2.0] * 30 + [0.5] * 2, "second")
    check = check_familiarity([own, other, judge([2.0] * 9, "strange")], {"near", "second"})
    assert check.unfamiliar == 2  # twenty are enough: later sets do not count
    both = check_familiarity([join_scores([own, other])], {"near", "second"})
    assert (both.unfamiliar, both.worst, both.passed) == (32, "second", False)
    for word in ("32 of 52", "most of them of second", "at most 5 % should be", "calibrate"):
        assert word in both.words


def test_unknown_sources_and_no_pictures_say_nothing():
    nothing = check_familiarity([judge([2.0] * 30, "far")], {"near"})
    assert nothing.slices == 0
    assert nothing.passed
    assert nothing.words.startswith("0 of 0 validation and test pictures")


def test_later_sets_count_where_the_first_are_few():
    check = check_familiarity([judge([2.0] * 3), judge([0.5] * 97, start=10)], {"near"})
    assert (check.slices, check.unfamiliar, check.passed) == (100, 3, True)
