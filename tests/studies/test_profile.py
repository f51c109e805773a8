"""The same head gives the same evidence, however it was cut."""

from __future__ import annotations

import numpy as np
import pytest

from tumorlens.studies.profile import (
    LIMIT,
    Profile,
    measure_features,
    measure_tissue,
    place_slices,
)


def draw_head(place: np.ndarray) -> np.ndarray:
    """A tumor of 30 mm at 80 mm in a head that is otherwise clear."""
    return -4 + 8 * np.exp(-0.5 * ((place - 80) / 15) ** 2)


@pytest.mark.parametrize("gap", [0.5, 1.0, 3.0, 5.0, 6.0])
def test_thickness_and_number_of_slices_change_nothing(gap):
    place = np.arange(0, 150, gap)
    features = measure_features(Profile.of(draw_head(place), place.tolist()))
    fine = np.arange(0, 150, 0.25)
    wanted = measure_features(Profile.of(draw_head(fine), fine.tolist()))
    for name in wanted:
        assert features[name] == pytest.approx(wanted[name], abs=0.15), name


def test_the_order_of_slices_changes_nothing():
    place = np.arange(0, 150, 5.0)
    lot = np.random.default_rng(0).permutation(len(place))
    one = measure_features(Profile.of(draw_head(place), place.tolist()))
    other = measure_features(Profile.of(draw_head(place)[lot], place[lot].tolist()))
    assert one == other


def test_a_lone_bright_slice_weighs_less_in_thin_slices():
    thin, thick = np.full(150, -4.0), np.full(30, -4.0)
    thin[75], thick[15] = 4, 4
    fine = Profile.of(thin, np.arange(150.0).tolist())
    coarse = Profile.of(thick, np.arange(0, 150, 5.0).tolist())
    assert fine.top(10) < -2.5 < coarse.top(10) < 2


def test_top_finds_the_tumor_and_mean_does_not_grow_with_it():
    place = np.arange(0, 150, 3.0)
    profile = Profile.of(draw_head(place), place.tolist())
    assert profile.top(10) == pytest.approx(3.9, abs=0.2)
    assert profile.top(30) < profile.top(10)
    assert profile.mean < 0


def test_run_lies_where_the_evidence_is():
    place = np.arange(0, 150, 3.0)
    profile = Profile.of(draw_head(place), place.tolist())
    start, end = profile.find_run(0.0)
    assert start == pytest.approx(80 - 17.7, abs=3)
    assert end == pytest.approx(80 + 17.7, abs=3)
    assert profile.find_run(5.0) is None


def test_most_counts_tissue_wherever_it_lies_and_quiet_what_is_left():
    logits = np.full(30, -3.0)
    logits[[4, 5, 20, 21]] = 3
    profile = Profile.of(logits, np.arange(0, 150, 5.0).tolist())
    assert profile.most(10) == pytest.approx(3)
    assert profile.most(30) > profile.top(30)
    assert profile.level(0.25) == -3
    # What lifts the whole head leaves the peak over the quiet part as it was.
    one, other = (measure_features(Profile.of(logits + lift)) for lift in (0.0, 1.5))
    assert one["most_30mm"] + one["quiet"] == pytest.approx(other["most_30mm"] + other["quiet"])


def test_the_stronger_of_two_runs_is_chosen():
    logits = np.full(30, -4.0)
    logits[3:12] = 0.5
    logits[20:24] = 5
    start, end = Profile.of(logits, np.arange(0, 150, 5.0).tolist()).find_run(0.0)
    assert 90 < start < end < 125


def test_tissue_between_distant_slices_is_not_covered():
    profile = Profile.of([4.0, 4.0, -4.0], [0.0, 60.0, 120.0])
    assert profile.length_mm == pytest.approx(3 * 15, abs=4)
    assert np.isnan(profile.smooth(10)[30])


def test_one_slice_is_its_own_evidence():
    profile = Profile.of([1.5])
    assert not profile.spacing_known
    assert profile.top(10) == profile.mean == pytest.approx(1.5)


def test_logits_are_cut():
    assert Profile.of([30.0]).mean == LIMIT


def test_unknown_positions_are_taken_as_even():
    place, known = place_slices([None] * 4, 4)
    assert place.tolist() == [0, 5, 10, 15]
    assert not known
    place, _ = place_slices(None, 320)
    assert place[-1] < 160


@pytest.mark.parametrize(
    "positions", [[0.0, None, 2.0], [0.0, np.nan, 1.0], [0.0, 1.0, 1e12], [80.0, 80.0, 80.0]]
)
def test_senseless_positions_count_as_unknown(positions):
    place, known = place_slices(positions, 3)
    assert place.tolist() == [0, 5, 10]
    assert not known


def test_slices_at_one_place_are_averaged():
    profile = Profile.of([-2.0, 2.0, -2.0, 2.0], [0.0, 0.0, 5.0, 5.0])
    assert np.allclose(profile.logit, 0)


def test_tissue_adds_up_to_the_head():
    place = np.array([10.0, 0.0, 5.0, 40.0])
    tissue = measure_tissue(place)
    assert tissue.tolist() == [2.5 + 7.5, 5.0, 5.0, 7.5 + 2.5]


def test_no_slice_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Profile.of([])
