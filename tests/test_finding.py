"""What is counted over a series, and what a notebook shows of a slice."""

import pytest

from tumorlens.finding import Box, Finding, SliceInfo
from tumorlens.study_finding import SeriesFinding


def make_finding(verdict, chance=0.5, **info):
    return Finding(SliceInfo("a", **info), verdict, chance, {}, 0.5, boxes=(Box(0, 0, 9, 9, 0.8),))


def test_a_series_counts_each_verdict_and_what_has_none():
    words = ["tumor", "tumor", "not_judged", "uncertain", "tumor", "unfamiliar", "no_tumor"]
    findings = [make_finding(word, notes=("x", word)) for word in words]
    findings.append(Finding(SliceInfo("bad"), error="is damaged"))
    series = SeriesFinding.of(findings, "folder")
    assert (series.slices, series.tumor_slices, series.longest_run) == (7, 3, 2)
    assert (series.uncertain_slices, series.unfamiliar_slices, series.not_judged) == (1, 1, 2)
    assert series.to_record()["notes"] == ["x", *dict.fromkeys(words)]


def test_a_series_without_a_judged_slice_has_counts_all_the_same():
    series = SeriesFinding.of([make_finding("not_judged")] * 3)
    assert (series.not_judged, series.largest_probability) == (3, None)


@pytest.mark.parametrize(
    ("verdict", "chance", "boxes"),
    [
        ("tumor", True, True),
        ("uncertain", True, True),
        ("no_tumor", True, False),
        ("unfamiliar", False, False),
        ("not_judged", False, False),
    ],
)
def test_a_notebook_shows_no_number_against_the_verdict(verdict, chance, boxes):
    shown = make_finding(verdict, 0.92837465, notes=("<cut anew>",))._repr_html_()
    assert ("92.8 %" in shown) is chance
    assert "0.92837" not in shown
    assert ("boxes" in shown) is boxes
    assert "&lt;cut anew&gt;" in shown


def test_a_record_rounds_nothing():
    record = make_finding("tumor", 0.1234567890123, position_mm=-1.23456789).to_record()
    assert (record["tumor_probability"], record["position_mm"]) == (0.1234567890123, -1.23456789)
