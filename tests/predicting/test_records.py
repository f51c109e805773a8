"""Records on the disk and back: forms, torn lines, what a broken run has written."""

import csv
import fcntl
import io
import json
import os
from pathlib import Path

import pytest

from tumorlens.errors import UsageError
from tumorlens.finding import Box, Finding, SliceInfo
from tumorlens.predicting.partial_records import continue_file
from tumorlens.predicting.records import (
    CsvWriter,
    JsonlWriter,
    Written,
    flatten_record,
    key_of,
    list_columns,
    read_written,
)
from tumorlens.study_finding import SeriesFinding
from tumorlens.writing import check_writable, name_place, partial_path

STRANGE = "a\udce9\n,\"'ü.png"
"""A name with a byte that is no UTF-8, a line break, a comma and quotes."""


def make_record(path="a.png", frame=0, uid=None, notes=(), position_mm=None, **changes):
    fields = {
        "verdict": "tumor",
        "tumor_probability": 0.9,
        "probabilities": {"no_tumor": 0.1, "tumor": 0.9},
        "unfamiliarity": 0.25,
        "peak_xy": (3.25, 4.0),
        "boxes": (Box(1, 2, 3, 4, 0.9), Box(5, 6, 7.5, 8, 0.6)),
        "operating_point": "balanced",
        "model": "tiny 0",
        "seconds": 0.01,
    }
    info = SliceInfo(path, frame, series_instance_uid=uid, notes=notes, position_mm=position_mm)
    return Finding(info, **{**fields, **changes}).to_record()


def make_error(path="bad.png"):
    return Finding(
        SliceInfo(path), error="no luck", operating_point="balanced", model="tiny 0"
    ).to_record()


def write(path, form, records, summary=False):
    errors = {"jsonl": "backslashreplace", "csv": "surrogateescape"}[form]
    with path.open("w", encoding="utf-8", errors=errors, newline="") as stream:
        columns = list_columns(["no_tumor", "tumor"], summary=summary)
        writer = JsonlWriter(stream) if form == "jsonl" else CsvWriter(stream, columns)
        for record in records:
            writer.write(record)
    return path


def test_columns_hold_every_key_of_a_record():
    cells = flatten_record(make_record())
    columns = list_columns(["no_tumor", "tumor"])
    assert set(cells) - set(columns) == {"probabilities"}
    assert set(columns) <= set(cells)
    series = SeriesFinding("d", "1.2", 3, 1, 0.9, 1).to_record()
    assert set(flatten_record(series)) - {"probabilities"} <= set(list_columns([], summary=True))


def test_csv_cells_of_boxes_peak_and_classes():
    cells = flatten_record(make_record())
    assert cells["boxes"] == "1.0 2.0 3.0 4.0 0.9;5.0 6.0 7.5 8.0 0.6"
    assert cells["peak_xy"] == "3.25 4.0"  # a record is never rounded
    assert cells["probability_tumor"] == "0.9"
    assert cells["error"] == ""


FORMULAS = [
    "=cmd.png",
    "+1",
    "-2",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",
    "./=a.png",
    "././+b",
    "'=c",
    "''@d",
]


@pytest.mark.parametrize("name", [*FORMULAS, "a=b.png", "./a.png", "'quoted'", ""])
def test_no_text_of_a_file_is_a_formula_in_a_spreadsheet(tmp_path, name):
    """A path still names its file, and everything comes back as it was."""
    record = make_record(name, uid=name, model=name, notes=(name,))
    path = write(tmp_path / "r.csv", "csv", [record])
    (row,) = csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""))
    assert not [
        cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
    ]
    assert os.path.normpath(row["path"]) == os.path.normpath(name)
    (key,) = read_written(path, "csv").keys
    assert key == key_of(record)
    assert read_written(path, "csv").settings == ("balanced", name)


def test_a_negative_position_stays_a_number():
    assert flatten_record(make_record(position_mm=-12.5))["position_mm"] == "-12.5"


