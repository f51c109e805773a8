"""Model cards: what the card says, and plainly what it does not."""

import pytest

from models import make_card
from page_reader import PageReader
from tumorlens.model.card import DataTerms, Figure, HistoryEntry, Training
from tumorlens.report.checklists import CLAIM, NOT_ANSWERED, TRIPOD_AI, answer
from tumorlens.report.model_cards import build_card_page
from tumorlens.report.pages import Plot, render_html, render_markdown


@pytest.fixture
def card():
    figure = {"data": "<here>", "split": "left out", "slices": 9, "groups": 5}
    return make_card(
        intended_use="Research <only>.",
        known_failures=["Small lesions | are missed."],
        data_terms=[DataTerms(data="set_a", terms="CC BY 4.0")],
        figures=[
            Figure(name="auc", value=0.9, low=0.8, high=0.95, **figure),
            Figure(name="sensitivity", value=0.7, **figure),
        ],
        history=[HistoryEntry(date="2026-11-25", change="calibrated", slices=60, groups=50)],
        training=Training(
            recipe={"name": "seed", "data": {"test_by": "group"}},
            sources={"set_a": 100},
            groups=40,
            removed={"doubtful": 3},
        ),
    )


def test_html_and_markdown_say_the_same(card):
    page = build_card_page(card, sha256="abc")
    html = PageReader(render_html(page))
    assert html.faults == []
    assert "svg" in html.tags
    markdown = render_markdown(page).replace("\\", "")
    for words in ("Research <only>.", "Small lesions | are missed.", "CC BY 4.0", "0.800–0.950",
                  "calibrated", "set_a", "Trained on 100 slices of 40 groups"):  # fmt: skip
        assert words in html.text
        assert words in markdown


def test_checklists_are_whole_and_in_order():
    assert [item.number for item in CLAIM] == [str(number) for number in range(1, 45)]
    numbers = [item.number for item in TRIPOD_AI]
    assert len(set(numbers)) == len(numbers) == 52
    assert {number.rstrip("abcdefg") for number in numbers} == {str(n) for n in range(1, 28)}


def test_an_empty_card_answers_only_what_every_model_file_holds():
    bare = make_card()
    told = {item.number for item in CLAIM if answer(item, bare) != NOT_ANSWERED}
    assert told == {"1", "9", "22", "31", "43"}
    page = render_markdown(build_card_page(bare, drawn=False))
    assert "The card does not say." in page
    assert "No figure was measured" in page


def test_a_test_drawn_by_picture_claims_no_separation(card):
    recipe = {"name": "seed", "data": {"test_by": "picture"}}
    by_picture = make_card(training=Training(recipe=recipe, groups=40))
    (level,) = [item for item in CLAIM if item.number == "20"]
    assert answer(level, card).startswith("group")
    assert answer(level, by_picture) == "picture, not patient"


def test_a_calibration_tells_what_it_did():
    def state(value):
        return Figure(name="found", data="x", split="y", value=value, slices=9, groups=9)

    entry = HistoryEntry(
        date="2026-11-25",
        change="calibrated",
        slices=60,
        groups=50,
        before=[state(0.92)],
        after=[state(0.88)],
        notes=["Seen pictures were left out."],
    )
    page = render_markdown(build_card_page(make_card(history=[entry]), drawn=False))
    assert "| found | 0.920 | 0.880 |" in page
    assert "Seen pictures were left out." in page


def test_a_student_names_its_teachers(card):
    taught = make_card(training=Training(learned_from=["model.onnx abc"]))
    (initial,) = [item for item in CLAIM if item.number == "24"]
    assert answer(initial, taught) == "started from, or taught by: model.onnx abc"
    assert answer(initial, card) == NOT_ANSWERED
    assert "model.onnx abc" in render_markdown(build_card_page(taught, drawn=False))


def test_a_forest_of_a_card_has_no_empty_panel_and_names_its_dots():
    def state(name, data, split="left out"):
        kept = {"value": 0.9, "low": 0.8, "high": 0.95, "slices": 90, "groups": 40}
        return Figure(name=name, data=data, split=split, **kept)

    whole = [state(name, "both") for name in ("auc", "sensitivity", "specificity")]
    card = make_card(figures=[*whole, state("specificity", "healthy"), state("auc", "b", "folds")])
    (section,) = [one for one in build_card_page(card).sections if one.heading == "Figures"]
    first, second = [block for block in section.blocks if isinstance(block, Plot)]
    for words in ("both", "left out", "folds"):
        assert words in first.svg
        assert words in first.narrow
    assert "healthy" not in first.svg
    assert "specificity: data without tumors" in second.svg
    assert "left out" in second.svg
