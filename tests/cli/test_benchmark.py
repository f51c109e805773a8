"""``tumorlens benchmark``: a table, a JSON file, a picture."""

import json

import pytest
from PIL import Image

from convolved import write_convolved_model
from tumorlens.cli.main import run


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_convolved_model(tmp_path_factory.mktemp("speed") / "model.onnx")


def benchmark(*words):
    return run(["benchmark", *map(str, words), "--seconds", "0.05", "--threads", "1"])


def test_all_three_results(model, tmp_path, capsys):
    output, plot = tmp_path / "speed.json", tmp_path / "speed.png"
    assert benchmark(model, "--output", output, "--plot", plot) == 0
    shown = capsys.readouterr().out
    assert "int8 is" in shown or "instruction sets are unknown" in shown
    assert "beside its roofline" in shown
    assert "(decode + network)" in shown
    record = json.loads(output.read_text())
    assert (record["schema"], record["kind"]) == (1, "benchmark")
    (result,) = record["results"]
    assert result["model"] == "tiny 0"
    assert set(result["measured"]) == {
        *("bytes", "load", "network", "prepare", "bare", "whole", "throughput", "memory", "joules"),
    }
    with Image.open(plot) as picture:
        assert picture.format == "PNG"
        assert picture.width > 500


def test_one_row_of_the_whole_slice_for_each_model(model, capsys):
    assert benchmark(model, "--threads", "2") == 0
    network, whole = capsys.readouterr().out.split("A slice in ONNX Runtime")
    assert network.count("tiny 0") == 4  # two tables of the network
    assert whole.count("tiny 0") == 1


def test_a_picture_of_ones_own_and_its_absence(model, tmp_path, capsys):
    assert benchmark(model, "--picture", tmp_path / "none.jpg") == 2
    assert "none.jpg: cannot be read" in capsys.readouterr().err


def test_no_model_is_measured_over_an_existing_file(model, tmp_path, capsys):
    plot = tmp_path / "speed.png"
    plot.write_text("mine")
    assert benchmark(model, "--plot", plot) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no picture", "it is a text file"), (b"", "it is an empty file")],
)
def test_a_picture_that_cannot_be_judged_is_named_before_anything_is_measured(
    model, tmp_path, capsys, content, reason
):
    (tmp_path / "slice.jpg").write_bytes(content)
    assert benchmark(model, "--picture", tmp_path / "slice.jpg") == 2
    assert f"slice.jpg: cannot be judged, {reason}; give a JPEG" in capsys.readouterr().err


def test_two_results_are_two_files(model, tmp_path, capsys):
    one = tmp_path / "one.json"
    assert benchmark(model, "--output", one, "--plot", one) == 2
    assert "is named for two results" in capsys.readouterr().err
    assert not one.exists()


def test_no_number_of_seconds(model, capsys):
    assert run(["benchmark", str(model), "--seconds", "nan"]) == 2
    assert "--seconds: expected a number of seconds above 0; got nan" in capsys.readouterr().err
