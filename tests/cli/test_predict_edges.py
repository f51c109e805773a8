"""``tumorlens predict`` where options meet inputs that they do not fit: nothing is silent."""

import io
import json
import shutil
import sys
from importlib import import_module

import click
import numpy as np
import pytest
from PIL import Image

from builders import AXIAL, write_dicom, write_nifti
from heads import paint_slice, write_folder
from study_tables import write_study_model
from tumorlens.cli import words
from tumorlens.cli.main import VERBS, run


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The tiny model with numbers for series and studies."""
    return write_study_model(tmp_path_factory.mktemp("model"))


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


@pytest.mark.parametrize(
    "wish", [("--heatmaps", "pictures", "--montage"), ("--activation-volume", "pictures")]
)
def test_single_pictures_get_no_montage_and_no_volume_and_it_is_said(
    predict, folder, tmp_path, monkeypatch, wish
):
    monkeypatch.chdir(tmp_path)
    said = " ".join(predict(folder, *wish).err.split())
    count = len(list(folder.iterdir()))
    assert f"{count} images belong to no series" in said
    assert f"so {wish[-1] if wish[-1] == '--montage' else wish[0]} made nothing of them" in said
    assert "--series-from folder" in said
    assert "belong to no series" not in predict(folder, *wish, "--series-from", "folder").err


def test_resume_draws_what_the_broken_run_has_judged_but_not_drawn(predict, folder, tmp_path):
    volume = np.stack([paint_slice((30, 30)).T] * 6, axis=2).astype(np.int16)
    write_nifti(folder / "v.nii.gz", volume, np.diag([1.0, 1.0, 4.0, 1.0]))
    output, pictures = tmp_path / "r.jsonl", tmp_path / "pictures"
    predict(folder, "-o", output, "--heatmaps", pictures)
    drawn = sorted(pictures.rglob("*.png"))
    output.rename(tmp_path / "r.jsonl.partial")
    written = (tmp_path / "r.jsonl.partial").read_text()
    for lost in drawn[1:]:
        lost.unlink()
    kept = drawn[0].stat().st_mtime_ns
    predict(folder, "-o", output, "--heatmaps", pictures, "--resume")
    assert sorted(pictures.rglob("*.png")) == drawn
    assert drawn[0].stat().st_mtime_ns == kept, "what is drawn is not drawn again"
    assert output.read_text() == written, "no record is written twice"


@pytest.mark.parametrize("wish", ["report", "montage", "volume", "folder"])
def test_resume_shows_series_that_the_broken_run_has_judged(predict, tmp_path, wish):
    scans, output = tmp_path / "scans", tmp_path / "r.jsonl"
    scans.mkdir()
    for name in "ab":
        volume = np.stack([paint_slice((30, 30)).T] * 8, axis=2).astype(np.int16)
        write_nifti(scans / f"{name}.nii.gz", volume, np.diag([1.0, 1.0, 4.0, 1.0]))
    if wish == "folder":
        shutil.rmtree(scans)
        write_folder(scans, 4, 4)
    options = {
        "report": ("--report", tmp_path / "page.html"),
        "montage": ("--heatmaps", tmp_path / "made", "--montage"),
        "volume": ("--activation-volume", tmp_path / "made"),
        "folder": ("--series-from", "folder", "--summary"),
    }[wish]
    predict(scans, "-o", output, *options)
    whole = [json.loads(line) | {"seconds": None} for line in output.read_text().splitlines()]
    made = _list_made(tmp_path)
    output.rename(tmp_path / "r.jsonl.partial")
    if wish == "folder":
        lines = (tmp_path / "r.jsonl.partial").read_text().splitlines(keepends=True)
        (tmp_path / "r.jsonl.partial").write_text("".join(lines[:5]))
    shutil.rmtree(tmp_path / "made", ignore_errors=True)
    (tmp_path / "page.html").unlink(missing_ok=True)
    predict(scans, "-o", output, *options, "--resume")
    assert _list_made(tmp_path) == made
    again = [json.loads(line) | {"seconds": None} for line in output.read_text().splitlines()]
    assert again == whole


def _list_made(folder):
    page = folder / "page.html"
    names = sorted(path.name for path in (folder / "made").rglob("*"))
    return names, page.read_text().count("<section") if page.exists() else 0


def test_a_series_of_one_slice_says_why_it_has_no_verdict(predict, tmp_path):
    write_dicom(
        tmp_path / "one.dcm", paint_slice((30, 30)).astype(np.uint16), ImageOrientationPatient=AXIAL
    )
    shown = predict(tmp_path / "one.dcm", "--summary", "--format", "jsonl")
    series = [json.loads(line) for line in shown.out.splitlines()]
    series = [record for record in series if record["kind"] == "series"]
    assert series[0]["verdict"] is None
    assert series[0]["notes"][-1] == "a single slice: it has a verdict, but the series has none"
    table = " ".join(predict(tmp_path / "one.dcm", "--format", "table").out.split())
    assert "a single slice: it has a verdict, but the series has none" in table


def test_records_that_are_piped_say_how_to_get_a_table(predict, folder):
    said = predict(folder).err
    assert "JSON lines, because standard output is no terminal; --format table" in said
    assert "JSON lines" not in predict(folder, "--format", "jsonl").err
    assert "JSON lines" not in predict(folder, "--quiet").err


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_minus_is_no_name_of_a_file_or_a_folder(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = import_module(f"tumorlens.cli.verbs.{verb}").command
    named = [one for one in command.params if isinstance(one, click.Option)]
    named = [one for one in named if isinstance(one.type, click.Path) and one.type != words.DATA]
    named = [one for one in named if one.name not in ("weights", "token_file")]  # are read
    needed = ["x"] * sum(isinstance(one, click.Argument) for one in command.params)
    for option in named:
        assert run([verb, *needed, option.opts[0], *["-"] * option.nargs]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert option.opts[0] in said
        assert "'./-'" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="a file may not be named so there")
def test_a_file_named_minus_can_still_be_written(predict, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    predict(folder, "--output", "./-")
    assert (tmp_path / "-").exists()


def test_a_picture_alone_is_said_in_the_singular(predict, tmp_path):
    Image.fromarray(paint_slice((30, 30)).astype(np.uint8)).save(tmp_path / "x.png")
    said = predict(tmp_path / "x.png", "--activation-volume", tmp_path / "made").err
    assert "1 image belongs to no series" in " ".join(said.split())


def test_a_table_names_a_slice_of_each_series_and_the_thresholds(predict, tmp_path):
    for name, spots in (("ill", range(8, 12)), ("well", ())):
        slices = [paint_slice((30, 30) if number in spots else None).T for number in range(20)]
        volume = np.stack(slices, axis=2).astype(np.int16)
        write_nifti(tmp_path / f"{name}.nii.gz", volume, np.diag([1.0, 1.0, 4.0, 1.0]))
    shown = predict(tmp_path, "--format", "table")
    table = "".join(shown.out.split())
    assert table.count("(countedfrom0)") == 4, "two series and two studies"
    said = " ".join(shown.err.split())
    assert "thresholds (balanced): slice: tumor from " in said
    assert "; series: tumor from " in said
    assert "; study: tumor from " in said


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet", "a.csv.gz", "a.PDF"])
def test_records_are_not_written_under_the_name_of_another_format(predict, folder, tmp_path, name):
    told = predict(folder, "--output", tmp_path / name, code=2).err
    assert "name it .jsonl or .csv" in told


@pytest.mark.parametrize("name", ["a.pdf", "a.docx"])
def test_a_page_is_not_written_under_the_name_of_another_format(predict, folder, tmp_path, name):
    told = predict(folder, "--report", tmp_path / name, code=2).err
    assert "a page is HTML; name it .html" in told


def test_a_list_of_paths_may_begin_with_a_byte_order_mark(predict, folder, monkeypatch):
    names = sorted(map(str, folder.glob("*.png")))
    monkeypatch.setattr(sys, "stdin", io.StringIO("\ufeff" + "\r\n".join(names)))
    assert len(predict("-", "--format", "jsonl").out.splitlines()) == len(names)
