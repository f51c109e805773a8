"""Tables of records, as a person reads them."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tumorlens.finding import Box, Finding, SliceInfo
from tumorlens.landmarks import KeySlice
from tumorlens.report.tables import (
    RecordTable,
    count_words,
    make_table,
    name_slice,
    open_console,
    skipped_words,
)
from tumorlens.study_finding import SeriesFinding


def print_records(records, width=100):
    stream = io.StringIO()
    table = RecordTable(Console(file=stream, width=width))
    for record in records:
        table.write(record)
    table.close()
    return stream.getvalue()


def make_record(path="scan.png", frame=0, verdict="no_tumor", boxes=(), **info):
    return Finding(SliceInfo(path, frame, **info), verdict, 0.034, {}, 0.5, boxes=boxes).to_record()


def test_rows_hold_what_matters():
    shown = print_records([make_record(), make_record("v.nii", 7, "tumor")])
    head, _, first, second = shown.splitlines()
    assert head.split() == ["verdict", "tumor", "unfamiliar", "boxes", "file"]
    assert first.split() == ["no", "tumor", "3.4", "%", "0.50", "–", "scan.png"]
    assert second.endswith("v.nii [7]") or "v.nii [7]" in second


def test_many_rows_have_one_head_and_stay_aligned():
    lines = print_records([make_record(f"{index}.png") for index in range(45)]).splitlines()
    assert len(lines) == 47
    assert sum("verdict" in line for line in lines) == 1
    assert {line.index("no tumor") for line in lines[2:]} == {1}
    assert {line.index(".png") - len(str(i)) for i, line in enumerate(lines[2:])} == {
        lines[0].index("file")
    }


@pytest.mark.parametrize(
    ("verdict", "cells"),
    [
        ("tumor", ["3.4", "%", "0.50", "1"]),
        ("uncertain", ["3.4", "%", "0.50", "1"]),
        ("no_tumor", ["3.4", "%", "0.50", "–"]),
        ("unfamiliar", ["–", "0.50", "–"]),
        ("not_judged", ["–", "0.50", "–"]),
    ],
)
def test_no_figure_contradicts_its_verdict(verdict, cells):
    record = make_record(verdict=verdict, boxes=(Box(0, 0, 9, 9, 0.8),))
    words = print_records([record]).splitlines()[-1].split()
    assert words[len(verdict.split("_")) : -1] == cells


def test_a_note_is_shown_once_a_series_and_alike_ones_too():
    notes = [("cut anew", "12 voxels mended"), ("cut anew", "7 voxels mended"), ()]
    records = [
        make_record(f"{uid}/{frame}", frame, notes=one, series_instance_uid=uid)
        for uid in ("1.2", "1.3")
        for frame, one in enumerate(notes)
    ]
    lines = [line for line in print_records(records).splitlines() if "note" in line]
    assert [line.split("note", 1)[1].strip() for line in lines] == [
        "cut anew",
        "12 voxels mended",
    ] * 2


def test_a_long_path_breaks_behind_a_folder():
    records = [make_record("examples/t1c_sagittal_synthetic_lesion.png"), make_record("a" * 50)]
    words = [line.split()[-1] for line in print_records(records, width=80).splitlines()[2:]]
    assert words == ["examples/", "t1c_sagittal_synthetic_lesion.png", "a" * 35, "a" * 15]


def test_a_series_names_its_sequence_and_counts_verdicts_in_one_order():
    counts = {"not_judged": 2, "no_tumor": 9, "tumor": 6}
    series = SeriesFinding("dir", None, 17, 6, 0.9, 6, verdict="tumor", tumor_probability=0.9)
    record = replace(series, verdicts=counts, sequence="T1c", plane="axial").to_record()
    words = " ".join(print_records([record], width=160).split())
    assert "series dir, T1c, axial: 17 slices (6 tumor, 9 no tumor, 2 not judged)" in words


def test_errors_and_series_have_their_rows():
    error = Finding(SliceInfo("bad.png"), error="is empty").to_record()
    series = SeriesFinding("dir", None, 20, 3, 0.9, 2)
    shown = print_records([error, series.to_record()])
    assert "bad.png: is empty" in shown
    assert "dir: tumor in 3 of 20 slices, longest run 2" in shown
    assert "90.0 %" in shown
    assert "uncertain" not in shown
    open_ends = replace(series, uncertain_slices=2, unfamiliar_slices=1, not_judged=4)
    words = " ".join(print_records([open_ends.to_record()], width=160).split())
    assert "longest run 2, 2 uncertain, 1 unfamiliar, 4 not judged" in words
    assert "90.0 %" not in print_records([replace(series, unfamiliar_slices=20).to_record()])


def test_a_slice_to_open_is_counted_only_in_a_file_that_holds_several():
    dicom = KeySlice("a.dcm", 0, 13, None, 0.9, "strongest")
    volume = KeySlice("a.nii.gz", 0, None, -30.0, 0.9, "strongest")
    page = KeySlice("a.tif", 2, None, None, 0.9, "strongest")
    picture = KeySlice("a.png", 0, None, None, 0.9, "strongest")
    named = [name_slice(one.path, one.to_record()) for one in (dicom, volume, page, picture)]
    assert named == [
        "a.dcm, instance 13",
        "a.nii.gz, slice 0 (counted from 0)",
        "a.tif, slice 2 (counted from 0)",
        "a.png",
    ]


def test_skipped_files_are_counted_by_reason():
    assert skipped_words({"a text file": 2}) == "2 files skipped (a text file: 2)"
    assert skipped_words({name: 10 - i for i, name in enumerate("abcdef")}) == (
        "45 files skipped (a: 10, b: 9, c: 8, d: 7, other reasons: 11)"
    )


def test_names_can_neither_style_nor_command_the_terminal():
    shown = print_records([make_record("[red]a\x1b[31m.png")])
    assert "[red]a\\x1b[31m.png" in shown
    assert "\x1b" not in print_table_cell("[bold]x\x1b[2J")


def print_table_cell(cell):
    stream = io.StringIO()
    Console(file=stream, width=80).print(make_table("t", ("a",), [(cell,)]))
    return stream.getvalue()


def test_a_table_shows_its_cells_as_they_are():
    assert "[bold]x" in print_table_cell("[bold]x")


def test_a_cell_may_have_two_lines_but_no_other_control_character():
    stream = io.StringIO()
    table = make_table("parts", ("part", "value"), [("T2", "0.900\n0.80–0.95"), ("a\x1b[2J", "–")])
    Console(file=stream, width=60).print(table)
    lines = stream.getvalue().splitlines()
    first = next(i for i, line in enumerate(lines) if "0.900" in line)
    assert "0.80–0.95" in lines[first + 1]
    assert "\\n" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_file_is_wide_enough_for_paths():
    assert open_console(io.StringIO()).width == 120


def test_counts_in_words():
    counts = {"tumor": 3, "no_tumor": 1200, "uncertain": 0, "error": 2}
    assert count_words(counts, skipped={"a web page": 1}) == (
        "1,203 slices: 3 tumor, 1,200 no tumor; 2 unreadable; 1 file skipped (a web page)"
    )
    assert count_words({"tumor": 1}) == "1 slice: 1 tumor"
    assert count_words({"not_judged": 1, "tumor": 2}) == "3 slices: 2 tumor, 1 not judged"
