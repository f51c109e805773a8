"""``tumorlens predict`` from end to end: real files, a real model file, real records."""

import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import AXIAL, write_dicom, write_nifti, write_series
from heads import paint_slice, write_folder
from models import make_card, write_tiny_model
from tumorlens import detector
from tumorlens.cli import pace
from tumorlens.cli.main import run
from tumorlens.imaging import readers
from tumorlens.model.card import OperatingPoint
from tumorlens.workers import available_cores

KEYS = [
    *("schema", "kind", "path", "frame", "verdict", "tumor_probability", "probabilities"),
    *("unfamiliarity", "peak_xy", "boxes", "operating_point", "model"),
    *("series_instance_uid", "position_mm", "seconds", "error"),
    *("study_instance_uid", "patient", "sequence", "plane", "notes"),
    *("brain_share", "appearance", "outside"),
]
SERIES_KEYS = [
    *("schema", "kind", "path", "frame"),
    *("slices", "tumor_slices", "largest_probability", "longest_run"),
    *("operating_point", "model", "series_instance_uid", "position_mm", "seconds", "error"),
    *("uncertain_slices", "unfamiliar_slices", "not_judged"),
    *("study_instance_uid", "patient", "sequence", "plane", "notes"),
    *("volume", "verdict", "tumor_probability", "probabilities", "run", "peak", "extent_mm"),
    *("first_slices", "verdicts", "unfamiliar_share", "not_judged_share"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / "scans")
    return tmp_path / "scans"


@pytest.fixture
def predict(model, capsys):
    def call(*words, code=0):
        assert run(["predict", "--model", str(model), *map(str, words)]) == code
        return capsys.readouterr()

    return call


def read_jsonl(text):
    return [json.loads(line) for line in text.splitlines()]


def names_of(records):
    return [Path(record["path"]).name for record in records]


def volume_of_heads(slices=20):
    """(x, y, z): a spot in the middle third of the slices."""
    third = slices // 3
    planes = [paint_slice((40, 30) if third <= z < 2 * third else None) for z in range(slices)]
    return np.stack([plane.T for plane in planes], axis=2).astype(np.int16)


# Records


def test_a_record_a_slice_with_the_keys_of_the_contracts(predict, folder):
    shown = predict(folder, "--format", "jsonl")
    records = read_jsonl(shown.out)
    assert [list(record) for record in records] == [KEYS] * 6
    assert names_of(records) == ["n0.png", "n1.png", "n2.png", "t0.png", "t1.png", "t2.png"]
    assert [record["verdict"] for record in records] == ["no_tumor"] * 3 + ["tumor"] * 3
    assert shown.err == "6 slices: 3 tumor, 3 no tumor\n"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["-o", "r.csv"], ["to go on: tumorlens predict {f} --model {m} --report report.html"]),
        (["-o", "r.csv", "--shard", "1/1"], ["to go on: tumorlens merge PART... --output FILE"]),
        (["--report", "r.html", "--heatmaps", "heat"], ["to look at: r.html, heat"]),
        (["--report", "r.html"], ["to go on: tumorlens view {f} --model {m}"]),
    ],
)
def test_the_end_names_what_to_open_and_what_to_run_next(
    predict, folder, model, tmp_path, monkeypatch, words, wanted
):
    monkeypatch.chdir(tmp_path)
    said = predict(folder, *words).err
    for line in wanted:
        assert line.format(f=folder, m=model) in said


def test_a_pipe_gets_jsonl_and_a_name_chooses_the_form(predict, folder, tmp_path):
    assert len(read_jsonl(predict(folder).out)) == 6
    predict(folder, "-o", tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["verdict"] for row in rows] == ["no_tumor"] * 3 + ["tumor"] * 3
    assert float(rows[3]["probability_tumor"]) == float(rows[3]["tumor_probability"])
    assert len(rows[3]["boxes"].split(";")[0].split()) == 5
    predict(folder, "-o", tmp_path / "r.txt")
    assert len(read_jsonl((tmp_path / "r.txt").read_text())) == 6


