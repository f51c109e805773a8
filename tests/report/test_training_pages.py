"""The page of a training: its curves, what it was made of, its test."""

from __future__ import annotations

import pytest

from page_reader import PageReader
from score_tables import draw_scores
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.report.evaluations.evaluation_pages import build_evaluation_sections
from tumorlens.report.pages import Plot, render_html
from tumorlens.report.trainings.training_pages import build_training_page

HEAD = "phase,epoch,learning_rate,train_total,validation_total,seconds\n"
DESCRIBED = {
    "recipe": {
        "name": "seed <b>",
        "summary": "The paper's way.",
        "loss": {"cells": 1, "types": {}},
        "phases": [{"name": "frozen", "epochs": 2}, {"name": "fine", "epochs": 3}],
        "data": {"exclude_notes": ["CT head", "doubtful"]},
    },
    "data": {
        "slices": 1200,
        "groups": 40,
        "sources": {"here": 900, "": 300},
        "removed": {"note says CT head": 7},
        "fingerprint": "abc123",
    },
}


@pytest.fixture
def curves(tmp_path):
    file = tmp_path / "curves.csv"
    file.write_text(HEAD + "frozen,1,0.001,0.9,1.1,3\nfine,2,0.0001,0.5,0.75,3\n", "utf-8")
    return file


def read(page):
    reader = PageReader(render_html(page))
    assert reader.faults == []
    return reader.text


def test_recipe_and_data_stand_as_they_were_used(curves):
    text = read(build_training_page({"the run": curves}, DESCRIBED))
    for words in (
        "Training by the recipe seed <b>",
        "The paper's way. 1,200 slices of 40 groups from 2 sources.",
        "loss.cells 1",
        "phases 1.name frozen",
        "phases 2.epochs 3",
        "data.exclude_notes CT head, doubtful",
        "(none) 300",
        "note says CT head 7",
        "SHA-256 of the rows: abc123",
        "Nothing was measured on a test",
    ):
        assert words in text


def test_each_fold_has_its_curves_and_a_missing_one_none(curves, tmp_path):
    runs = {"fold 1": curves, "fold 2": curves, "fold 3": tmp_path / "nowhere.csv"}
    page = build_training_page(runs, DESCRIBED)
    plots = [block for one in page.shown for block in one.blocks if isinstance(block, Plot)]
    assert [plot.caption for plot in plots] == ["fold 1", "fold 2"]
    assert plots[0].alt == "Learning curves of 2 epochs; last loss on validation groups 0.750."


def test_copies_are_told_before_any_figure(curves):
    page = build_training_page({"run": curves}, DESCRIBED, copies=25)
    assert page.shown[0].heading == "Before you believe a figure"
    assert "25 of the test pictures had a copy or a patient in training." in read(page)


def test_test_figures_are_those_of_an_evaluation(curves):
    scores = draw_scores(groups=30, slices=4)
    test = build_evaluation_sections(evaluate_scores(scores, replicates=50), scores)
    text = read(build_training_page({"run": curves}, DESCRIBED, test=test))
    assert "Tumor against no tumor" in text
    assert "Nothing was measured on a test" not in text


def test_what_to_know_before_a_figure_comes_first(curves):
    words = "37 of 37 validation and test pictures are flagged as unfamiliar"
    text = read(build_training_page({"the run": curves}, DESCRIBED, copies=3, unfamiliar=words))
    assert text.index("Before you believe a figure") < text.index(words)
    assert text.index(words) < text.index("Learning curves", text.index(words))
    assert "3 of the test pictures had a copy" in text
    plain = read(build_training_page({"the run": curves}, DESCRIBED))
    assert "Before you believe" not in plain
