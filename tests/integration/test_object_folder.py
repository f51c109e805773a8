"""``predict --dicom-out`` and `write_dicom`: what lands in the folder, and what validators say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

import tumorlens
from builders import write_nifti, write_zip
from models import write_tiny_model
from sources_of_dicom import (
    SOURCES,
    paint_volume,
    write_axial,
    write_enhanced,
    write_sagittal,
)
from study_tables import write_study_model
from tumorlens.cli.main import run
from validators import list_complaints, needs_dciodvfy

pytest.importorskip("highdicom")


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """The tiny model with numbers for series and studies."""
    return tumorlens.Detector(write_study_model(tmp_path_factory.mktemp("studies")))


@pytest.fixture
def told():
    return []


def write(source, folder, detector, told=None, **options):
    notice = (lambda line: None) if told is None else told.append
    return tumorlens.write_dicom(source, folder, model=detector, notice=notice, **options)


def read_objects(folder):
    """Kind -> object."""
    return {path.name.split(".")[-2]: pydicom.dcmread(path) for path in folder.glob("*.dcm")}


def walk(item):
    """All content items of a report."""
    for inner in item.get("ContentSequence", ()):
        yield inner
        yield from walk(inner)


def name_item(item):
    return item.ConceptNameCodeSequence[0].CodeMeaning


@needs_dciodvfy
@pytest.mark.parametrize("kind", SOURCES)
def test_validator_finds_no_error(kind, detector, tmp_path, told):
    SOURCES[kind](tmp_path / "scan")
    done = write(tmp_path / "scan", tmp_path / "out", detector, told)
    assert {path.name.split(".")[-2] for path in done.files} == {"sr", "seg", "sc"}, told
    for path in done.files:
        errors, warnings = list_complaints(path)
        assert not errors, path.name
        assert kind == "poor" or not warnings, path.name


def test_the_command_writes_the_same_objects(detector, tmp_path, capsys):
    write_axial(tmp_path / "scan")
    command = ["predict", str(tmp_path / "scan"), "--model", str(detector.session.path)]
    command += ["--output", str(tmp_path / "r.jsonl")]
    assert run([*command, "--dicom-out", str(tmp_path / "out"), "--objects", "sr,seg"]) == 0
    assert "2 DICOM objects written" in capsys.readouterr().err
    assert set(read_objects(tmp_path / "out")) == {"sr", "seg"}
    assert not list((tmp_path / "out").glob("*.partial"))


def test_a_report_says_what_was_found(detector, tmp_path):
    write_axial(tmp_path / "scan")
    done = write(tmp_path / "scan", tmp_path / "out", detector)
    made = read_objects(tmp_path / "out")
    items = list(walk(made["sr"]))
    (study,) = done.studies
    values = [float(i.MeasuredValueSequence[0].NumericValue) for i in items if i.ValueType == "NUM"]
    assert study.verdict == "tumor"
    assert values[0] == pytest.approx(study.tumor_probability)
    answers = [i.ConceptCodeSequence[0] for i in items if name_item(i) == "Neoplasm"]
    assert (answers[0].CodeValue, answers[0].CodingSchemeDesignator) == ("52101004", "SCT")
    referred = [i.ReferencedSOPSequence[0] for i in items if name_item(i) == "Referenced Segment"]
    assert [one.ReferencedSOPInstanceUID for one in referred] == [made["seg"].SOPInstanceUID]
    assert any(i.ValueType == "TEXT" and "For research only" in i.TextValue for i in items)


def test_regions_lie_on_the_mark_of_the_stored_slice(detector, tmp_path):
    files = {str(pydicom.dcmread(one).SOPInstanceUID): one for one in write_axial(tmp_path / "s")}
    write(tmp_path / "s", tmp_path / "out", detector, objects=["sr"])
    regions = [i for i in walk(read_objects(tmp_path / "out")["sr"]) if i.ValueType == "SCOORD"]
    assert regions
    for region in regions:
        uid = region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        pixels = pydicom.dcmread(files[str(uid)]).pixel_array
        corners = np.array(region.GraphicData).reshape(-1, 2)
        column, row = (corners.min(axis=0) + corners.max(axis=0)) / 2
        assert pixels[int(row), int(column)] == pixels.max() == 2000


def test_regions_of_slices_that_were_cut_lie_in_the_patient(detector, tmp_path):
    write_sagittal(tmp_path / "scan")
    write(tmp_path / "scan", tmp_path / "out", detector, objects=["sr"])
    report = read_objects(tmp_path / "out")["sr"]
    regions = [item for item in walk(report) if item.ValueType == "SCOORD3D"]
    assert report.SOPClassUID.name == "Comprehensive 3D SR Storage"
    assert regions
    assert {one.ReferencedFrameOfReferenceUID for one in regions} == {"1.2.3.9"}


def test_objects_belong_to_the_study_and_say_what_they_are(detector, tmp_path):
    write_axial(tmp_path / "scan")
    write(tmp_path / "scan", tmp_path / "out", detector)
    for made in read_objects(tmp_path / "out").values():
        assert (made.StudyInstanceUID, made.PatientID) == ("1.2.3", "P-17")
        assert (str(made.PatientName), made.AccessionNumber) == ("Family^Given", "A-77")
        assert made.SeriesInstanceUID != "1.2.3.4"
        assert "for research only" in made.SeriesDescription
        equipment = [one.get("ManufacturerModelName") for one in made.ContributingEquipmentSequence]
        assert "Scanner 7" in equipment


@pytest.mark.parametrize("kind", ["axial", "sagittal", "enhanced"])
def test_objects_refer_to_nothing_but_the_source_and_each_other(kind, detector, tmp_path):
    files = SOURCES[kind](tmp_path / "scan")
    made = [pydicom.dcmread(one) for one in write(tmp_path / "scan", tmp_path, detector).files]
    known = {str(one.SOPInstanceUID) for one in (*map(pydicom.dcmread, files), *made)}
    referred = {
        str(element.value)
        for one in made
        for element in one.iterall()
        if element.keyword == "ReferencedSOPInstanceUID"
    }
    assert referred <= known
    assert len(referred) > len(files)


def test_deidentified_objects_name_nobody(detector, tmp_path):
    write_axial(tmp_path / "P-17 Given")
    write(tmp_path / "P-17 Given", tmp_path / "out", detector, deidentified=True)
    for path in (tmp_path / "out").iterdir():
        data = path.read_bytes()
        for word in (b"P-17", b"Family", b"Given", b"A-77", b"19600102", b"ROOM-2", b"Hospital"):
            assert word not in data, path.name
        assert "P-17" not in path.name
        assert pydicom.dcmread(path).PatientIdentityRemoved == "YES"


@pytest.mark.parametrize(
    ("name", "charset"),
    [("Yamada^Tarou=山田^太郎", ["", "ISO 2022 IR 87"]), ("Großmann^Zoë", "ISO_IR 100")],
)
def test_names_keep_their_letters_whatever_set_the_source_uses(name, charset, detector, tmp_path):
    write_axial(tmp_path / "scan", PatientName=name, SpecificCharacterSet=charset)
    write(tmp_path / "scan", tmp_path / "out", detector, objects=["sr", "sc"])
    for made in read_objects(tmp_path / "out").values():
        assert (str(made.PatientName), made.SpecificCharacterSet) == (name, "ISO_IR 192")


@pytest.mark.parametrize("charset", [None, "ISO_IR 100"])
def test_a_name_in_utf_8_that_does_not_say_so_keeps_its_letters(charset, detector, tmp_path):
    for path in write_axial(tmp_path / "scan"):
        dataset = pydicom.dcmread(path)
        if charset:
            dataset.SpecificCharacterSet = charset
        dataset.add_new("PatientName", "PN", "Großmann^Zoë".encode())
        dataset.save_as(path)
    write(tmp_path / "scan", tmp_path / "out", detector, objects=["sr"])
    assert str(read_objects(tmp_path / "out")["sr"].PatientName) == "Großmann^Zoë"


def test_images_of_one_instance_uid_have_no_segmentation(detector, tmp_path, told):
    """Nothing could say which of them its frames belong to."""
    write_axial(tmp_path / "scan", SOPInstanceUID="1.2.3.5")
    write(tmp_path / "scan", tmp_path / "out", detector, told)
    assert sorted(read_objects(tmp_path / "out")) == ["sc", "sr"]
    assert any("images have one SOP Instance UID" in line for line in told)


def test_studies_and_series_of_one_folder_have_objects_of_their_own(detector, tmp_path):
    write_axial(tmp_path / "scans" / "a")
    write_axial(tmp_path / "scans" / "b", SeriesInstanceUID="1.2.3.5")
    write_axial(tmp_path / "scans" / "c", StudyInstanceUID="1.2.4", SeriesInstanceUID="1.2.4.1")
    done = write(tmp_path / "scans", tmp_path / "out", detector, objects=["sr", "seg"])
    made = [pydicom.dcmread(path) for path in done.files]
    reports = [one for one in made if one.Modality == "SR"]
    assert sorted(one.StudyInstanceUID for one in reports) == ["1.2.3", "1.2.4"]
    referred = {
        name: {
            item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            for item in walk(next(one for one in reports if one.StudyInstanceUID == name))
            if name_item(item) == "Referenced Segment"
        }
        for name in ("1.2.3", "1.2.4")
    }
    for one in made:
        if one.Modality == "SEG":
            assert one.SOPInstanceUID in referred[one.StudyInstanceUID]
    assert {name: len(uids) for name, uids in referred.items()} == {"1.2.3": 2, "1.2.4": 1}


def test_patients_of_one_uid_have_reports_of_their_own(detector, tmp_path):
    (tmp_path / "scan").mkdir()
    for patient in "ab":
        for path in write_axial(tmp_path / patient, PatientID=patient):
            path.rename(tmp_path / "scan" / f"{patient}{path.name}")
    done = write(tmp_path / "scan", tmp_path / "out", detector, objects=["sr"])
    assert sorted(pydicom.dcmread(path).PatientID for path in done.files) == ["a", "b"]


def test_new_uids_begin_with_the_root(detector, tmp_path):
    write_axial(tmp_path / "scan")
    write(tmp_path / "scan", tmp_path / "out", detector, uid_root="1.2.826.77")
    made = read_objects(tmp_path / "out").values()
    assert all(str(one.SOPInstanceUID).startswith("1.2.826.77.") for one in made)
    assert all(str(one.SeriesInstanceUID).startswith("1.2.826.77.") for one in made)


@pytest.mark.parametrize("root", ["1.2.", "5.1", "1.02", "a", "", "1." + "2" * 60])
def test_a_root_that_is_none_is_refused(root, detector, tmp_path):
    with pytest.raises(tumorlens.UsageError, match="uid_root"):
        write(tmp_path, tmp_path / "out", detector, uid_root=root)


def test_without_a_frame_of_reference_there_is_no_segmentation(detector, tmp_path, told):
    write_axial(tmp_path / "scan", FrameOfReferenceUID="")
    write(tmp_path / "scan", tmp_path / "out", detector, told)
    assert set(read_objects(tmp_path / "out")) == {"sr", "sc"}
    assert any("no segmentation: it states no Frame of Reference UID" in line for line in told)


def test_values_that_the_standard_forbids_are_told_but_not_shown(detector, tmp_path, told, recwarn):
    SOURCES["poor"](tmp_path / "scan")
    write(tmp_path / "scan", tmp_path / "out", detector, told, objects=["seg"])
    made = read_objects(tmp_path / "out")["seg"]
    assert (made.PatientSex, made.PatientBirthDate, made.StudyID) == ("", "", "")
    assert sum("PatientSex holds a value that the standard forbids" in one for one in told) == 1
    assert not any("female" in line for line in (*told, *map(str, recwarn.list)))


def test_inputs_without_a_source_are_told(detector, tmp_path, told):
    write_nifti(tmp_path / "head.nii", paint_volume().transpose(2, 1, 0))
    done = write(tmp_path / "head.nii", tmp_path / "out", detector, told)
    assert not done.files
    assert any("is no DICOM file, so that there is nothing to refer to" in line for line in told)
    command = ["predict", str(tmp_path / "head.nii"), "--model", str(detector.session.path)]
    assert run([*command, "--dicom-out", str(tmp_path / "out")]) == 1


def test_a_series_without_a_study_is_refused_by_the_name_of_what_lacks(detector, tmp_path, told):
    write_axial(tmp_path / "scan", StudyInstanceUID=None)
    assert not write(tmp_path / "scan", tmp_path / "out", detector, told).files
    assert any("states no StudyInstanceUID, which every DICOM object" in line for line in told)


def test_an_archive_serves_as_a_source(detector, tmp_path):
    files = write_axial(tmp_path / "scan")
    write_zip(tmp_path / "scan.zip", {one.name: one for one in files})
    assert len(write(tmp_path / "scan.zip", tmp_path / "out", detector).files) == 3


def test_slices_without_a_verdict_of_their_study_are_reported(detector, tmp_path):
    for file in write_axial(tmp_path / "scan")[3:]:
        file.unlink()
    bare = tumorlens.Detector(write_tiny_model(tmp_path / "tiny.onnx"))
    for number, judge in enumerate((detector, bare)):
        done = write(tmp_path / "scan", tmp_path / f"out{number}", judge)
        assert [one.verdict for one in done.studies] == [None]
        items = list(walk(read_objects(tmp_path / f"out{number}")["sr"]))
        assert sum(name_item(item) == "Probability" for item in items) == 3
        texts = [item.TextValue for item in items if item.ValueType == "TEXT"]
        assert "There is no verdict of the study, only of its slices." in texts


def test_the_example_has_all_objects(detector, tmp_path):
    example = Path(__file__).parents[2] / "examples" / "t1c_axial_synthetic_lesion.dcm"
    assert len(write(example, tmp_path, detector).files) == 3


def test_a_resumed_run_writes_all_objects(detector, tmp_path):
    write_axial(tmp_path / "scan")
    command = ["predict", str(tmp_path / "scan"), "--model", str(detector.session.path)]
    command += ["--output", str(tmp_path / "r.jsonl")]
    assert run(command) == 0
    lines = (tmp_path / "r.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "r.jsonl.partial").write_bytes(b"".join(lines[:9]))
    (tmp_path / "r.jsonl").unlink()
    assert run([*command, "--resume", "--dicom-out", str(tmp_path / "out")]) == 0
    assert set(read_objects(tmp_path / "out")) == {"sr", "seg", "sc"}
    assert len((tmp_path / "r.jsonl").read_bytes().splitlines()) == len(lines)


def test_a_frame_is_named_where_the_class_of_the_object_has_frames(detector, tmp_path):
    write_enhanced(tmp_path / "scan")
    write(tmp_path / "scan", tmp_path / "out", detector, objects=["seg", "sc"])
    for made in read_objects(tmp_path / "out").values():
        groups = made.get("PerFrameFunctionalGroupsSequence", [])
        sources = [one.DerivationImageSequence[0].SourceImageSequence[0] for one in groups]
        numbers = [int(one.ReferencedFrameNumber) for one in sources]
        assert len(set(numbers)) == len(numbers)
        whole = [int(one.ReferencedFrameNumber) for one in made.SourceImageSequence]
        assert set(whole) >= set(numbers)
        assert 1 <= min(whole) < max(whole) <= 20


def test_a_folder_with_objects_is_kept_unless_told_otherwise(detector, tmp_path):
    write_axial(tmp_path / "scan")
    first = write(tmp_path / "scan", tmp_path / "out", detector).files
    with pytest.raises(tumorlens.UsageError, match="holds DICOM objects already"):
        write(tmp_path / "scan", tmp_path / "out", detector)
    assert write(tmp_path / "scan", tmp_path / "out", detector, overwrite=True).files == first


def test_a_run_that_breaks_leaves_nothing(detector, tmp_path):
    write_axial(tmp_path / "scan")

    def stop(what, done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "scan", tmp_path / "out", detector, progress=stop)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_was_written_is_never_judged(detector, tmp_path):
    write_axial(tmp_path / "scan")
    write(tmp_path / "scan", tmp_path / "scan" / "out", detector)
    again = write(tmp_path / "scan", tmp_path / "more", detector)
    assert sum(again.counts.values()) == 20
    assert sum(again.skipped.values()) == 3
    picture = next((tmp_path / "more").glob("*.sc.dcm"))
    with pytest.raises(tumorlens.InputError, match="is a result of tumorlens"):
        tumorlens.predict(picture, model=detector)


@pytest.mark.parametrize(
    "words", [["--objects", "sr"], ["--deidentified"], ["--uid-root", "1.2"]], ids=lambda w: w[0]
)
def test_options_of_objects_need_a_folder(words, tmp_path, capsys):
    assert run(["predict", str(tmp_path), *words]) == 2
    assert "need --dicom-out" in capsys.readouterr().err


def test_unknown_kinds_of_objects_are_refused(tmp_path, capsys):
    command = ["predict", str(tmp_path), "--dicom-out", str(tmp_path / "out")]
    assert run([*command, "--objects", "sr,rtstruct"]) == 2
    assert "--objects are some of sr, seg, sc" in capsys.readouterr().err