def test_a_table_for_people(predict, folder, tmp_path):
    shown = predict(folder, "--format", "table").out
    assert "verdict" in shown
    assert shown.count("no tumor") == 3
    predict(folder, "--format", "table", "-o", tmp_path / "t.txt")
    assert (tmp_path / "t.txt").read_text() == shown


def test_jsonl_and_csv_say_the_same(predict, folder, tmp_path):
    records = read_jsonl(predict(folder, "--format", "jsonl").out)
    rows = list(csv.DictReader(predict(folder, "--format", "csv").out.splitlines()))
    for record, row in zip(records, rows, strict=True):
        assert row["path"] == record["path"]
        assert row["tumor_probability"] == str(record["tumor_probability"])
        assert row["peak_xy"].split() == [str(value) for value in record["peak_xy"]]


def test_a_list_on_standard_input(predict, folder, monkeypatch):
    names = f"{folder / 't0.png'}\n\n{folder / 'n0.png'}\r\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(names))
    records = read_jsonl(predict("-").out)
    assert names_of(records) == ["t0.png", "n0.png"]


def test_files_of_a_series_named_by_a_shell_are_read_as_their_folder(
    predict, tmp_path, monkeypatch
):
    volume = np.ascontiguousarray(volume_of_heads(40).transpose(0, 2, 1)[:40]).astype(np.uint16)
    place = np.array([[1.2, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    files = write_series(tmp_path / "study", volume, place)

    def judged(*paths):
        shown = predict(*paths, "--summary")
        assert "one by one" not in shown.err
        return [
            {**record, "seconds": None, "first_slices": None} for record in read_jsonl(shown.out)
        ]

    assert judged(*sorted(files)) == judged(tmp_path / "study") == judged(tmp_path / "study/IM*")
    assert judged(files[20])[0]["path"] == str(files[20])
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(map(str, files[15:25]))))
    shown = predict("-")
    assert len(read_jsonl(shown.out)) == 10
    assert shown.err.count("10 files of 1 series were read one by one") == 1


def test_quiet_and_verbose(predict, folder):
    (folder / "notes.txt").write_text("hello")
    assert predict(folder, "--quiet").err == ""
    said = predict(folder, "-v").err
    assert "model tiny 0" in said
    assert "skipped" in said
    assert "notes.txt" in said


def test_options_reach_the_model(tmp_path, folder, capsys):
    points = {
        "balanced": OperatingPoint(low=0.3, middle=0.5, high=0.7),
        "shy": OperatingPoint(low=0, middle=1, high=1),
    }
    path = write_tiny_model(tmp_path / "m.onnx", make_card(operating_points=points))
    words = ["--model", path, "--operating-point", "shy", "--threads", 1, "--batch-size", 2]
    assert run(["predict", str(folder), *map(str, words)]) == 0
    records = read_jsonl(capsys.readouterr().out)
    assert {record["verdict"] for record in records} == {"uncertain"}
    assert {record["operating_point"] for record in records} == {"shy"}


def test_run_log(predict, folder, tmp_path):
    (folder / "notes.txt").write_text("hello")
    predict(folder, "--run-log", tmp_path / "log.json")
    log = json.loads((tmp_path / "log.json").read_text())
    skipped = {"skipped": 1, "skipped_for": {"a text file": 1}}
    assert log["counts"] == {"no_tumor": 3, "tumor": 3, **skipped}
    assert (log["device"], log["threads"]) == ("cpu", available_cores())
    assert log["options"]["paths"] == [str(folder)]
    assert log["options"]["batch_size"] == 8
    assert log["model"]["name"] == "tiny 0"
    assert log["model"]["providers"] == ["CPUExecutionProvider"]
    assert len(log["model"]["sha256"]) == 64
    assert "onnxruntime" in log["versions"]


# Errors and exit codes


def test_records_and_run_log_are_two_files(predict, folder, tmp_path):
    log = tmp_path / "log.json"
    said = predict(folder, "--output", log, "--run-log", log, code=2).err
    assert "is named for two results" in said
    said = predict(folder, "--run-log", tmp_path / "no" / "log.json", code=2).err
    assert "its folder does not exist" in said
    assert not log.exists()


def test_bad_files_get_their_record_and_the_run_goes_on(predict, folder):
    (folder / "n1.png").write_bytes(b"")
    shown = predict(folder, folder / "gone.png", "--format", "jsonl", code=1)
    records = read_jsonl(shown.out)
    assert len(records) == 7
    bad = [record for record in records if record["error"]]
    assert names_of(bad) == ["n1.png", "gone.png"]
    for record in bad:
        assert list(record) == KEYS
        outputs = ("verdict", "tumor_probability", "probabilities", "peak_xy", "boxes")
        assert [record[name] for name in outputs] == [None] * 5
    assert "2 unreadable" in shown.err


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["gone.png"], 2),
        (["broken.png"], 2),
        (["gone.png", "broken.png"], 2),
        (["t0.png", "broken.png"], 1),
        (["t0.png", "gone.png"], 1),
        (["t0.png"], 0),
    ],
)
def test_exit_code_tells_all_some_and_none(predict, folder, names, code):
    (folder / "broken.png").write_bytes(b"x")
    shown = predict(*(folder / name for name in names), code=code)
    assert names_of(read_jsonl(shown.out)) == names  # each input has its record all the same


