"""Slices become series, and series studies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from study_tables import make_findings, make_study_model
from tumorlens.finding import Finding, SliceInfo
from tumorlens.studies.assembling import SeriesGatherer, gather_studies
from tumorlens.study_finding import SeriesFinding

MODEL = make_study_model()


def gather(findings, rule=None):
    gatherer = SeriesGatherer(MODEL, rule)
    series = [one for finding in findings for one in gatherer.add(finding)]
    return [*series, *gatherer.close()], gatherer.loose


def make_dicom(uid, count=6, study="1.9", folder="d", **info):
    return [
        Finding(
            SliceInfo(
                f"{folder}/{uid}-{i}.dcm",
                series_instance_uid=uid,
                study_instance_uid=study,
                position_mm=5.0 * i,
                plane="axial",
                **info,
            ),
            verdict="no_tumor",
            tumor_probability=0.1,
        )
        for i in range(count)
    ]


def make_pictures(folder, count=3):
    return [
        Finding(SliceInfo(f"{folder}/{i}.png"), verdict="no_tumor", tumor_probability=0.1)
        for i in range(count)
    ]


def test_series_end_where_the_uid_changes():
    series, _ = gather([*make_dicom("1.1"), *make_dicom("1.2", 4)])
    assert [(one.series_instance_uid, one.slices) for one in series] == [("1.1", 6), ("1.2", 4)]
    assert series[0].path == "d"


def test_a_volume_is_a_series():
    series, _ = gather(
        [*make_findings([0.1] * 5, path="a.nii"), *make_findings([0.1], path="b.nii")]
    )
    assert [(one.path, one.slices) for one in series] == [("a.nii", 5), ("b.nii", 1)]
    assert series[0].volume is None


def test_each_pass_of_a_volume_is_a_series():
    passes = make_findings([0.1] * 8)
    again = [
        Finding(
            SliceInfo("scan.nii", frame=8 + i, position_mm=5.0 * i + 0.001, plane="axial"),
            verdict="no_tumor",
            tumor_probability=0.1,
        )
        for i in range(8)
    ]
    series, _ = gather([*passes, *again])
    assert [(one.volume, one.slices) for one in series] == [(0, 8), (1, 8)]


def test_a_slice_that_comes_twice_is_no_pass():
    findings = make_findings([0.1] * 8)
    double = Finding(
        SliceInfo("scan.nii", frame=8, position_mm=35.0, plane="axial"),
        verdict="no_tumor",
        tumor_probability=0.1,
    )
    series, _ = gather([*findings, double])
    assert [one.slices for one in series] == [9]


@pytest.mark.parametrize("missing", [0, 3, 7])
def test_a_slice_missing_in_one_pass_is_not_taken_from_another(missing):
    """As where one time point has a blank slice, which is left out, or a broken file."""
    one = make_dicom("1.1", 8)
    passes = [one, [*one[:missing], *one[missing + 1 :]], one]
    series, _ = gather([finding for part in passes for finding in part])
    assert [list(one.findings) for one in series] == passes


def test_slices_close_together_are_no_passes():
    """A volume whose voxels are a thousandth of those of a head, as if metres were meant."""
    tiny = [
        replace(one, info=replace(one.info, position_mm=0.005 * i, spacing_mm=(0.001, 0.001)))
        for i, one in enumerate(make_findings([0.1] * 8))
    ]
    series, _ = gather(tiny)
    assert [one.slices for one in series] == [8]


@pytest.mark.parametrize(
    ("column", "row"),
    [((2, 0, 0), (0, 2, 0)), ((0.98, 0, 0.2), (0, 1, 0))],
    ids=["larger pixels", "another direction"],
)
def test_parts_of_a_series_that_lie_otherwise_are_series_of_their_own(column, row):
    flat = make_dicom("1.1", 6, lps_mm=((0, 0, 0), (1, 0, 0), (0, 1, 0)))
    other = make_dicom("1.1", 5, lps_mm=((0, 0, 0), column, row))
    series, _ = gather([*flat, *other])
    assert [(one.volume, one.slices) for one in series] == [(0, 6), (1, 5)]


@pytest.mark.parametrize("told", [{"study": "1.8"}, {"patient": "b"}])
def test_one_uid_in_two_studies_or_patients_is_two_series_and_two_studies(told):
    series, _ = gather(
        [
            *make_dicom("1.1", patient="a"),
            *make_dicom("1.1", patient="a"),
            *make_dicom("1.1", 7, **{"patient": "a", **told}),
        ]
    )
    studies = gather_studies(series, MODEL)
    assert [[(one.volume, one.slices) for one in study.series] for study in studies] == [
        [(0, 6), (1, 6)],
        [(2, 7)],
    ]


@pytest.mark.parametrize("position", [3.0, None])
def test_files_of_a_folder_without_a_uid_are_a_series_by_their_folder(position):
    slices = [
        Finding(
            SliceInfo(f"{folder}/{i}", position_mm=position and position * i, series_path=folder),
            verdict="no_tumor",
            tumor_probability=0.1,
        )
        for folder in "ab"
        for i in range(6)
    ]
    series, loose = gather(slices)
    assert [(one.path, one.slices) for one in series] == [("a", 6), ("b", 6)]
    assert loose == 0


def test_a_series_without_patient_is_of_the_only_patient_of_its_study():
    series, _ = gather([*make_dicom("1.1", patient="a"), *make_dicom("1.2")])
    assert [len(study.series) for study in gather_studies(series, MODEL)] == [2]


def test_falling_positions_are_one_pass():
    series, _ = gather(make_dicom("1.1")[::-1])
    assert [one.slices for one in series] == [6]


def test_planes_of_a_localizer_are_series_of_their_own():
    scout = make_dicom("1.1", 3)
    other = [
        Finding(
            SliceInfo(
                f"d/c{i}.dcm",
                series_instance_uid="1.1",
                study_instance_uid="1.9",
                position_mm=7.0 * i,
                plane="coronal",
            ),
            verdict="no_tumor",
            tumor_probability=0.1,
        )
        for i in range(3)
    ]
    series, _ = gather([*scout, *other])
    assert [(one.plane, one.volume) for one in series] == [("axial", 0), ("coronal", 1)]


def test_pictures_are_no_series_unless_said():
    assert gather(make_pictures("a")) == ([], 3)
    series, loose = gather([*make_pictures("a"), *make_pictures("b", 2)], "folder")
    assert [(one.path, one.slices) for one in series] == [("a", 3), ("b", 2)]
    assert loose == 0


def test_a_bad_file_stays_in_its_series():
    slices = make_dicom("1.1")
    slices[3] = Finding(SliceInfo("d/1.1-3.dcm"), error="is damaged")
    series, _ = gather(slices)
    assert [one.slices for one in series] == [5]
    assert "1 of 6 slices could not be read" in series[0].notes


def test_a_bad_file_alone_is_told():
    slices = [Finding(SliceInfo("d/1.1-0.dcm"), error="is damaged"), *make_dicom("1.1")[1:]]
    series, _ = gather(slices)
    assert [(one.slices, one.not_judged) for one in series] == [(5, 1)]
    series, _ = gather([Finding(SliceInfo("x.dcm"), error="is damaged")])
    assert [one.error for one in series] == ["is damaged"]


def test_a_bad_file_before_a_volume_is_no_slice_of_it():
    bad = Finding(SliceInfo("a.png"), error="is damaged")
    series, _ = gather([bad, *make_findings([0.1] * 5, path="b.nii")])
    assert [(one.path, one.slices, one.not_judged) for one in series] == [
        ("a.png", 0, 1),
        ("b.nii", 5, 0),
    ]


def test_studies_by_uid_wherever_their_series_stand():
    series, _ = gather(
        [
            *make_dicom("1.1", study="A"),
            *make_dicom("1.2", study="B"),
            *make_dicom("1.3", study="A"),
        ]
    )
    studies = gather_studies(series, MODEL)
    assert [(one.study_instance_uid, len(one.series)) for one in studies] == [("A", 2), ("B", 1)]


@pytest.mark.parametrize(
    ("paths", "sizes"),
    [
        (["b/sub-01/anat/sub-01_T1w.nii", "b/sub-01/anat/sub-01_FLAIR.nii"], [2]),
        (["b/sub-01/ses-1/anat/a_T1w.nii", "b/sub-01/ses-2/anat/a_T1w.nii"], [1, 1]),
        (["b/sub-01/anat/x.nii", "b/sub-02/anat/x.nii"], [1, 1]),
        (["one/sub-01/x.nii", "two/sub-01/x.nii"], [1, 1]),
        (["b/ds_sub-01_T1w.nii", "b/ds_sub-01_T2.nii"], [2]),
        (["p/T1.nii", "p/T2.nii"], [1, 1]),
        (["sub-set/sub-01/x.nii", "sub-set/sub-02/x.nii"], [1, 1]),
        (["b/sub-01/anat/sub-01_ses-1_T1w.nii", "b/sub-01/anat/sub-01_ses-2_T1w.nii"], [1, 1]),
        (["b/sub-01/ses-1/anat/sub-01_T1w.nii", "b/sub-01/ses-1/sub-01_ses-1_T2.nii"], [2]),
        (["sub-01_T1w.nii", "sub-01_T2.nii"], [2]),
    ],
)
def test_studies_by_bids_names(paths, sizes):
    series, _ = gather([one for path in paths for one in make_findings([0.1] * 5, path=path)])
    assert [len(one.series) for one in gather_studies(series, MODEL)] == sizes


def test_studies_by_folder_where_said():
    paths = ["p/T1.nii", "p/T2.nii", "q/T1.nii"]
    series, _ = gather([one for path in paths for one in make_findings([0.1] * 5, path=path)])
    studies = gather_studies(series, MODEL, "folder")
    assert [(one.path, len(one.series)) for one in studies] == [("p", 2), ("q/T1.nii", 1)]


def test_subjects_side_by_side_in_one_folder_are_named_apart():
    series = [
        SeriesFinding(f"/d/sub-0{number}_{word}.nii.gz", None, 1, 0, 0.1, 0)
        for number in (1, 2)
        for word in ("T1w", "FLAIR")
    ]
    names = [study.path for study in gather_studies(series, None)]
    assert names == [str(Path("/d/*sub-01*")), str(Path("/d/*sub-02*"))]
