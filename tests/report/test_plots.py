"""Learning curves as a picture and on a page, and forests of intervals."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from score_tables import make_rows, make_scores
from tumorlens.report.drawing import TRAINING, VALIDATION
from tumorlens.report.evaluations.plots import (
    MOST_LINES,
    Interval,
    plot_forest,
    plot_forests,
    plot_histogram,
)
from tumorlens.report.trainings.learning_plots import plot_curves, plot_learning

HEAD = "phase,epoch,learning_rate,train_total,validation_total,seconds\n"


def write_curves(path, losses=((1.2, 1.1), (0.9, 1.0), (0.5, 0.8))):
    lines = [
        f"{'frozen' if epoch < 2 else 'fine-tuned'},{epoch},0.001,{first},{second},3.0"
        for epoch, (first, second) in enumerate(losses)
    ]
    path.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def count_color(picture, color):
    pixels = np.asarray(Image.open(picture).convert("RGB")).reshape(-1, 3)
    wanted = [int(color[place : place + 2], 16) for place in (1, 3, 5)]
    return int((np.abs(pixels.astype(int) - wanted).max(axis=1) < 8).sum())


def test_both_curves_are_drawn(tmp_path):
    picture = tmp_path / "curves.png"
    plot_curves(write_curves(tmp_path / "curves.csv"), picture)
    assert Image.open(picture).format == "PNG"
    assert count_color(picture, TRAINING) > 200
    assert count_color(picture, VALIDATION) > 200


def test_a_picture_is_replaced_and_the_same_numbers_give_the_same_picture(tmp_path):
    picture = tmp_path / "curves.png"
    curves = write_curves(tmp_path / "curves.csv")
    plot_curves(curves, picture)
    first = np.asarray(Image.open(picture))
    plot_curves(curves, picture)
    np.testing.assert_array_equal(np.asarray(Image.open(picture)), first)


@pytest.mark.parametrize(
    "losses", [((1.0, 0.9),), (("", 0.9), (0.8, "")), ()], ids=["one epoch", "gaps", "none"]
)
def test_short_and_broken_curves_are_drawn(tmp_path, losses):
    plot_curves(write_curves(tmp_path / "curves.csv", losses), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000


def test_curves_of_a_page_have_its_colors_its_words_and_their_phases(tmp_path):
    plot = plot_learning(write_curves(tmp_path / "curves.csv"), "fold 1 of 5")
    assert plot.caption == "fold 1 of 5"
    assert plot.narrow.startswith("<svg")
    assert "3 epochs" in plot.alt
    assert "0.800" in plot.alt
    for word in ("training", "validation groups", "frozen", "fine-tuned", "learning rate", "epoch"):
        assert f">{word}<" in plot.svg
    assert "var(--plot-1)" in plot.svg
    assert "mathdefault" not in plot.svg
    assert ">0.001<" in plot.svg
    assert re.search(r"#0[0-9a-f]0", plot.svg) is None  # every stand-in has its variable


@pytest.mark.parametrize(
    ("losses", "words"),
    [(((1.0, ""),), "validation groups nan"), ((), "of 0 epochs")],
    ids=["no validation", "no epoch"],
)
def test_curves_without_numbers_are_drawn(tmp_path, losses, words):
    plot = plot_learning(write_curves(tmp_path / "curves.csv", losses), "run")
    assert words in plot.alt
    assert plot.svg.startswith("<svg")


def test_two_drawings_of_one_page_share_no_names(tmp_path):
    curves = write_curves(tmp_path / "curves.csv")
    first, second = (plot_learning(curves, name) for name in ("fold 1", "fold 2"))
    names = [set(re.findall(r' id="([^"]+)"', one.svg)) for one in (first, second)]
    assert names[0]
    assert not names[0] & names[1]


def test_a_forest_draws_so_many_lines_and_says_of_how_many():
    lines = [Interval(f"part {n}", 0.5, 0.4, 0.6) for n in range(MOST_LINES + 5)]
    plot = plot_forest({"AUC": [*lines, Interval("lone", 0.9)]})
    assert f"{MOST_LINES} of {MOST_LINES + 6} subsets are drawn" in plot.caption
    assert "part 0" in plot.svg
    assert f"part {MOST_LINES}<" not in plot.svg
    assert plot_forest({}) is None


def marks_of(plot):
    """Colours of the marks that a drawing uses, ticks aside."""
    return set(re.findall(r"<use [^>]*fill: var\((--[\w-]+)\)", plot.svg)) - {"--muted"}


def test_two_dots_of_one_line_have_a_colour_and_a_name_each():
    alone = plot_forest({"AUC": [Interval(name, 0.9, 0.8, 0.95) for name in ("here", "there")]})
    assert len(marks_of(alone)) == 1
    lines = [
        Interval("here", 0.9, 0.8, 0.95, "five folds"),
        Interval("here", 0.7, 0.6, 0.8, "left out"),
    ]
    plot = plot_forest({"AUC": lines})
    assert len(marks_of(plot)) == 2
    assert "five folds" in plot.svg
    assert "left out" in plot.svg


def test_thresholds_that_are_one_have_one_label():
    rows = make_rows([f"p{n}" for n in range(8)], [True, False] * 4)
    chance = np.linspace(0.1, 0.9, 8)
    same = plot_histogram(make_scores(rows, chance, thresholds=(0.5, 0.5, 0.5)))
    assert "low, middle, high" in same.svg
    assert "low, middle" not in plot_histogram(make_scores(rows, chance)).svg


def test_a_teachers_part_is_named(tmp_path):
    curves = tmp_path / "curves.csv"
    curves.write_text(
        "phase,epoch,learning_rate,train_total,train_teacher,validation_total,seconds\n"
        "all,0,0.001,3.0,2.0,1.1,3.0\n",
        encoding="utf-8",
    )
    assert "training, with the teacher's part" in plot_learning(curves, "a student").svg
    assert "teacher" not in plot_learning(write_curves(tmp_path / "other.csv"), "no student").svg


def test_a_forest_begins_below_its_smallest_value_and_shows_that_an_interval_goes_on():
    lines = [Interval("a, here", 0.9, 0.2, 0.95), Interval("b", 0.8, 0.75, 0.9)]
    plot = plot_forest({"AUC": lines})
    assert "an arrow" in plot.caption
    assert ">0.7<" in plot.svg
    assert ">0<" not in plot.svg
    calm = plot_forest({"AUC": lines[1:]})
    assert "an arrow" not in calm.caption


def test_the_end_of_a_long_label_stays():
    label = "a source whose name is very long indeed and longer, 64 SEEN"
    plot = plot_forest({"AUC": [Interval(label, 0.9)]})
    assert "…, 64 SEEN" in plot.svg


def test_data_with_one_label_have_a_plot_of_their_own():
    """They have no AUC, and would leave half of the panels empty."""
    both, healthy = Interval("both", 0.9), Interval("healthy", 0.8)
    plots = list(plot_forests({"AUC": [both], "specificity": [both, healthy]}))
    assert ["healthy" in plot.svg for plot in plots] == [False, True]
    assert "specificity: data without tumors" in plots[1].svg
    assert list(plot_forests({})) == []
    assert len(list(plot_forests({"specificity": [healthy]}))) == 1