def test_a_folder_without_a_readable_picture_is_2(predict, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"x")
    shown = predict(tmp_path, "-o", tmp_path / "r.jsonl", code=2)
    assert "1 unreadable" in shown.err
    assert read_jsonl((tmp_path / "r.jsonl").read_text())[0]["error"]


def test_no_image_at_all_is_2(predict, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("hello")
    shown = predict(tmp_path / "empty", "-o", tmp_path / "r.jsonl", code=2)
    assert "no image found; 1 file skipped (a text file)" in shown.err
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resume"], "name it with --output"),
        (["-o", "r.txt", "--resume", "--format", "table"], "a table cannot be resumed"),
        (["-o", "there.jsonl"], "exists already; choose another name or give --overwrite"),
        (["-o", "no/folder.jsonl"], "its folder does not exist"),
        (["-o", "left.jsonl"], "left from a broken run"),
        (["--operating-point", "wild"], "no operating point 'wild'"),
        (["--quiet", "-v"], "contradict"),
        (["--batch-size", "0"], "batch-size"),
        (["--device", "abacus"], "device"),
        (["--model", "unknown"], "neither a file nor a bundled model"),
    ],
)
def test_contradictions_are_2_before_any_work(
    predict, folder, tmp_path, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.jsonl").write_text("old")
    (tmp_path / "left.jsonl.partial").write_text("old")
    shown = predict(folder, *words, code=2)
    assert message in shown.err
    assert shown.out == ""
    assert (tmp_path / "there.jsonl").read_text() == "old"
    assert (tmp_path / "left.jsonl.partial").read_text() == "old"


def test_overwrite_replaces(predict, folder, tmp_path):
    (tmp_path / "r.jsonl").write_text("old")
    (tmp_path / "r.jsonl.partial").write_text("old")
    predict(folder, "-o", tmp_path / "r.jsonl", "--overwrite")
    assert len(read_jsonl((tmp_path / "r.jsonl").read_text())) == 6
    assert not (tmp_path / "r.jsonl.partial").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told(model, folder):
    line = f"{sys.executable} -m tumorlens predict {folder} --model {model} > /dev/full"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "standard output: cannot be written (No space left" in done.stderr
    assert "Traceback" not in done.stderr


# Series


def test_summary_adds_a_record_a_series(predict, tmp_path):
    write_nifti(tmp_path / "v.nii.gz", volume_of_heads(), np.diag([1.0, 1.0, 3.0, 1.0]))
    Image.fromarray(paint_slice()).save(tmp_path / "alone.png")
    records = read_jsonl(predict(tmp_path, "--summary", "--format", "jsonl").out)
    assert [record["kind"] for record in records].count("series") == 1
    (series,) = [record for record in records if record["kind"] == "series"]
    place = records.index(series)
    slices = [record for record in records if record["path"].endswith("v.nii.gz")][:-1]
    assert records[place - 1] == slices[-1]
    assert series["slices"] == 20
    assert series["tumor_slices"] == series["longest_run"] == 6
    assert series["largest_probability"] == max(one["tumor_probability"] for one in slices)
    assert series["path"] == str(tmp_path / "v.nii.gz")
    assert set(series) == set(SERIES_KEYS)
    assert [series[key] for key in ("frame", "position_mm", "error")] == [None] * 3
    spent = sum(one["seconds"] for one in slices)
    assert series["seconds"] == pytest.approx(spent, abs=1e-3)


def test_summary_keeps_series_of_one_folder_apart_and_survives_a_bad_file(predict, tmp_path):
    volume = volume_of_heads(9).transpose(2, 1, 0).astype(np.uint16)
    place = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [4, 0, 0, 0], [0, 0, 0, 1.0]])
    for uid in ("1.1", "1.2"):
        for file in write_series(tmp_path / uid, volume, place, SeriesInstanceUID=uid):
            file.rename(tmp_path / f"{uid}-{file.name}")
    bad = tmp_path / "1.1-IM0005"
    bad.write_bytes(bad.read_bytes()[:-3000])
    records = read_jsonl(predict(tmp_path, "--summary", "--format", "jsonl", code=1).out)
    series = [record for record in records if record["kind"] == "series"]
    assert [one["series_instance_uid"] for one in series] == ["1.1", "1.2"]
    assert [one["slices"] for one in series] == [8, 9]
    assert {one["path"] for one in series} == {str(tmp_path)}