@pytest.mark.parametrize("sign", ["\x9b", "\x7f", "\u2028", "\u202e", "\U000e0001", "\x1b"])
def test_nothing_in_json_lines_commands_a_terminal(tmp_path, sign):
    record = make_record(f"a{sign}ü.png")
    text = write(tmp_path / "r.jsonl", "jsonl", [record]).read_text()
    assert text.removesuffix("\n").isprintable()
    assert "ü" in text
    assert json.loads(text) == record


def test_csv_of_an_error_has_empty_outputs(tmp_path):
    path = write(tmp_path / "r.csv", "csv", [make_error()])
    (row,) = csv.DictReader(io.StringIO(path.read_text()))
    assert row["error"] == "no luck"
    assert {row[name] for name in ("verdict", "probability_tumor", "boxes", "peak_xy")} == {""}


def test_csv_tells_where_a_slice_comes_from():
    info = SliceInfo(
        "a",
        study_instance_uid="1.2",
        patient="ab12",
        sequence="T1",
        plane="axial",
        notes=("x", "y"),
    )
    cells = flatten_record(Finding(info, error="none").to_record())
    names = ("study_instance_uid", "patient", "sequence", "plane", "notes")
    assert [cells[name] for name in names] == ["1.2", "ab12", "T1", "axial", "x; y"]


def test_csv_without_records_is_empty(tmp_path):
    assert write(tmp_path / "r.csv", "csv", []).read_text() == ""


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_any_name_survives(tmp_path, form):
    records = [make_record(STRANGE), make_record("b.png", 3, "1.2.3"), make_error()]
    records.append(SeriesFinding("d", "1.2.3", 3, 1, 0.9, 1).to_record())
    path = write(tmp_path / "r", form, records, summary=True)
    written = read_written(path, form)
    assert written.keys == {key_of(record) for record in records if not record["error"]}
    assert ("slice", STRANGE, 0, "") in written.keys
    assert written.counts == {"tumor": 2}
    assert written.again == {"bad.png"}  # what could not be read does not count
    assert written.settings == ("balanced", "tiny 0")
    assert written.last == "bad.png"
    assert written.size == path.stat().st_size


def test_jsonl_is_json_for_others(tmp_path):
    path = write(tmp_path / "r.jsonl", "jsonl", [make_record(STRANGE)])
    assert json.loads(path.read_bytes().decode("utf-8")) == make_record(STRANGE)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_every_cut_leaves_whole_records(tmp_path, form):
    """Wherever a crash cuts the file, what is read back is a prefix of what was written."""
    records = [make_record('x\n"y".png'), make_record("b.png"), make_error()]
    data = write(tmp_path / "whole", form, records).read_bytes()
    keys = [key_of(record) for record in records]
    seen = set()
    for cut in {*range(0, len(data), 5), *range(len(data) - 40, len(data) + 1)}:
        path = tmp_path / "cut"
        path.write_bytes(data[:cut])
        written = read_written(path, form)
        assert written.keys == set(keys[: len(written.keys)])
        assert written.size <= cut
        assert data[: written.size].endswith(b"\n") or not written.size
        seen.add((len(written.keys), len(written.failed)))
    assert seen == {(0, 0), (1, 0), (2, 0), (2, 1)}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("jsonl", "hello\n"),
        ("jsonl", "[1]\n"),
        ("jsonl", '{"path": "x"}\n'),
        ("jsonl", "kind,path\nslice,x\n"),
        ("csv", "kind,path\nslice,x\n"),
        ("csv", "a\n1,2\n"),
    ],
)
def test_other_files_are_refused(tmp_path, form, text):
    path = tmp_path / "other"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"other, line \d: is not a record in this format"):
        read_written(path, form)


@pytest.mark.parametrize(
    ("path", "parts", "series", "held"),
    [
        ("a.png", ["a.png"], None, True),
        ("new.png", ["new.png"], None, False),
        ("last.png", ["last.png"], None, False),
        ("thick", ["thick/1", "thick/2"], "1.1", True),
        ("thick", ["thick/1", "thick/2", "thick/3"], "1.1", False),
        ("thick", ["thick/1", "thick/2"], "9.9", False),
        ("thin", ["thin/1", "thin/2"], "2.2", True),
        ("thin", ["thin/3"], "3.3", False),
    ],
)
def test_held_sources_are_the_ones_that_are_surely_whole(tmp_path, path, parts, series, held):
    names = [("a.png", 0, None), ("thick/1", 0, "1.1"), ("thick/2", 0, "1.1")]
    names += [("thin", 0, "2.2"), ("thin", 1, "2.2"), ("last.png", 0, None)]
    file = write(tmp_path / "r", "jsonl", [make_record(*name) for name in names])
    assert read_written(file, "jsonl").holds(path, parts, series) is held


