"""``tumorlens seen``: a model's training pictures and their copies, and pictures it never saw."""

import csv
import json

import pytest
from PIL import Image

from brains import paint_brain
from models import write_tiny_model
from tumorlens.cli.main import run
from tumorlens.imaging.pixels.fingerprint import fingerprint_slice
from tumorlens.imaging.readers import read_slice
from tumorlens.model.seen_entry import encode_fingerprints


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        Image.fromarray(paint_brain(number)).save(folder / f"{number}.png")
    copy = Image.open(folder / "0.png").transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    copy.resize((90, 90)).save(folder / "copy.png")
    return folder


@pytest.fixture
def model(tmp_path, pictures):
    trained = (pictures / "0.png", pictures / "1.png")
    fingerprints = encode_fingerprints(fingerprint_slice(read_slice(path)) for path in trained)
    return write_tiny_model(tmp_path / "tiny.onnx", seen=fingerprints)


def test_training_pictures_and_copies_are_known(model, pictures, tmp_path, capsys):
    output = tmp_path / "seen.json"
    assert run(["seen", str(model), str(pictures), "--output", str(output)]) == 0
    said = capsys.readouterr()
    lines = {line.rsplit("/")[-1]: line for line in said.out.splitlines()}
    known = {name for name, line in lines.items() if line.startswith("seen ")}
    assert known == {"0.png", "1.png", "copy.png"}
    assert len(lines) == 7
    assert "3 of 7 slices were in training" in said.err
    record = json.loads(output.read_text())
    assert [one["seen"] for one in record["slices"]].count(True) == 3


def test_an_unreadable_file_is_told_and_the_rest_goes_on(model, pictures, capsys):
    broken = pictures / "broken.png"
    broken.write_bytes(b"no picture")
    assert run(["seen", str(model), str(broken), str(pictures / "0.png")]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("error ")
    assert "1 of 1 slices were in training" in said.err
    assert "1 unreadable" in said.err


@pytest.mark.parametrize("name", ["nowhere.png", "broken.png"])
def test_nothing_read_is_2_and_writes_nothing(model, pictures, tmp_path, name, capsys):
    (pictures / "broken.png").write_bytes(b"no picture")
    output = tmp_path / "seen.json"
    assert run(["seen", str(model), str(pictures / name), "-o", str(output)]) == 2
    assert "nothing was compared" in capsys.readouterr().err
    assert not list(tmp_path.glob("seen.json*"))


def test_a_model_without_memory_says_so(pictures, tmp_path, capsys):
    model = write_tiny_model(tmp_path / "bare.onnx")
    assert run(["seen", str(model), str(pictures)]) == 2
    assert "has no fingerprints of its training images" in capsys.readouterr().err


def test_a_name_that_ends_in_csv_gets_a_table(model, pictures, tmp_path):
    (pictures / "broken.png").write_bytes(b"no picture")
    output = tmp_path / "seen.csv"
    assert run(["seen", str(model), str(pictures), "--output", str(output), "--quiet"]) == 1
    with output.open(encoding="utf-8", newline="") as stream:
        rows = {row["path"].rsplit("/")[-1]: row for row in csv.DictReader(stream)}
    assert list(rows["0.png"]) == ["path", "frame", "seen", "error"]
    assert (rows["copy.png"]["seen"], rows["2.png"]["seen"]) == ("True", "False")
    assert rows["broken.png"]["seen"] == ""
    assert rows["broken.png"]["error"]