def test_summary_in_a_csv_has_its_columns(predict, tmp_path):
    write_nifti(tmp_path / "v.nii", volume_of_heads(), np.diag([1.0, 1.0, 3.0, 1.0]))
    rows = list(csv.DictReader(predict(tmp_path, "--summary", "--format", "csv").out.splitlines()))
    assert rows[-1]["kind"] == "series"
    assert rows[-1]["slices"] == "20"
    assert rows[0]["slices"] == ""


def write_ct(folder, **elements):
    volume = volume_of_heads(9).transpose(2, 1, 0).astype(np.uint16)
    place = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [4, 0, 0, 0], [0, 0, 0, 1.0]])
    return write_series(folder, volume, place, **{"Modality": "CT", **elements})


def test_what_a_reader_notes_stands_in_record_table_and_once_on_stderr(predict, tmp_path):
    write_ct(tmp_path / "ct")
    shown = predict(tmp_path, "--format", "jsonl")
    note = "modality CT, not MR: its verdict means nothing"
    records = read_jsonl(shown.out)
    assert [record["notes"] for record in records] == [[note]] * 9
    assert shown.err.count("modality CT") == 1
    assert f"{tmp_path / 'ct'} (series 1.2.3.4): {note}" in shown.err
    assert predict(tmp_path, "--quiet").err == ""
    rows = list(csv.DictReader(predict(tmp_path, "--format", "csv").out.splitlines()))
    assert {row["notes"] for row in rows} == {note}
    assert predict(tmp_path, "--format", "table").out.count("modality CT") == 1
    series = read_jsonl(predict(tmp_path, "--summary").out)[-1]
    assert note in series["notes"]


def test_blank_slices_and_a_cut_anew_are_told(predict, tmp_path):
    volume = volume_of_heads(40).transpose(2, 0, 1)
    volume[:5] = 0
    write_nifti(tmp_path / "v.nii", volume, np.diag([1.2, 1, 1, 1]))
    said = predict(tmp_path / "v.nii").err
    assert f"{tmp_path / 'v.nii'}: cut anew as axial slices" in said
    volume = volume_of_heads(20)
    volume[:, :, :3] = 0
    write_nifti(tmp_path / "w.nii", volume, np.diag([1, 1, 3, 1]))
    assert "w.nii: 3 of 20 slices are blank and left out" in predict(tmp_path / "w.nii").err


def test_a_note_of_very_many_files_is_told_of_some_and_counted(predict, tmp_path):
    for index in range(25):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(paint_slice()).save(tmp_path / f"{index:02}.jpg", exif=exif)
    lines = [line for line in predict(tmp_path).err.splitlines() if "EXIF" in line]
    assert len(lines) == 21
    assert lines[0] == f"{tmp_path / '00.jpg'}: turned as its EXIF orientation 6 says"
    assert lines[-1] == "5 more notes of this kind: turned as its EXIF orientation 6 says"


