"""What the slices of a series say together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study_tables import draw_chances, make_findings, make_study_model
from tumorlens.finding import Appearance, Finding, SliceInfo, StoredSlice
from tumorlens.model.contract import LOOKS
from tumorlens.studies.series_judging import ONE_SLICE, judge_series
from tumorlens.study_finding import NO_STUDY_MODEL


def test_a_run_of_slices_carries_the_verdict():
    found = judge_series(make_findings(draw_chances(30, slice(12, 17))), make_study_model())
    assert found.verdict == "tumor"
    assert found.tumor_probability > 0.9
    assert (found.run.first, found.run.last) == (("scan.nii", 12), ("scan.nii", 16))
    assert (found.run.first_mm, found.run.last_mm) == (60, 80)
    assert found.run.length_mm == found.extent_mm[0] == 25
    assert found.peak.frame == 12
    assert found.slices == 30
    assert found.tumor_slices == found.longest_run == 5
    assert found.verdicts == {"no_tumor": 25, "tumor": 5}


def test_a_lone_suspicious_slice_does_not():
    found = judge_series(make_findings(draw_chances(150, slice(70, 71)), gap=1), make_study_model())
    assert found.verdict == "no_tumor"
    assert found.run is None
    assert found.first_slices[0].frame == 70


def test_extent_in_plane_needs_a_spacing():
    chances = draw_chances(30, slice(12, 17))
    assert judge_series(make_findings(chances), make_study_model()).extent_mm == (25, None, None)
    spaced = judge_series(make_findings(chances, spacing_mm=(2.0, 0.5)), make_study_model())
    assert spaced.extent_mm == (25, 40, 5)


def test_peak_in_the_patient():
    place = ((100.0, -50.0, 7.0), (-0.5, 0.0, 0.0), (0.0, 0.5, 0.0))
    findings = make_findings(draw_chances(30, slice(12, 17)), lps_mm=place)
    peak = judge_series(findings, make_study_model()).peak
    assert peak.xy == (22, 20)
    assert peak.patient_mm == pytest.approx((100 - 0.5 * 21.5, -50 + 0.5 * 19.5, 7))
    assert judge_series(make_findings([0.9] * 5), make_study_model()).peak.patient_mm is None


def test_three_slices_to_open_have_reasons_and_lie_apart():
    chances = draw_chances(30, slice(12, 17))
    chances[3] = 0.95
    slices = judge_series(make_findings(chances), make_study_model()).first_slices
    assert [one.frame for one in slices] == [12, 14, 16]
    assert "strongest" in slices[0].reason
    chances[13:17] = [0.6] * 4
    slices = judge_series(make_findings(chances), make_study_model()).first_slices
    assert [one.frame for one in slices][:2] == [12, 3]
    assert "another level" in slices[1].reason


def test_slices_without_brain_count_for_nothing():
    chances = draw_chances(30, slice(0, 6))
    verdicts = ["not_judged"] * 6 + ["no_tumor"] * 24
    found = judge_series(make_findings(chances, verdicts=verdicts), make_study_model())
    assert found.verdict == "no_tumor"
    assert found.not_judged_share == pytest.approx(0.2)
    assert found.slices == 30


def test_a_series_without_brain_is_not_judged():
    found = judge_series(make_findings([0.9] * 5, verdicts=["not_judged"] * 5), make_study_model())
    assert found.verdict == "not_judged"
    assert found.tumor_probability is None
    assert any("no slice shows brain" in note for note in found.notes)


def test_mostly_unfamiliar_is_unfamiliar():
    half = ["unfamiliar"] * 16 + ["no_tumor"] * 14
    found = judge_series(make_findings([0.02] * 30, verdicts=half), make_study_model())
    assert found.verdict == "unfamiliar"
    assert found.unfamiliar_share == pytest.approx(16 / 30)
    few = ["unfamiliar"] * 6 + ["no_tumor"] * 24
    assert judge_series(make_findings([0.02] * 30, verdicts=few), make_study_model()).verdict == (
        "no_tumor"
    )


def test_without_numbers_there_is_no_verdict_and_it_says_so():
    found = judge_series(make_findings(draw_chances(30, slice(12, 17))), None)
    assert found.verdict is None
    assert found.tumor_probability is None
    assert found.notes == (NO_STUDY_MODEL,)
    assert found.tumor_slices == 5


def test_types_add_up_to_the_tumor():
    found = judge_series(make_findings(draw_chances(30, slice(12, 17))), make_study_model())
    types = found.probabilities
    assert types["glioma"] + types["meningioma"] == pytest.approx(found.tumor_probability)
    assert types["glioma"] == pytest.approx(4 * types["meningioma"])
    assert sum(types.values()) == pytest.approx(1)


def test_notes_stand_once_with_the_number_of_their_slices():
    findings = make_findings([0.02] * 6, notes=("re-sliced",))
    info = replace(findings[0].info, notes=("re-sliced", "12 non-finite voxels"))
    findings[0] = replace(findings[0], info=info)
    findings.append(Finding(SliceInfo("scan.nii", frame=9), error="cut short"))
    notes = judge_series(findings, make_study_model()).notes
    assert notes == (
        "re-sliced",
        "12 non-finite voxels (1 of 6)",
        "1 of 7 slices could not be read",
    )


def test_a_note_that_counts_slices_itself_is_not_counted_again():
    findings = make_findings([0.02] * 6)
    info = replace(findings[-1].info, notes=("2 of 8 slices are blank and left out",))
    findings[-1] = replace(findings[-1], info=info)
    notes = judge_series(findings, make_study_model()).notes
    assert notes == ("2 of 8 slices are blank and left out",)


def test_unknown_spacing_is_said():
    found = judge_series(
        make_findings(draw_chances(30, slice(12, 17)), gap=None), make_study_model()
    )
    assert found.verdict == "tumor"
    assert found.run.length_mm is None
    assert found.run.slices == 5
    assert any("distance of the slices is unknown" in note for note in found.notes)


def test_nothing_but_errors_is_an_error():
    found = judge_series([Finding(SliceInfo("a.dcm"), error="is damaged")], make_study_model())
    assert found.error == "is damaged"
    assert found.verdict is None


def look(findings, sequence, plane="axial", sure=0.97):
    """The findings with an appearance: sure of one sequence and one plane."""

    def spread(word, words):
        rest = (1 - sure) / (len(words) - 1)
        return {one: sure if one == word else rest for one in words}

    seen = Appearance(
        plane=spread(plane, LOOKS["plane"]),
        sequence=spread(sequence, LOOKS["sequence"]),
        skull=spread("on", LOOKS["skull"]),
    )
    return [replace(one, appearance=seen) for one in findings]


def test_the_sequence_comes_from_the_pictures_where_the_file_is_silent():
    found = judge_series(look(make_findings([0.02] * 9, plane=None), "FLAIR"), make_study_model())
    assert (found.sequence, found.plane) == ("FLAIR", "axial")
    unsure = look(make_findings([0.02] * 9, plane=None), "FLAIR", sure=0.4)
    assert judge_series(unsure, make_study_model()).sequence is None


def test_the_file_is_believed_and_doubted():
    found = judge_series(
        look(make_findings([0.02] * 9, sequence="T2"), "FLAIR"), make_study_model()
    )
    assert found.sequence == "T2"
    assert found.notes == ("the file says that the sequence is T2, but the slices look like FLAIR",)
    agreed = look(make_findings([0.02] * 9, sequence="FLAIR"), "FLAIR")
    assert judge_series(agreed, make_study_model()).notes == ()
    hardly = look(make_findings([0.02] * 9, sequence="T2"), "FLAIR", sure=0.8)
    assert judge_series(hardly, make_study_model()).notes == ()


def test_a_few_slices_are_no_series():
    found = judge_series(make_findings([0.9] * 4), make_study_model())
    assert found.verdict is None
    assert found.tumor_probability is None
    assert "fewer than 5 slices were judged" in found.notes[-1]
    assert found.tumor_slices == 4


def test_an_image_alone_says_that_its_series_has_no_verdict():
    found = judge_series(make_findings([0.9]), make_study_model())
    assert (found.verdict, found.notes) == (None, (ONE_SLICE,))
    among_others = make_findings([0.9] * 6, verdicts=["tumor", *["not_judged"] * 5])
    assert (
        "fewer than 5 slices were judged"
        in judge_series(among_others, make_study_model()).notes[-1]
    )


def test_slices_to_open_that_were_cut_are_named_by_what_lies_on_disk():
    files = tuple(StoredSlice(f"s/IM{column}", column % 2, column + 1) for column in range(40))
    cut = make_findings(
        draw_chances(30, slice(12, 17)), path="s", files=files, files_along="columns"
    )
    slices = judge_series(cut, make_study_model()).first_slices
    assert [(one.path, one.frame, one.instance_number) for one in slices] == [
        ("s/IM22", 0, 23),
        ("s/IM24", 0, 25),
        ("s/IM26", 0, 27),
    ]
    assert [one.record for one in slices] == [("s", 12), ("s", 14), ("s", 16)]
    assert slices[0].to_record()["record"] == ["s", 12]
