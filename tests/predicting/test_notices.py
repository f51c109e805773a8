"""What is told of a series: once, in a line each, and never without end."""

from dataclasses import replace

import pytest

from tumorlens.finding import Finding, SliceInfo
from tumorlens.predicting.notices import Notices
from tumorlens.study_finding import SeriesFinding


def tell(series, notes=(), times=1):
    lines = []
    notices = Notices(lines.append)
    for _ in range(times):
        notices.tell(series, notes, counted=True)
    notices.close()
    return lines


def make_series(*verdicts):
    findings = [
        Finding(SliceInfo("a"), error="is damaged")
        if word == "error"
        else Finding(SliceInfo("a"), word, 0.5)
        for word in verdicts
    ]
    return SeriesFinding.of(findings, "scan")


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (["tumor", "no_tumor"], []),
        (["unfamiliar"], ["scan: of 1 slice, 1 is unfamiliar"]),
        (
            ["tumor", "uncertain", "not_judged", "error", "unfamiliar"],
            ["scan: of 5 slices, 1 is uncertain, 1 is unfamiliar, 2 are not judged"],
        ),
    ],
)
def test_slices_without_an_answer_are_counted(verdicts, said):
    assert tell(make_series(*verdicts)) == said


def test_a_series_with_a_verdict_says_no_more_of_its_slices():
    series = make_series("tumor", "not_judged")
    assert tell(replace(series, verdict="tumor")) == []


def test_notes_that_differ_in_numbers_are_one_line():
    notes = ["9 voxels mended", "cut anew", "7 voxels mended", "9 voxels mended"]
    said = tell(make_series("tumor"), notes)
    assert said == ["scan: 9 voxels mended (and 1 like it)", "scan: cut anew"]


def test_very_many_alike_series_end_in_their_number():
    said = tell(make_series("tumor"), ["cut anew"], times=1234)
    assert len(said) == 21
    assert said[-1] == "1,214 more notes of this kind: cut anew"