def test_slices_without_an_answer_are_counted_a_series(tmp_path, capsys):
    point = OperatingPoint(low=0, middle=0.5, high=1)
    path = write_tiny_model(tmp_path / "m.onnx", make_card(operating_points={"balanced": point}))
    files = write_ct(tmp_path / "s", Modality="MR")
    files[4].write_bytes(files[4].read_bytes()[:-3000])
    assert run(["predict", str(tmp_path / "s"), "--summary", "--model", str(path)]) == 1
    shown = capsys.readouterr()
    where = f"{tmp_path / 's'} (series 1.2.3.4)"
    assert f"{where}: of 9 slices, 8 are uncertain, 1 is not judged" in shown.err
    series = read_jsonl(shown.out)[-1]
    counts = ("slices", "uncertain_slices", "unfamiliar_slices", "not_judged")
    assert [series[name] for name in counts] == [8, 8, 0, 1]


def test_csv_tells_study_patient_sequence_and_plane(predict, tmp_path):
    write_ct(tmp_path, Modality="MR", SeriesDescription="ax T2 tse")
    rows = list(csv.DictReader(predict(tmp_path, "--format", "csv").out.splitlines()))
    told = {
        tuple(row[name] for name in ("study_instance_uid", "patient", "sequence", "plane"))
        for row in rows
    }
    ((study, patient, sequence, plane),) = told
    assert (study, sequence, plane) == ("1.2.3", "T2", "axial")
    assert len(patient) == 16
    assert patient != "P-17"


def test_what_the_run_writes_itself_is_not_counted_as_skipped(predict, folder):
    (folder / "notes.txt").write_text("hello")
    words = ("-o", folder / "r.jsonl", "--run-log", folder / "log.json", "--overwrite")
    for _ in range(2):
        said = predict(folder, *words).err
        assert "1 file skipped (a text file)\n" in said


# Heat maps


def test_heatmaps_one_a_slice_none_clobbered(predict, folder, tmp_path):
    Image.fromarray(paint_slice()).save(folder / "t0.bmp")
    write_folder(folder / "deeper", 1, 0)
    write_nifti(folder / "v.nii", volume_of_heads(), np.diag([1.0, 1.0, 3.0, 1.0]))
    (folder / "broken.png").write_bytes(b"x")
    records = read_jsonl(predict(folder, "--heatmaps", tmp_path / "maps", code=1).out)
    pictures = [path for path in (tmp_path / "maps").rglob("*") if path.is_file()]
    assert len(pictures) == len(records) - 1 == 28
    assert (tmp_path / "maps/t0.bmp.png").exists()
    assert (tmp_path / "maps/deeper/t0.heatmap.png").exists()
    assert not list((tmp_path / "maps").rglob("*.png.png"))
    assert (tmp_path / "maps/v.nii.0019.png").exists()


def test_mark_is_drawn_on_the_side_where_the_patient_has_it(predict, tmp_path):
    """A spot on the patient's left, in DICOM whose columns run to the right: shown at the right."""
    pixels = paint_slice((75, 30)).astype(np.uint16)
    mirrored = [-1, 0, 0, 0, 1, 0]
    for name, stored, cosines in (("a.dcm", pixels, AXIAL), ("b.dcm", pixels[:, ::-1], mirrored)):
        write_dicom(
            tmp_path / name,
            stored,
            ImageOrientationPatient=cosines,
            ImagePositionPatient=[0, 0, 0],
            PixelSpacing=[1, 1],
        )
    files = (tmp_path / "a.dcm", tmp_path / "b.dcm")
    records = read_jsonl(predict(*files, "--heatmaps", tmp_path / "maps").out)
    pictures = [
        np.asarray(Image.open(tmp_path / f"maps/{name}.dcm.0000.png"), int) for name in "ab"
    ]
    for record in records:
        assert 75 <= record["peak_xy"][0] < 95
    for picture in pictures:
        drawn = picture[: 128 * 4, 512:]  # the right half, where the heat is
        columns = np.nonzero((drawn[..., 0] - drawn[..., 2] > 40).any(axis=0))[0]
        assert columns.mean() / 4 == pytest.approx(85, abs=4)


