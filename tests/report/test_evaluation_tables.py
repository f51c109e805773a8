"""Evaluations on a terminal: no word is broken, whatever the width, and nothing is lost."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from score_tables import draw_scores, make_rows, make_scores
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.report.evaluations.evaluation_pages import build_evaluation_page
from tumorlens.report.evaluations.evaluation_tables import name_figure, print_evaluation
from tumorlens.report.pages import render_html


def show(evaluation, width):
    stream = io.StringIO()
    print_evaluation(Console(file=stream, width=width), evaluation)
    return stream.getvalue()


def spread_sources(scores, names):
    rows = tuple(replace(row, source=names[i % len(names)]) for i, row in enumerate(scores.rows))
    return replace(scores, rows=rows)


@pytest.mark.parametrize("width", [80, 120])
def test_no_word_of_the_parts_is_broken(width):
    scores = spread_sources(draw_scores(groups=40), ["demo_subjects", "tumors_elsewhere"])
    evaluation = evaluate_scores(scores, by=["source,sequence"], replicates=100)
    shown = show(evaluation, width)
    parts = shown[shown.index("Subset by subset") :]
    assert max(map(len, shown.splitlines())) <= width
    words = parts.replace("\n", " ").split()
    for word in ("tumors_elsewhere", "sensitivity", "specificity", "balanced", "accuracy", "found"):
        assert word in words
    spans = [f"{one.low:.2f}–{one.high:.2f}" for one in evaluation.parts[1].estimates
             if one.name in ("auc", "ece", "alarm", "balanced_accuracy")]  # fmt: skip
    assert len(spans) == 4
    for span in spans:
        assert span in words


def test_long_figures_and_remarks_are_not_broken_at_80_columns():
    rows = make_rows(range(60), np.arange(60) % 2 == 0)
    chance = np.where(np.arange(60) % 2 == 0, 0.9, 0.1)
    shown = show(evaluate_scores(make_scores(rows, chance), replicates=100), 80)
    for words in ("sensitivity at specificity 90 %", "verdict tumor, of tumor slices",
                  "exact, on groups", "perfectly calibrated: 0."):  # fmt: skip
        assert words in shown


def test_counts_per_group_stand_on_terminal_and_page():
    scores = make_scores(make_rows("aabb", [True, False] * 2), np.array([0.9, 0.1, 0.1, 0.2]))
    evaluation = evaluate_scores(scores, replicates=100)
    title = "There is no interval with fewer than 20 groups. Counts per group"
    assert title in " ".join(show(evaluation, 80).split())
    assert title in render_html(build_evaluation_page(evaluation, scores))
    assert "0 of 1" in show(evaluation, 80)
    assert "false alarm" in show(evaluation, 80).split("Counts per")[1]
    assert "under 20 groups" not in " ".join(show(evaluation, 80).split())  # said once, above


def test_figures_have_names_that_read_well():
    assert name_figure("f1_glioma") == "F1 glioma"
    assert name_figure("found_meningioma") == "found meningioma"
    assert name_figure("specificity_at_sensitivity_95") == "specificity at sensitivity 95 %"
    assert name_figure("found_at_99_cleared_T1c") == "found at 99 % cleared, T1c"
