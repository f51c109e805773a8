"""Telling what is no MRI of the brain, on features that stand for those of a network."""

from __future__ import annotations

import numpy as np
import pytest

from tumorlens.training import outside
from tumorlens.training.outside import fit_outside, measure_outside

FEATURES = 40


@pytest.fixture(autouse=True)
def few_centers(monkeypatch):
    monkeypatch.setattr(outside, "CENTERS", 128)
    monkeypatch.setattr(outside, "COMPONENTS", FEATURES)


def draw(count, place, seed):
    """Features around a place; a kind's images lie along few directions of their own."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, FEATURES)) * 0.8
    values[:, : len(place)] += place
    return values.astype(np.float32)


def fit(*others, seed=0):
    brains = draw(400, (), seed)
    strange = [draw(60, place, seed + 1 + number) for number, place in enumerate(others)]
    features = np.concatenate([brains, *strange])
    brain = np.arange(len(features)) < len(brains)
    names = np.array(["brain"] * 400 + [f"kind {i // 60}" for i in range(60 * len(others))], object)
    groups = np.array([f"p{number // 4}" for number in range(len(features))], object)
    blocks = np.full(FEATURES, np.sqrt(0.5 / FEATURES), np.float32)
    return fit_outside(features, brain, names, groups, blocks, seed=seed)


def share_told(made, features):
    return np.mean(measure_outside(features, made) > 1)


def test_new_brains_are_not_told_and_known_kinds_are():
    made = fit((6,), (0, 6))
    assert share_told(made, draw(1000, (), 9)) < 0.03
    assert share_told(made, draw(200, (6,), 10)) > 0.97
    assert share_told(made, draw(200, (0, 6), 11)) > 0.97


@pytest.mark.parametrize("place", [(6, 6), (0, 0, 9), (-8,), (40,) * 10])
def test_a_kind_that_was_never_shown_is_told(place):
    assert share_told(fit((6,), (0, 6), (0, 0, 0, 6)), draw(200, place, 12)) > 0.9


def test_a_typical_brain_is_near_nothing_and_the_limit_is_one():
    made = fit((6,), (0, 6))
    brains = measure_outside(draw(1000, (), 9), made)
    assert abs(np.median(brains)) < 0.5
    assert brains.max() < 2
    assert 1 < measure_outside(draw(1, (40,) * 10, 12), made)[0] < 3


def test_one_patient_alone_does_not_set_the_limit():
    """Its slices are measured by a fit without it."""
    brains = draw(400, (), 1)
    brains[:40, 5] += 8  # one patient in ten slices of forty
    features = np.concatenate([brains, draw(60, (6,), 2)])
    brain = np.arange(len(features)) < 400
    names = np.where(brain, "brain", "kind").astype(object)
    blocks = np.full(FEATURES, np.sqrt(0.5 / FEATURES), np.float32)
    apart = np.array([f"p{n}" for n in range(len(features))], object)
    together = apart.copy()
    together[:40] = "p0"
    wide, narrow = (
        fit_outside(features, brain, names, groups, blocks) for groups in (together, apart)
    )
    assert wide.offset < narrow.offset  # more room until the limit