def test_heatmaps_among_the_scans_are_not_judged(predict, folder):
    for maps in (folder / "maps", folder / "maps", folder, folder):
        shown = predict(folder, "--heatmaps", maps)
        assert len(read_jsonl(shown.out)) == 6
        assert "skipped" not in shown.err
    assert len(list(folder.rglob("*.png"))) == 18
    said = predict(folder).err
    assert said.endswith("12 files skipped (a result of tumorlens: 12)\n")


def test_heatmaps_of_a_folder_that_is_a_thin_series(predict, tmp_path):
    volume = np.ascontiguousarray(volume_of_heads(40).transpose(0, 2, 1)[:40]).astype(np.uint16)
    place = np.array([[1.2, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    write_series(tmp_path / "study", volume, place)
    records = read_jsonl(predict(tmp_path / "study", "--heatmaps", tmp_path / "maps").out)
    assert {record["path"] for record in records} == {str(tmp_path / "study")}
    names = [path.name for path in (tmp_path / "maps").iterdir()]
    assert len(names) == len(records)
    assert all(name.startswith("study.") for name in names)


def test_a_long_name_costs_neither_record_nor_heatmap(predict, folder, tmp_path):
    (folder / "t0.png").rename(folder / ("l" * 251 + ".png"))
    records = read_jsonl(predict(folder, "--heatmaps", tmp_path / "maps").out)
    assert len(records) == len(list((tmp_path / "maps").iterdir())) == 6


@pytest.mark.parametrize("option", ["--output", "--run-log"])
def test_no_result_replaces_a_scan(predict, folder, option):
    scan = folder / "t0.png"
    before = scan.read_bytes()
    for paths in ((scan,), (folder,), (folder / "*.png",)):
        said = predict(*paths, option, scan, *["--overwrite"][: option == "--output"], code=2).err
        assert "t0.png: is an image or another input, and the result would replace it" in said
    assert scan.read_bytes() == before
    notes = folder / "notes.txt"
    notes.write_text("hello")
    predict(notes, "-o", notes, "--overwrite", code=2)
    assert notes.read_text() == "hello"


def test_a_file_in_the_way_of_heatmaps_is_2(predict, folder, tmp_path):
    (tmp_path / "maps").touch()
    assert "is a file" in predict(folder, "--heatmaps", tmp_path / "maps", code=2).err


# Broken runs


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_resume_after_a_cut_anywhere_repeats_and_loses_nothing(predict, tmp_path, form):
    """The file is cut at random bytes, as a crash leaves it; each time the end is the same."""
    scans = tmp_path / "scans"
    write_folder(scans, 4, 4)
    (scans / "broken.png").write_bytes(b"x")
    write_nifti(scans / "v.nii", volume_of_heads(), np.diag([1.0, 1.0, 3.0, 1.0]))
    volume = volume_of_heads(9).transpose(2, 1, 0).astype(np.uint16)
    place = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [4, 0, 0, 0], [0, 0, 0, 1.0]])
    write_series(scans / "series", volume, place)
    output = tmp_path / f"r.{form}"
    words = (scans, "-o", output, "--format", form, "--summary")
    predict(*words, code=1)
    whole = output.read_bytes()
    rng = random.Random(0)
    for cut in [0, 1, *rng.sample(range(len(whole)), 5), len(whole)]:
        output.unlink()
        (tmp_path / f"r.{form}.partial").write_bytes(whole[:cut])
        said = predict(*words, "--resume", code=1).err
        assert _without_seconds(output.read_bytes(), form) == _without_seconds(whole, form), cut
        assert "37 slices" in said
        assert "1 unreadable" in said


def _without_seconds(data, form):
    text = data.decode()
    if form == "jsonl":
        return [{**record, "seconds": None} for record in read_jsonl(text)]
    return [{**row, "seconds": None} for row in csv.DictReader(text.splitlines())]


def test_resume_reads_no_finished_file_again(predict, folder, tmp_path, monkeypatch):
    output = tmp_path / "r.jsonl"
    predict(folder, "-o", output)
    lines = output.read_text().splitlines(keepends=True)
    output.unlink()
    (tmp_path / "r.jsonl.partial").write_text("".join(lines[:4]))
    read = []
    plain = readers.iterate_slices
    monkeypatch.setattr(
        readers, "iterate_slices", lambda x, **o: read.append(x.files[0].name) or plain(x, **o)
    )
    predict(folder, "-o", output, "--resume")
    assert read == ["t0.png", "t1.png", "t2.png"]  # t0 was the last one: it may have had more


def test_resume_without_a_broken_run_begins(predict, folder, tmp_path):
    predict(folder, "-o", tmp_path / "r.jsonl", "--resume")
    assert len(read_jsonl((tmp_path / "r.jsonl").read_text())) == 6


def test_resume_of_a_run_that_has_ended_does_nothing_and_says_so(predict, folder, tmp_path):
    output, page = tmp_path / "r.jsonl", tmp_path / "page.html"
    predict(folder, "-o", output)
    before = output.read_bytes()
    said = predict(folder, "-o", output, "--resume").err
    assert f"{output} is complete, and nothing is left to do: 6 slices" in said
    assert output.read_bytes() == before
    predict(folder, "-o", output, "--resume", "--report", page)  # of which nothing was there
    assert page.exists()
    assert output.read_bytes() == before
    output.write_bytes(before.replace(b"tiny 0", b"other 1"))
    said = predict(folder, "-o", output, "--resume", code=2).err
    assert f"{output}: was written with other options" in said


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("ended", [True, False], ids=["ended", "broken"])
def test_resume_tries_again_what_could_not_be_read(predict, tmp_path, form, ended):
    """As on a disk of a network that was away; the end is that of a run without faults."""
    scans, output = tmp_path / "scans", tmp_path / f"r.{form}"
    write_folder(scans, 2, 2)
    volume = volume_of_heads(9).transpose(2, 1, 0).astype(np.uint16)
    place = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [4, 0, 0, 0], [0, 0, 0, 1.0]])
    files = [scans / "n1.png", write_series(scans / "series", volume, place)[4]]
    words = (scans, "-o", output, "--format", form, "--summary")
    predict(*words)
    whole, sound = output.read_bytes(), [file.read_bytes() for file in files]
    for file in files:
        file.write_bytes(file.read_bytes()[:-500])
    predict(*words, "--overwrite", code=1)
    assert _without_seconds(output.read_bytes(), form) != _without_seconds(whole, form)
    if not ended:
        output.rename(tmp_path / f"r.{form}.partial")
    predict(*words, "--resume", code=1)
    for file, data in zip(files, sound, strict=True):
        file.write_bytes(data)
    said = predict(*words, "--resume").err
    assert "2 files could not be read before and are tried again" in said
    assert _without_seconds(output.read_bytes(), form) == _without_seconds(whole, form)
    assert "nothing is left to do" in predict(*words, "--resume").err
    assert not (tmp_path / f"r.{form}.partial").exists()


