"""Found at 99 % cleared, by hand and against a direct count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from score_tables import draw_scores, make_rows, make_scores
from tumorlens.evaluation.figures.clearing import clearing_family
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import measure
from tumorlens.evaluation.scores import as_text


def make_table():
    """200 slices of 20 healthy people, and two slices with a tumor of each of 20 others."""
    healthy = [f"well-{n // 10}" for n in range(200)]
    ill = [f"ill-{n // 2}" for n in range(40)]
    chance = np.concatenate([np.arange(200) / 400, np.linspace(0.4, 0.6, 40)])
    rows = make_rows(healthy + ill, [False] * 200 + [True] * 40)
    return make_scores(rows, chance)


def values(scores):
    family = clearing_family(GroupedScores.of(scores))
    return {one.name: one for one in family.statistics}


def test_threshold_clears_99_of_100_slices_of_tumor_free_people():
    found = values(make_table())
    # 198 of 200 are cleared: up to 197 / 400.
    assert found["found_at_99_cleared"].value == np.mean(np.linspace(0.4, 0.6, 40) > 197 / 400)
    assert found["found_at_95_cleared"].value == np.mean(np.linspace(0.4, 0.6, 40) > 189 / 400)
    assert found["series_with_alarm_at_99_cleared"].value == 1 / 20
    assert found["series_with_alarm_at_99_cleared"].n == 20


def test_slices_of_tumor_patients_set_no_threshold():
    scores = make_table()
    rows = list(scores.rows)
    rows[239] = replace(rows[239], label="no_tumor")
    same = values(replace(scores, rows=tuple(rows)))
    assert same["series_with_alarm_at_99_cleared"].value == 1 / 20
    assert same["found_at_99_cleared"].n == 39


def test_small_lesions_count_nowhere():
    scores = make_table()
    rows = [
        replace(row, note="150 tumor pixels" if i < 220 else "151 tumor pixels")
        for i, row in enumerate(scores.rows)
    ]
    assert values(replace(scores, rows=tuple(rows)))["found_at_99_cleared"].n == 20


def test_parts_by_sequence_class_and_skull():
    scores = make_table()
    rows = [
        replace(
            row,
            sequence="T1" if i % 2 else "FLAIR",
            tumor_class=("glioma" if i % 4 < 2 else "meningioma") if row.label == "tumor" else "",
            note="skull on" if i < 210 else "skull stripped",
        )
        for i, row in enumerate(scores.rows)
    ]
    found = values(replace(scores, rows=tuple(rows)))
    for word in ("FLAIR", "T1", "glioma", "meningioma"):
        assert found[f"found_at_99_cleared_{word}"].n == 20
    assert found["found_at_99_cleared_skull_on"].n == 10
    assert found["found_at_99_cleared_skull_off"].n == 30


def test_nothing_without_tumor_free_people():
    scores = draw_scores(groups=5, slices=40)
    assert scores.tumor.any()
    assert clearing_family(GroupedScores.of(scores)) is None


def test_the_bootstrap_sets_the_threshold_anew():
    family = clearing_family(GroupedScores.of(make_table()))
    names = GroupedScores.of(make_table()).names
    weights = np.ones((2, len(names)))
    weights[1, names.index("well-19")] = 0  # the person with the highest scores is not drawn
    whole, without = family.replicate(weights)
    assert without[0] > whole[0]
    estimate = measure([family], names)[0]
    assert estimate.low < estimate.value < estimate.high
    assert estimate.value == pytest.approx(whole[0])


def test_slices_that_are_not_judged_alarm_nobody():
    scores = make_table()
    words = list(scores.verdict)
    words[190:200] = ["not_judged"] * 10
    found = values(replace(scores, verdict=as_text(words)))
    # The highest ten are gone, so 198 of 200 are cleared up to 187 / 400.
    assert found["found_at_99_cleared"].value == np.mean(np.linspace(0.4, 0.6, 40) > 187 / 400)
    assert found["series_with_alarm_at_99_cleared"].value == 1 / 20
