"""Operating points keep what they promise on the scores that they were chosen on."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from score_tables import make_rows, make_scores
from shared_data import ROOT
from tumorlens.errors import DataError

sys.path.insert(0, str(ROOT / "release"))

from operating_points import ALARMED, FOUND, UNCERTAIN, choose_points

SLICES = 20


def make_table(healthy=60, ill=40, seed=0):
    """Series of twenty slices; in the ill ones the middle eight show a tumor."""
    rng = np.random.default_rng(seed)
    group = np.repeat([f"p{number:03d}" for number in range(healthy + ill)], SLICES)
    place = np.tile(np.linspace(0, 1, SLICES), healthy + ill)
    tumor = (np.repeat(np.arange(healthy + ill), SLICES) >= healthy) & (abs(place - 0.5) < 0.2)
    chance = 1 / (1 + np.exp(-rng.normal(np.where(tumor, 2.5, -3.0), 1.5)))
    note = ["900 tumor pixels" if one else "" for one in tumor]
    return make_scores(make_rows(group, tumor, place, note=note), chance), tumor


def largest(scores, healthy=60):
    return scores.tumor_probability[: healthy * SLICES].reshape(healthy, SLICES).max(axis=1)


def test_every_point_keeps_its_promise():
    scores, tumor = make_table()
    points = choose_points(scores)
    p, well = scores.tumor_probability, slice(0, 60 * SLICES)
    balanced = points["balanced"]
    assert (p[well] < balanced.high).mean() >= 0.99
    assert (largest(scores) >= balanced.high).mean() <= ALARMED
    assert ((p >= balanced.low) & (p < balanced.high)).mean() <= UNCERTAIN
    assert (p[tumor] >= points["sensitive"].high).mean() >= FOUND
    assert (p[well] < points["specific"].high).mean() >= 0.995
    assert points["specific"].high >= balanced.high
    assert "of their 60 series" in balanced.meaning


def test_a_small_tumor_counts_nowhere():
    scores, tumor = make_table()
    rows = [
        replace(row, note="90 tumor pixels") if ill and index % 2 else row
        for index, (row, ill) in enumerate(zip(scores.rows, tumor, strict=True))
    ]
    small = make_scores(rows, scores.tumor_probability)
    assert f"of {int(tumor[::2].sum())} tumor slices" in choose_points(small)["balanced"].meaning


def test_slices_that_are_not_judged_raise_no_threshold():
    scores, _ = make_table()
    loud = scores.tumor_probability.copy()
    loud[: 60 * SLICES : SLICES] = 0.999
    words = scores.verdict.copy()
    words[: 60 * SLICES : SLICES] = "not_judged"
    quiet = replace(scores, tumor_probability=np.where(loud == 0.999, 0, loud))
    points = choose_points(replace(scores, tumor_probability=loud, verdict=words))
    assert points["balanced"].high == choose_points(quiet)["balanced"].high


def test_people_without_a_tumor_are_needed():
    scores, tumor = make_table()
    with pytest.raises(DataError, match="people without one"):
        choose_points(scores.take(tumor))
