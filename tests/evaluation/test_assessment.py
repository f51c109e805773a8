"""The whole evaluation: parts, what was seen, what is left out, and its JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest

from score_tables import CLASSES, draw_scores, make_rows, make_scores
from tumorlens.errors import DataError
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.evaluation.scores import mark_training_groups


def test_parts_follow_source_and_sequence_by_default():
    source = ["here", "there"] * 150
    scores = draw_scores()
    scores = replace(
        scores, rows=tuple(replace(r, source=s) for r, s in zip(scores.rows, source, strict=True))
    )
    found = evaluate_scores(scores, replicates=100)
    assert [part.by for part in found.parts] == [{}, {"source": "here"}, {"source": "there"}]
    assert sum(part.slices for part in found.parts[1:]) == found.parts[0].slices == 300


def test_parts_by_any_column_and_by_two_at_once():
    scores = draw_scores()
    rows = tuple(
        replace(r, extra=(("scanner", "AB"[i % 2]),), split="xy"[i % 3 // 2])
        for i, r in enumerate(scores.rows)
    )
    found = evaluate_scores(replace(scores, rows=rows), by=["scanner,split"], replicates=100)
    assert {tuple(part.by.values()) for part in found.parts[1:]} == {
        ("A", "x"), ("A", "y"), ("B", "x"), ("B", "y")
    }  # fmt: skip
    with pytest.raises(DataError, match="no column 'hospital'; expected one of path"):
        evaluate_scores(scores, by=["hospital"])


def test_seen_pictures_are_measured_with_and_without():
    seen = np.zeros(300)
    seen[:100] = 1
    found = evaluate_scores(draw_scores(seen=seen), replicates=100)
    told = [(p.seen, p.slices, p.slices_seen) for p in found.parts]
    assert told == [("without_seen", 200, 0), ("as_is", 300, 100)]
    assert found.leading.slices == 200


def test_figures_of_seen_slices_alone_say_so():
    found = evaluate_scores(draw_scores(seen=np.ones(300)), replicates=100)
    words = "all 300 slices were seen in training: the figures are too optimistic"
    assert found.optimism == found.notes[0] == words
    assert not evaluate_scores(draw_scores(seen=np.zeros(300)), replicates=100).optimism
    some = np.array([1.0, 0, 0, 0] * 75)
    assert not evaluate_scores(draw_scores(seen=some), replicates=100).optimism


def test_each_part_leads_with_what_was_not_seen():
    source = ["here", "there"] * 150
    scores = draw_scores(seen=np.array([1.0, 0, 0, 0] * 75))
    rows = tuple(replace(r, source=s) for r, s in zip(scores.rows, source, strict=True))
    found = evaluate_scores(replace(scores, rows=rows), by=["source"], replicates=100)
    told = [(part.by.get("source", ""), part.seen) for part in found.parts]
    assert told == [
        ("", "without_seen"), ("", "as_is"), ("here", "without_seen"), ("here", "as_is"),
        ("there", "as_is"),
    ]  # fmt: skip


def test_where_all_was_seen_it_says_so():
    found = evaluate_scores(draw_scores(seen=np.ones(300)), replicates=100)
    assert (found.leading.seen, found.leading.slices_seen) == ("as_is", 300)
    assert (found.parts[1].seen, found.parts[1].note) == ("without_seen", "all seen")
    assert found.parts[1].estimates == []


def test_copies_across_the_split_count_as_seen():
    scores = mark_training_groups(draw_scores(), {"patient-0", "patient-1"})
    assert scores.seen.sum() == 20
    assert np.isnan(mark_training_groups(draw_scores(), {"other"}).seen).all()


def test_unfit_rows_and_tiny_lesions_are_left_out_and_counted():
    rows = make_rows(
        "abcdefg",
        [True, True, True, False, False, False, True],
        source=["tcga_lgg"] * 4 + ["web"] * 2 + ["rembrandt"],
        note=[
            "150 tumor pixels", "151 tumor pixels", "1500 tumor pixels", "0 tumor pixels",
            "CT head", "doubtful; picture of navoneel", "90 tumor pixels",
        ],
    )  # fmt: skip
    scores = make_scores(rows, np.full(7, 0.5))
    found = evaluate_scores(scores, replicates=100)
    assert found.parts[0].slices == 4
    assert found.left_out == {
        "1 to 150 tumor pixels": 1,
        "note says CT head": 1,
        "note says doubtful": 1,
    }
    assert evaluate_scores(scores, keep_all=True, replicates=100).parts[0].slices == 7


@pytest.mark.parametrize("label", [True, False])
def test_one_label_says_which_figures_hold(label):
    scores = make_scores(make_rows("abc", [label] * 3), np.array([0.1, 0.6, 0.9]))
    part = evaluate_scores(scores, replicates=100).parts[0]
    assert "one label only" in part.note
    assert part.find("auc").value is None
    assert part.find("sensitivity" if label else "specificity").value is not None


def test_without_labels_the_verdicts_are_counted():
    scores = draw_scores()
    rows = tuple(replace(row, label="", tumor_class="") for row in scores.rows)
    part = evaluate_scores(replace(scores, rows=rows), replicates=100).parts[0]
    assert "no labels" in part.note
    shares = [one.value for one in part.estimates if one.name.endswith("_among_unlabelled")]
    assert sum(shares) == pytest.approx(1)


def test_ten_images_give_counts_not_intervals():
    scores = draw_scores(groups=5, slices=2)
    part = evaluate_scores(scores, replicates=100).parts[0]
    assert {one.method for one in part.estimates if one.value is not None} <= {"counts", "exact"}


def test_classes_that_the_model_lacks_are_noted():
    rows = make_rows("ab", [True, False], tumor_class=["schwannoma", ""])
    scores = make_scores(rows, np.array([0.9, 0.1]), classes=CLASSES)
    assert "1 slices of the class 'schwannoma'" in evaluate_scores(scores).notes[0]


def test_rows_without_groups_are_noted():
    scores = draw_scores()
    scores = replace(scores, rows=tuple(replace(row, group="") for row in scores.rows))
    assert "300 of 300 slices have no group" in evaluate_scores(scores, replicates=100).notes[0]


def test_json_has_a_schema_and_no_nan():
    text = evaluate_scores(draw_scores(), prevalence=0.1, replicates=100).to_json()
    record = json.loads(text, parse_constant=pytest.fail)
    assert (record["schema"], record["kind"]) == (1, "evaluation")
    assert record["research_use"].startswith("For research only")
    figure = record["parts"][0]["estimates"][0]
    assert figure["name"] == "auc"
    assert figure["low"] < figure["value"] < figure["high"]
