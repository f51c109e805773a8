"""No verb replaces a scan, whatever --overwrite says, nor the table that it reads."""

from __future__ import annotations

import pytest

import builders
import models
import tumorlens
from brains import paint_brain
from tumorlens.cli.main import run

CALLS = {
    "evaluate": (["evaluate", "m.onnx", "set.csv"], ("--report", "--save-scores", "--output")),
    "audit": (["audit", "set.csv", "--no-model"], ("--report", "--marked", "--output")),
    "calibrate": (["calibrate", "m.onnx", "set.csv", "-o", "new.onnx"], ("--run-log",)),
    "split": (["split", "set.csv"], ("--output",)),
    "seen": (["seen", "m.onnx", "0.png"], ("--output",)),
    "card": (["card", "m.onnx"], ("--output",)),
    "export": (["export", "m.onnx", "--to", "onnx-fp16"], ("--output",)),
    "benchmark": (["benchmark", "m.onnx"], ("--output", "--plot")),
}
CASES = [(verb, option) for verb, (_, options) in CALLS.items() for option in options]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    models.write_tiny_model(tmp_path / "m.onnx")
    rows = "".join(f"{n}.png,{n},{('tumor', 'no_tumor')[n % 2]}\n" for n in range(6))
    (tmp_path / "set.csv").write_text("path,group,label\n" + rows)
    for number in range(6):
        builders.write_picture(tmp_path / f"{number}.png", paint_brain(number))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("verb", "option"), CASES)
def test_no_verb_replaces_a_scan(folder, capsys, verb, option):
    before = (folder / "1.png").read_bytes()
    assert run([*CALLS[verb][0], option, "1.png", "--overwrite"]) == 2
    assert (
        "1.png: is an image or another input, and the result would replace it"
        in capsys.readouterr().err
    )
    assert (folder / "1.png").read_bytes() == before


@pytest.mark.parametrize("other", ["--report", "--run-log"])
def test_no_result_of_predict_replaces_another(folder, capsys, other):
    command = ["predict", "0.png", "--model", "m.onnx", "-o", "r.csv", other, "r.csv"]
    assert run([*command, "--overwrite"]) == 2
    assert "is named for two results" in capsys.readouterr().err
    assert not (folder / "r.csv").exists()


@pytest.mark.parametrize("verb", ["evaluate", "audit"])
def test_a_report_does_not_replace_the_manifest(folder, capsys, verb):
    assert run([*CALLS[verb][0], "--report", "set.csv", "--overwrite"]) == 2
    assert "set.csv: is an image or another input" in capsys.readouterr().err


def test_a_split_does_not_replace_the_manifest_that_it_reads(folder, capsys):
    before = (folder / "set.csv").read_bytes()
    assert run(["split", "set.csv", "-o", "set.csv", "--overwrite", "--folds", "2"]) == 2
    assert "set.csv: is an image or another input" in capsys.readouterr().err
    with pytest.raises(tumorlens.UsageError, match="is an image or another input"):
        tumorlens.split("set.csv", folds=2, output="set.csv", overwrite=True)
    assert (folder / "set.csv").read_bytes() == before


@pytest.mark.parametrize("verb", ["evaluate", "audit", "benchmark"])
def test_json_gets_no_name_of_a_table(folder, capsys, verb):
    words = CALLS[verb][0] if verb in CALLS else ["benchmark"]
    assert run([*words, "--output", "r.csv"]) == 2
    assert "r.csv: --output writes JSON here" in capsys.readouterr().err
    assert not (folder / "r.csv").exists()
