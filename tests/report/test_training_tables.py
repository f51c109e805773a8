"""The table of a run, beside what its recipe's authors published."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from score_tables import CLASSES, make_rows, make_scores
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.report.trainings.training_tables import print_run


def show_run(scores, published=(), copies=0, prevalence=0.5):
    stream = io.StringIO()
    evaluation = evaluate_scores(scores, prevalence=prevalence, replicates=50)
    print_run(Console(file=stream, width=110), evaluation, dict(published), copies)
    return stream.getvalue()


def make_table(**more):
    """Of 32 pictures, 16 with a tumor: 15 found, 2 alarms."""
    tumor = [True] * 16 + [False] * 16
    chance = np.array([0.9] * 15 + [0.2] + [0.8] * 2 + [0.1] * 14)
    return make_scores(make_rows([f"p{n}" for n in range(32)], tumor, **more), chance)


def row_of(shown, name):
    return next(line.split() for line in shown.splitlines() if line.strip().startswith(name))


def test_precision_and_recall_are_those_of_the_confusion_matrix():
    shown = show_run(make_table())
    assert f"{15 / 17:.4f}" in row_of(shown, "precision tumor")
    assert f"{15 / 16:.4f}" in row_of(shown, "recall tumor")
    assert f"{14 / 15:.4f}" in row_of(shown, "precision no_tumor")
    assert f"{14 / 16:.4f}" in row_of(shown, "recall no_tumor")
    assert f"{29 / 32:.4f}" in row_of(shown, "accuracy")
    assert "tumor 1 15" in " ".join(shown.split())
    assert "no_tumor 14 2" in " ".join(shown.split())
    assert "published" not in shown
    assert "For research only" in shown


def test_verdicts_stand_below():
    strange = np.full(32, 0.5)
    strange[:4] = 2.0
    before = make_table()
    shown = show_run(make_scores(before.rows, before.tumor_probability, unfamiliarity=strange))
    assert f"{11 / 16:.4f}" in row_of(shown, "found (verdict)")
    assert f"{2 / 16:.4f}" in row_of(shown, "false alarm (verdict)")
    assert f"{4 / 32:.4f}" in row_of(shown, "unfamiliar")


def test_the_title_says_how_many_pictures_were_seen_before():
    before = make_table()
    seen = np.arange(32) % 4 == 0
    shown = show_run(make_scores(before.rows, before.tumor_probability, seen=seen * 1.0))
    assert "Test pictures not seen in training: 24 of 32" in " ".join(shown.split())
    shown = show_run(make_scores(before.rows, before.tumor_probability, seen=np.ones(32)))
    title = "Test pictures, all 32 SEEN in training, so too optimistic"
    assert title in " ".join(shown.split())


def test_published_figures_stand_beside_ours():
    shown = show_run(make_table(), {"accuracy": 0.9062, "precision tumor": 1.0})
    assert row_of(shown, "accuracy")[-1] == "0.9062"
    assert row_of(shown, "precision tumor")[-1] == "1.0000"
    assert "published" in shown


def test_copies_are_told():
    assert "25 of the test pictures had a copy" in show_run(make_table(), copies=25)
    assert "had a copy" not in show_run(make_table())


def test_types_of_tumor_get_their_f1():
    rows = make_rows(
        [f"p{n}" for n in range(30)],
        [True] * 20 + [False] * 10,
        tumor_class=["glioma"] * 10 + ["pituitary"] * 10 + [""] * 10,
    )
    scores = make_scores(rows, np.array([0.9] * 20 + [0.1] * 10), classes=CLASSES)
    shown = show_run(scores)
    assert row_of(shown, "F1 glioma")
    assert row_of(shown, "F1 pituitary")
    assert row_of(shown, "accuracy over classes")


def test_a_model_that_calls_nothing_a_tumor_is_shown():
    rows = make_rows([f"p{n}" for n in range(30)], [True] * 15 + [False] * 15)
    shown = show_run(make_scores(rows, np.full(30, 0.1)))
    assert row_of(shown, "precision tumor")[2] in ("32", "30")  # no value, no interval
    assert f"{0.5:.4f}" in row_of(shown, "precision no_tumor")