@pytest.mark.parametrize(
    "changed", [{"model": "other 1"}, {"operating_point": "wild"}], ids=["model", "point"]
)
def test_resume_with_other_options_is_refused(predict, folder, tmp_path, changed):
    output = tmp_path / "r.jsonl"
    predict(folder, "-o", output)
    record = {**read_jsonl(output.read_text())[0], **changed}
    output.unlink()
    (tmp_path / "r.jsonl.partial").write_text(json.dumps(record) + "\n")
    assert "was written with other options" in predict(folder, "-o", output, "--resume", code=2).err


def test_resume_of_another_form_is_refused(predict, folder, tmp_path):
    (tmp_path / "r.csv.partial").write_text('{"a": 1}\n')
    said = predict(folder, "-o", tmp_path / "r.csv", "--resume", code=2).err
    assert "with other options" in said


def test_interrupt_leaves_whole_lines_and_resume_ends_the_run(model, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    picture = write_folder(tmp_path / "one", 1, 0)[0]
    for index in range(1500):
        os.link(picture, scans / f"{index:04}.png")
    output = tmp_path / "r.jsonl"
    line = [sys.executable, "-m", "tumorlens", "predict", scans, "-o", output, "--model", model]
    started = subprocess.Popen(list(map(str, line)), stderr=subprocess.PIPE, text=True)
    partial = tmp_path / "r.jsonl.partial"
    deadline = time.monotonic() + 300
    while not (partial.exists() and partial.stat().st_size > 2000):
        assert started.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=300)
    assert started.returncode == 130
    assert said.splitlines()[-1] == "tumorlens: interrupted"
    assert "continue with --resume" in said
    assert "Traceback" not in said
    text = partial.read_text()
    assert text.endswith("\n")
    assert 0 < len(read_jsonl(text)) < 1500
    done = subprocess.run([*map(str, line), "--resume"], check=False)
    assert done.returncode == 0
    paths = [record["path"] for record in read_jsonl(output.read_text())]
    assert paths == sorted(str(path) for path in scans.iterdir())


