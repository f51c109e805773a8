"""``tumorlens export``: what is said and written."""

import json
import re
import sys

import pytest

from convolved import write_convolved_model
from sites import write_site
from tumorlens.cli.main import run
from tumorlens.detector import Detector
from tumorlens.exporting.benchmarking.backends import find_backends
from tumorlens.exporting.parity import BARS, Bars


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("edge") / "hospital", patients=40)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_convolved_model(tmp_path_factory.mktemp("edge") / "model.onnx")


def export(model, *words):
    return run(["export", *map(str, (model, *words))])


@pytest.mark.parametrize("target", ["onnx-fp16", "onnx-int8"])
def test_an_export_is_written_and_shown(target, site, model, tmp_path, capsys):
    output, log = tmp_path / "small.onnx", tmp_path / "log.json"
    words = ["--to", target, "--data", site, "--calibration-slices", 30, "--parity-slices", 30]
    assert export(model, *words, "--output", output, "--run-log", log) == 0
    shown = capsys.readouterr().out
    assert "Parity on 30 slices of" in shown
    assert "verdicts equal" in shown
    assert "hospital" in shown
    assert f"tiny 0+{target}" in shown
    assert Detector(output).card.parity.slices == 30
    assert json.loads(log.read_text())["counts"] == {"slices": 60 if target == "onnx-fp16" else 90}


@pytest.mark.skipif("openvino" not in find_backends(), reason="the extra openvino is not installed")
def test_files_that_belong_together_are_named_and_counted(model, tmp_path, capsys):
    output = tmp_path / "model.xml"
    assert export(model, "--to", "openvino", "--force", "--output", output) == 0
    written = list(tmp_path.iterdir())
    shown = capsys.readouterr().out
    assert all(str(file) in shown for file in written)
    assert f"{sum(file.stat().st_size for file in written) / 1e6:.2f} MB" in shown


def test_a_miss_is_told_and_forced(model, site, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(BARS, "int8", Bars(verdicts_equal=1.01))
    output = tmp_path / "small.onnx"
    words = ["--to", "onnx-int8", "--data", site, "--calibration-slices", 30]
    assert export(model, *words, "--output", output) == 2
    shown, told = capsys.readouterr()
    assert "Missed: 100.00 % of the verdicts are equal" in shown
    assert "not written" in told
    assert "of the verdicts are equal, at least 101 % were expected" in told
    assert not output.exists()
    assert export(model, *words, "--output", output, "--force") == 0
    assert "Missed: " in capsys.readouterr().out
    assert "by force" in Detector(output).card.known_failures[0]


def test_integers_without_data(model, tmp_path, capsys):
    assert export(model, "--to", "onnx-int8", "--output", tmp_path / "x.onnx") == 2
    assert "needs --data" in capsys.readouterr().err


def test_an_existing_file_is_kept(model, site, tmp_path, capsys):
    output = tmp_path / "x.onnx"
    output.write_text("mine")
    assert export(model, "--to", "onnx-fp16", "--data", site, "--output", output) == 2
    assert "exists already" in capsys.readouterr().err
    assert output.read_text() == "mine"


def test_a_target_of_another_environment(model, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    line = ["--to", "litert", "--force", "--output", tmp_path / "x.tflite"]
    assert export(model, *line) == 2
    assert "in an environment of its own" in (told := capsys.readouterr().err)
    assert re.search(r"pip install .*\[litert\]", told)


def test_an_export_is_not_exported_again(model, site, tmp_path, capsys):
    half = tmp_path / "half.onnx"
    assert export(model, "--to", "onnx-fp16", "--data", site, "--output", half) == 0
    capsys.readouterr()
    again = tmp_path / "again.onnx"
    assert export(half, "--to", "onnx-int8", "--data", site, "--output", again) == 2
    assert "half.onnx: is an export already; give the model" in capsys.readouterr().err
    assert not again.exists()


def test_the_log_is_no_model(model, tmp_path, capsys):
    one = tmp_path / "one.onnx"
    words = ["--to", "onnx-fp16", "--force", "--output", one, "--run-log", one]
    assert export(model, *words) == 2
    assert "is named for two results" in capsys.readouterr().err
    assert not one.exists()
