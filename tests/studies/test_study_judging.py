"""What the series of a study say together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study_tables import draw_chances, make_findings, make_study_model
from tumorlens.imaging.dicom.modality import doubt_contrast, doubt_modality
from tumorlens.studies.series_judging import judge_series
from tumorlens.studies.study_judging import judge_study
from tumorlens.studies.study_model import StudyTerms
from tumorlens.study_finding import NO_STUDY_MODEL

MODEL = make_study_model()


def judge(*series, model=MODEL):
    found = [
        judge_series(make_findings(chances, path=f"{name}.nii", sequence=name), model)
        for name, chances in series
    ]
    return judge_study(found, model, "scans")


def test_the_series_with_the_evidence_leads():
    study = judge(("T1", [0.25] * 30), ("FLAIR", draw_chances(30, slice(12, 17))))
    assert study.leading == 1
    assert study.peak.path == study.run.first[0] == study.first_slices[0].path == "FLAIR.nii"
    assert study.slices == 60
    assert study.verdicts == {"no_tumor": 55, "tumor": 5}


def test_doubtful_series_add_up():
    doubtful = [0.02] * 12 + [0.85] * 5 + [0.02] * 13
    one, two = judge(("T1", doubtful)), judge(("T1", doubtful), ("FLAIR", doubtful))
    assert one.verdict == "uncertain"
    assert two.verdict == "tumor"
    assert two.tumor_probability > one.tumor_probability


def test_a_study_that_says_otherwise_than_its_only_series_says_why():
    doubtful = [0.02] * 12 + [0.85] * 5 + [0.02] * 13
    clear = StudyTerms(offset=-9.0, weights={"other": 1.0}, alike=0.5)
    study = judge(("T1", doubtful), model=make_study_model(study=clear))
    assert (study.series[0].verdict, study.verdict) == ("uncertain", "no_tumor")
    assert any("its only series is 'uncertain' by itself" in note for note in study.notes)
    same = judge(("T1", doubtful))
    assert same.verdict == "uncertain"
    assert not any("by itself" in note for note in same.notes)


def test_a_study_that_clears_a_tumor_series_says_so():
    terms = StudyTerms(offset=-9.0, weights={"other": 1.0}, alike=0.5)
    clear, ill = ("T1", [0.02] * 30), ("FLAIR", draw_chances(30, slice(12, 17)))
    study = judge(clear, ill, model=make_study_model(study=terms))
    assert [one.verdict for one in study.series] == ["no_tumor", "tumor"]
    assert study.verdict == "no_tumor"
    assert study.notes[-1] == "1 of 2 series says 'tumor' alone; the study weighs them together"
    assert not any("weighs" in note for note in judge(ill, ill).notes)


def test_series_that_tell_the_same_count_as_one():
    terms = StudyTerms(weights={"other": 1.0}, alike=1.0)
    model = make_study_model(study=terms)
    doubtful = [0.02] * 12 + [0.8] * 5 + [0.02] * 13
    one, two = (
        judge(("T1", doubtful), model=model),
        judge(("T1", doubtful), ("T2", doubtful), model=model),
    )
    assert two.tumor_probability == pytest.approx(one.tumor_probability)


def test_unfamiliar_series_count_only_alone():
    strange = judge_series(
        make_findings([0.98] * 30, verdicts=["unfamiliar"] * 30, sequence="T2"), MODEL
    )
    clear = judge_series(make_findings(draw_chances(), sequence="T1"), MODEL)
    both = judge_study([strange, clear], MODEL, "scans")
    assert both.verdict == "no_tumor"
    assert any("1 of 2 series do not count" in note for note in both.notes)
    assert judge_study([strange], MODEL, "scans").verdict == "unfamiliar"


@pytest.mark.parametrize("doubt", [doubt_modality("CT", ""), doubt_contrast(["ADC"], "")])
def test_series_that_are_no_plain_mri_count_only_alone(doubt):
    ill, clear = draw_chances(30, slice(12, 17)), draw_chances()
    other = judge_series(note_all(make_findings(ill, sequence="T2"), doubt), MODEL)
    plain = judge_series(make_findings(clear, sequence="T1"), MODEL)
    both = judge_study([other, plain], MODEL, "scans")
    assert (both.verdict, both.leading) == ("no_tumor", 1)
    assert any("1 of 2 series do not count" in note for note in both.notes)
    assert judge_study([other], MODEL, "scans").verdict == "tumor"
    part = note_all(make_findings(ill, sequence="T2")[:3], doubt)
    some = judge_series([*part, *make_findings(ill, sequence="T2")[3:]], MODEL)
    assert judge_study([some, plain], MODEL, "scans").leading == 0


def note_all(findings, note):
    return [replace(one, info=replace(one.info, notes=(note,))) for one in findings]


def test_without_numbers_there_is_no_verdict():
    study = judge(("T1", draw_chances()), model=None)
    assert study.verdict is None
    assert study.notes == (NO_STUDY_MODEL,)


def test_the_record_holds_every_key():
    record = judge(("T1", draw_chances()), ("FLAIR", draw_chances(30, slice(12, 17)))).to_record()
    assert record["kind"] == "study"
    assert [one["sequence"] for one in record["series"]] == ["T1", "FLAIR"]
    assert record["leading_series"] == "FLAIR.nii"
    bare = judge(("T1", draw_chances()), model=None).to_record()
    assert set(bare) == set(record)
    assert bare["verdict"] is None


def test_types_add_up_to_the_study():
    study = judge(("T1", draw_chances()), ("FLAIR", draw_chances(30, slice(12, 17))))
    assert sum(study.probabilities.values()) == pytest.approx(1)
    assert study.probabilities["no_tumor"] == pytest.approx(1 - study.tumor_probability)


def test_no_series_is_refused():
    with pytest.raises(ValueError, match="at least one series"):
        judge_study([], MODEL, "scans")
