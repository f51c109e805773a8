"""``tumorlens predict`` on series and studies: records, table, page, montages, volumes."""

import json

import numpy as np
import pytest
from PIL import Image

from builders import write_nifti
from heads import paint_slice
from study_tables import write_study_model
from tumorlens.cli.main import run


def read_jsonl(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def study_model(tmp_path_factory):
    """The tiny model with numbers for series and studies."""
    return write_study_model(tmp_path_factory.mktemp("studies"))


def write_volume(path, spots):
    slices = [paint_slice((30, 30) if number in spots else None) for number in range(20)]
    volume = np.stack([one.T for one in slices], axis=2).astype(np.float32)
    return write_nifti(path, volume, np.diag([1.0, 1.0, 4.0, 1.0]))


@pytest.fixture
def subject(tmp_path):
    """One BIDS subject: a FLAIR that shows a lesion, and a T1 that does not."""
    folder = tmp_path / "sub-01" / "anat"
    folder.mkdir(parents=True)
    write_volume(folder / "sub-01_FLAIR.nii.gz", range(8, 12))
    write_volume(folder / "sub-01_T1w.nii.gz", ())
    return folder


def test_a_table_has_a_line_a_series_and_a_line_a_study(study_model, subject, capsys):
    command = ["predict", str(subject), "--model", str(study_model), "--format", "table"]
    assert run(command) == 0
    shown = capsys.readouterr().out
    kinds = [line.split()[-1] for line in shown.splitlines() if "%" in line]
    assert kinds == ["series", "series", "study"]
    told = " ".join(shown.split())  # a long path breaks the line anywhere
    assert "open first" in told
    assert "1 of 2 series says 'tumor' alone; the study weighs them together" in told
    assert run([*command, "--slices"]) == 0
    assert capsys.readouterr().out.count("\n") > 40 > shown.count("\n")


def test_summary_adds_series_and_studies_to_the_records(study_model, subject, capsys):
    assert run(["predict", str(subject), "--model", str(study_model), "--summary"]) == 0
    kinds = [record["kind"] for record in read_jsonl(capsys.readouterr().out)]
    assert kinds.count("series") == 2
    assert kinds[-1] == "study"
    assert kinds.count("slice") == 40


def test_the_count_tells_of_studies_where_no_table_does(study_model, subject, tmp_path, capsys):
    command = ["predict", str(subject), "--model", str(study_model)]
    assert run([*command, "--summary", "-o", str(tmp_path / "r.jsonl")]) == 0
    assert "1 study: 1 no tumor; 40 slices: " in capsys.readouterr().err
    assert run([*command, "-o", str(tmp_path / "s.jsonl")]) == 0
    assert "\n40 slices: " in f"\n{capsys.readouterr().err}"
    assert run([*command, "--format", "table"]) == 0
    assert "\n40 slices: " in f"\n{capsys.readouterr().err}"


def test_a_resumed_run_still_judges_the_whole_study(study_model, subject, tmp_path):
    output = tmp_path / "r.jsonl"
    command = ["predict", str(subject), "--model", str(study_model), "--summary", "-o", str(output)]
    assert run(command) == 0
    whole = output.read_bytes().splitlines(keepends=True)
    (tmp_path / "r.jsonl.partial").write_bytes(b"".join(whole[:25]))
    output.unlink()
    assert run([*command, "--resume"]) == 0
    again = output.read_bytes().splitlines()
    assert len(again) == len(whole)
    first, second = (json.loads(lines[-1]) for lines in (whole, again))
    assert first["tumor_probability"] == second["tumor_probability"]


def test_a_report_montages_and_volumes_are_written(study_model, subject, tmp_path, capsys):
    made = {name: tmp_path / name for name in ("page.html", "pictures", "volumes")}
    assert (
        run(
            [
                *("predict", str(subject), "--model", str(study_model)),
                *("--report", str(made["page.html"])),
                *("--heatmaps", str(made["pictures"]), "--montage"),
                *("--activation-volume", str(made["volumes"])),
            ]
        )
        == 0
    )
    assert "sub-01_FLAIR.nii.gz" in made["page.html"].read_text("utf-8")
    assert len(list(made["pictures"].iterdir())) == 2
    assert len(list(made["volumes"].iterdir())) == 2
    capsys.readouterr()
    assert run(["predict", str(made["pictures"]), str(made["volumes"])]) == 2
    assert "no image found" in capsys.readouterr().err


def test_a_montage_needs_a_folder(study_model, subject, capsys):
    assert run(["predict", str(subject), "--model", str(study_model), "--montage"]) == 2
    assert "--heatmaps" in capsys.readouterr().err


def test_pictures_of_a_folder_can_be_a_series(study_model, tmp_path, capsys):
    for number in range(12):
        spot = (30, 30) if number in (5, 6, 7) else None
        Image.fromarray(paint_slice(spot)).save(tmp_path / f"{number:02d}.png")
    command = ["predict", str(tmp_path), "--model", str(study_model), "--summary"]
    assert run([*command, "--series-from", "folder"]) == 0
    records = read_jsonl(capsys.readouterr().out)
    (series,) = [record for record in records if record["kind"] == "series"]
    assert series["slices"] == 12
    assert run(command) == 0
    assert {record["kind"] for record in read_jsonl(capsys.readouterr().out)} == {"slice"}


def test_mirror_gives_a_mean_of_both_sides(study_model, subject, capsys):
    command = ["predict", str(subject), "--model", str(study_model)]
    chances = []
    for more in ([], ["--mirror"]):
        assert run([*command, *more]) == 0
        records = read_jsonl(capsys.readouterr().out)
        chances.append([record["tumor_probability"] for record in records])
    np.testing.assert_allclose(chances[0], chances[1], atol=0.2)


def test_slices_of_a_series_without_a_verdict_stand_in_the_table(study_model, tmp_path, capsys):
    volume = np.stack([paint_slice((30, 30)).T] * 3, axis=2).astype(np.float32)
    path = write_nifti(tmp_path / "few.nii.gz", volume, np.diag([1.0, 1.0, 4.0, 1.0]))
    assert run(["predict", str(path), "--model", str(study_model), "--format", "table"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("tumor ") >= 3
    assert "fewer than 5 slices were judged" in shown
    assert "study" not in shown
