"""Pages of real scores: what stands on them, how large they are, which mistakes they show."""

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from page_reader import PageReader
from score_tables import draw_scores, make_rows, make_scores
from tumorlens.data.rows import Row
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.report.evaluations.evaluation_pages import build_evaluation_page
from tumorlens.report.evaluations.galleries import find_mistakes, show_mistakes
from tumorlens.report.pages import Facts, Gallery, Plot, Table, render_html

HOSTILE = '<b onclick="x">$\\frac$ & "source"'


def make_html(scores):
    evaluation = evaluate_scores(scores, replicates=100)
    return render_html(build_evaluation_page(evaluation, scores, mistakes=show_mistakes(scores)))


def test_page_has_facts_plots_and_tables():
    html = make_html(draw_scores())
    page = PageReader(html)
    assert page.faults == []
    assert page.tags.count("svg") == 6  # one of five is also drawn for a phone
    for word in ("AUC", "sensitivity", "Brier score", "average precision"):
        assert word in page.text
    assert re.search(r"style=\"[^\"]*#0[0-9a-f]0", html) is None  # every stand-in has its variable


def test_hostile_sources_stand_as_text_in_plots_and_tables():
    n = 120
    rng = np.random.default_rng(0)
    tumor = rng.random(n) < 0.5
    source = np.where(np.arange(n) < 60, HOSTILE, "日本\u202e病院")
    rows = make_rows([str(i // 2) for i in range(n)], tumor, source=[str(s) for s in source])
    page = PageReader(make_html(make_scores(rows, rng.random(n))))
    assert page.faults == []
    assert "b" not in page.tags
    assert page.text.count("<b onclick") >= 4
    assert "\u202e" not in page.text


def test_a_page_leads_with_what_was_not_seen():
    seen = np.zeros(300)
    seen[:100] = 1
    text = PageReader(make_html(draw_scores(seen=seen))).text
    assert text.index("Not seen in training: 200 slices") < text.index(
        "100 of 300 SEEN in training"
    )
    assert "Curves and bins use the 200 slices that were not seen in training." in text


def test_no_figure_of_seen_pictures_stands_without_its_warning():
    """A photograph of one tile, one row or one drawing must show that it is too optimistic."""
    scores = draw_scores(seen=np.ones(300))
    evaluation = evaluate_scores(scores, replicates=100, by=("source",))
    blocks = [
        block
        for section in build_evaluation_page(evaluation, scores).shown
        for block in section.blocks
    ]
    facts = [fact for one in blocks if isinstance(one, Facts) for fact in one.items]
    assert facts and all("SEEN in training" in fact.warning for fact in facts)
    plots = [one for one in blocks if isinstance(one, Plot)]
    assert len(plots) > 4
    assert all("SEEN" in plot.warning + plot.svg for plot in plots)
    assert all("SEEN" in plot.warning + (plot.narrow or plot.svg) for plot in plots)
    whole = [one for one in blocks if isinstance(one, Table) and one.columns[0] == "figure"]
    assert all("SEEN" in row[-1] for table in whole for row in table.rows)
    html = render_html(build_evaluation_page(evaluation, scores))
    assert html.count('<p class="warning">SEEN in training: too optimistic</p>') >= 5


def test_figures_of_unseen_pictures_have_no_warning():
    assert "SEEN" not in PageReader(make_html(draw_scores(seen=np.zeros(300)))).text


def test_ten_thousand_slices_make_a_small_page():
    html = make_html(draw_scores(groups=500, slices=20))
    assert len(html) < 400_000


def test_one_label_or_none_still_makes_a_page():
    for label in ("tumor", ""):
        rows = [Row(path=r.path, group=r.group, label=label) for r in draw_scores(4, 3).rows]
        page = PageReader(make_html(make_scores(rows, np.linspace(0, 1, 12))))
        assert page.faults == []


def test_worst_mistakes_come_first_and_groups_take_turns():
    rows = make_rows(["a", "a", "b", "c"], [True, True, True, False])
    scores = make_scores(rows, np.array([0.01, 0.02, 0.3, 0.9]))
    assert [one.index for one in find_mistakes(scores, missed=True)] == [0, 2, 1]
    assert [one.called for one in find_mistakes(scores, missed=False)] == ["tumor"]


@pytest.fixture
def pictures(tmp_path):
    rows = []
    for number in range(4):
        path = tmp_path / f"{number}.png"
        if number != 3:
            noise = np.random.default_rng(number).integers(0, 255, (60, 300))
            Image.fromarray(noise.astype(np.uint8)).save(path)
        rows.append(Row(path=path, group=str(number), label="tumor", boxes=((5, 5, 20, 20),)))
    return rows


def test_pictures_are_read_by_path_and_the_missing_counted(pictures):
    boxes = np.array(["1 2 30 40 0.9", "nonsense", "9 9 1 1 7", ""], object)
    blocks = show_mistakes(make_scores(pictures, np.full(4, 0.1), boxes=boxes))
    (gallery,) = [block for block in blocks if isinstance(block, Gallery)]
    assert len(gallery.tiles) == 3
    assert all(max(p.size) <= 256 for tile in gallery.tiles for p in tile.pictures)
    said = " ".join(line for block in blocks if hasattr(block, "lines") for line in block.lines)
    assert "without the model, so there are no heat maps" in said
    assert "1 of the pictures to show could not be read" in said
    assert "False alarms: none." in said


@pytest.mark.parametrize(("strange", "told"), [(1, False), (30, True)])
def test_slices_without_an_answer_are_told_beside_found_and_alarm(strange, told):
    """Found 0.000 and alarm 0.000 may mean that nothing was answered."""
    unfamiliarity = np.full(40, 0.5)
    unfamiliarity[:strange] = 2.0
    rows = make_rows([f"p{n}" for n in range(40)], [n % 2 == 0 for n in range(40)])
    scores = make_scores(rows, np.full(40, 0.9), unfamiliarity=unfamiliarity)
    text = PageReader(make_html(scores)).text
    assert f"unfamiliar {strange / 40:.3f}" in text
    assert ("75 % of the slices are flagged as unfamiliar. They get no answer" in text) == told


def test_a_comparison_stands_at_the_top():
    scores = draw_scores()
    other = replace(scores, tumor_probability=1 - scores.tumor_probability)
    evaluation = evaluate_scores(scores, other=other, replicates=100)
    page = build_evaluation_page(evaluation, scores)
    headings = [section.heading for section in page.shown]
    assert headings[:2] == ["At a glance", f"Against {evaluation.other}"]
    alone = build_evaluation_page(evaluate_scores(scores, replicates=100), scores)
    assert not any(section.heading.startswith("Against") for section in alone.shown)