def test_nothing_written_holds_nothing():
    assert not Written().holds("a", ["a"], None)


# The partial file


def test_file_appears_whole(tmp_path):
    path = tmp_path / "r.jsonl"
    with continue_file(path, "jsonl", Written()) as stream:
        stream.write("x\n")
        stream.flush()
        assert partial_path(path).read_text() == "x\n"
        assert not path.exists()
    assert path.read_text() == "x\n"
    assert not partial_path(path).exists()


def test_broken_run_leaves_its_lines_and_a_torn_one_is_cut(tmp_path):
    path = tmp_path / "r.jsonl"
    with pytest.raises(KeyboardInterrupt), continue_file(path, "jsonl", Written()) as stream:
        stream.write("whole\nto")
        raise KeyboardInterrupt
    assert partial_path(path).read_text() == "whole\nto"
    with continue_file(path, "jsonl", Written(size=6)) as stream:
        stream.write("next\n")
    assert path.read_text() == "whole\nnext\n"


def test_records_go_where_a_link_leads(tmp_path):
    link, disk = tmp_path / "a.jsonl", tmp_path / "disk"
    disk.mkdir()
    link.symlink_to(disk / "kept.jsonl")
    with pytest.raises(KeyboardInterrupt), continue_file(link, "jsonl", Written()) as stream:
        stream.write("first\n")
        raise KeyboardInterrupt
    assert [file.name for file in disk.iterdir()] == ["kept.jsonl.partial"]
    with continue_file(link, "jsonl", Written(size=6)) as stream:
        stream.write("second\n")
    assert link.is_symlink() and (disk / "kept.jsonl").read_text() == "first\nsecond\n"
    assert [file.name for file in disk.iterdir()] == ["kept.jsonl"]


def test_what_is_left_of_another_run_is_cleared(tmp_path):
    path = tmp_path / "r.jsonl"
    partial_path(path).write_text("old\n")
    with continue_file(path, "jsonl", Written()) as stream:
        stream.write("new\n")
    assert path.read_text() == "new\n"


def test_empty_partial_file_does_not_stay(tmp_path):
    path = tmp_path / "r.jsonl"
    with pytest.raises(ValueError, match="x"), continue_file(path, "jsonl", Written()):
        raise ValueError("x")
    assert not partial_path(path).exists()


def test_a_full_disk_is_a_usage_error():
    with (
        pytest.raises(UsageError, match=r"/dev/full: cannot be written \(No space left"),
        name_place("/dev/full"),
        Path("/dev/full").open("w") as stream,
    ):
        stream.write("x")
        stream.flush()


def test_a_left_pipe_is_not():
    with pytest.raises(BrokenPipeError), name_place("pipe"):
        raise BrokenPipeError


def test_two_runs_do_not_write_one_file(tmp_path):
    output = tmp_path / "a.jsonl"
    with continue_file(output, "jsonl", Written()) as first:
        first.write("1\n")
        first.flush()
        with (
            pytest.raises(UsageError, match="another run is writing"),
            continue_file(output, "jsonl", Written()),
        ):
            pass
        first.write("2\n")
    assert output.read_text() == "1\n2\n"


def test_a_result_that_was_renamed_meanwhile_is_not_cut(tmp_path, monkeypatch):
    output = tmp_path / "a.jsonl"
    partial_path(output).write_text("whole\n")
    monkeypatch.setattr(
        fcntl, "flock", lambda *_: partial_path(output).replace(output)
    )  # the first run ends just before the second holds the file
    with (
        pytest.raises(UsageError, match="another run is writing"),
        continue_file(output, "jsonl", Written()),
    ):
        pass
    assert output.read_text() == "whole\n"


def test_a_device_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is no regular file"):
        check_writable(tmp_path / "pipe", overwrite=True)