def test_a_left_pipe_ends_the_run(model, folder):
    line = f"{sys.executable} -m tumorlens predict {folder} --model {model} | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout)["verdict"]
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


# Without a terminal


def test_long_work_says_now_and_then_how_far_it_has_come(predict, folder, monkeypatch):
    write_nifti(folder / "v.nii", volume_of_heads(), np.diag([1.0, 1.0, 3.0, 1.0]))
    assert "of 7 files" not in predict(folder).err  # short work says nothing of it
    monkeypatch.setattr(pace, "SECONDS", 0.0)
    lines = [line for line in predict(folder).err.splitlines() if line.startswith("predict: ")]
    assert any(line.startswith("predict: 3 of 7 files after ") for line in lines)
    assert len(lines) >= 26  # slices of one file, too, are a sign of life
    assert "predict: " not in predict(folder, "--quiet").err


# A terminal


def test_table_and_bar_on_a_terminal(model, folder):
    pytest.importorskip("pty")
    script = f"{sys.executable} -m tumorlens predict {folder} --model {model}"
    done = subprocess.run(
        ["script", "-qec", script, "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    assert done.returncode == 0
    assert "verdict" in done.stdout
    assert "files" in done.stdout
    assert "\x1b[1;31mtumor" in done.stdout


@pytest.mark.parametrize("form", ["csv", "jsonl", "table"])
def test_no_name_commands_a_terminal(model, tmp_path, form):
    pytest.importorskip("pty")
    scans = tmp_path / "scans"
    scans.mkdir()
    Image.fromarray(paint_slice()).save(scans / "a\x9b2J\x1b[2J.png")
    words = f"-m tumorlens predict {scans} --model {model} --format {form} --quiet"
    done = subprocess.run(
        ["script", "-qec", f"{sys.executable} {words}", "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"},
    )
    assert "tumor" in done.stdout
    assert "\x9b" not in done.stdout
    assert "[2J" in done.stdout
    assert "\x1b[2J" not in done.stdout


def test_a_list_of_names_may_hold_any_bytes(model, tmp_path):
    write_folder(tmp_path)
    name = os.fsencode(tmp_path) + b"/\xff.png"
    (tmp_path / "t0.png").rename(os.fsdecode(name))
    done = subprocess.run(
        [sys.executable, "-m", "tumorlens", "predict", "-", "--model", str(model)],
        input=name + b"\n",
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "tumor"


def test_a_closed_standard_input_is_no_list(model, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert run(["predict", "-", "--model", str(model)]) == 2
    assert "standard input is closed" in capsys.readouterr().err


def test_an_interrupt_while_the_model_loads_is_an_interrupt(model, folder, capsys, monkeypatch):
    class Interrupted:
        def __init__(self, *_, **__):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt as error:  # as the runtime's own import does
                raise ImportError("initialization failed") from error

    monkeypatch.setattr(detector, "Detector", Interrupted)
    assert run(["predict", str(folder), "--model", str(model)]) == 130
    assert capsys.readouterr().err.strip() == "tumorlens: interrupted"
