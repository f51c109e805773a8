"""Each verb of the command, and what a Python user calls for the same result."""

from __future__ import annotations

import json

import pytest
from PIL import Image

import tumorlens
from brains import paint_brain
from models import write_tiny_model
from sites import write_site
from tumorlens.cli.main import VERBS, run
from tumorlens.data.choosing import group_copies
from tumorlens.data.public_sets.downloads import read_download
from tumorlens.imaging.pixels.fingerprint import fingerprint_slice
from tumorlens.imaging.readers import read_slice
from tumorlens.model.seen_entry import encode_fingerprints
from tumorlens.training.recipe import find_recipes, read_recipe

ELSEWHERE = {"mcp", "merge", "serve", "train", "tune", "view", "watch", "web"}
"""Verbs whose Python function is tried where their own tests are, for they take long."""


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """Eight pictures in class folders; two of them are copies of others."""
    folder = tmp_path_factory.mktemp("verbs") / "copies"
    for number in range(6):
        place = folder / ("yes" if number % 2 else "no")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(paint_brain(number)).save(place / f"{number}.png")
    for number in (0, 1):
        place = folder / ("yes" if number % 2 else "no")
        picture = Image.open(place / f"{number}.png")
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(place / f"{number}-copy.png")
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("verbs") / "hospital", patients=24)


@pytest.fixture(scope="module")
def model(tmp_path_factory, copies):
    fingerprints = encode_fingerprints([fingerprint_slice(read_slice(copies / "no" / "0.png"))])
    return write_tiny_model(tmp_path_factory.mktemp("verbs") / "tiny.onnx", seen=fingerprints)


@pytest.fixture
def command(tmp_path):
    """Runs a verb with --output, and gives what it wrote."""

    def call(verb, *words, output="command.json", code=0):
        target = tmp_path / output
        assert run([verb, *map(str, words), "--output", str(target)]) == code
        return target

    return call


def test_every_verb_is_tried_here():
    tried = {
        name.removeprefix("test_python_gives_") for name in globals() if "_python_gives_" in name
    }
    assert tried | ELSEWHERE == set(VERBS)


def test_python_gives_predict(copies, model, command, tmp_path):
    written = command("predict", copies, "--model", model, output="command.jsonl")
    tumorlens.write_records(copies, tmp_path / "python.jsonl", model=model)
    timeless = [
        [{**json.loads(line), "seconds": 0} for line in file.read_text().splitlines()]
        for file in (written, tmp_path / "python.jsonl")
    ]
    assert timeless[0] == timeless[1]
    assert len(timeless[0]) == 8


def test_python_gives_seen(copies, model, command):
    answers = json.loads(command("seen", model, copies).read_text())["slices"]
    assert [one.to_record() for one in tumorlens.seen(model, copies)] == answers
    assert sum(one["seen"] for one in answers) == 2


def test_python_gives_evaluate(copies, model, command):
    heard = []
    written = command("evaluate", model, copies, "--replicates", "100", "--seed", "3")
    found = tumorlens.evaluate(
        model, copies, replicates=100, seed=3, notice=heard.append,
        progress=lambda what, done, total: heard.append((what, done, total)),
    )  # fmt: skip
    assert found.to_json() == written.read_text(encoding="utf-8")
    as_is = next(part for part in found.parts if part.seen == "as_is")
    assert (as_is.slices, as_is.groups, as_is.slices_seen) == (8, 6, 2)
    assert "8 of 8 slices had no group; 8 pictures are 6 different ones" in heard
    assert ("scoring slices", 8, 8) in heard


def test_scores_serve_as_the_model_does(copies, model, tmp_path):
    scores = tumorlens.score(model, copies)
    assert len(set(scores.group)) == 6
    assert scores.seen.sum() == 2
    options = {"replicates": 100}
    once = tumorlens.evaluate(model, copies, **options)
    assert tumorlens.evaluate(scores, **options).parts == once.parts
    compared = tumorlens.evaluate(model, copies, compare=scores, **options)
    assert compared.leading.differences[0].value == 0
    with pytest.raises(tumorlens.UsageError, match="either a model and data, or scores"):
        tumorlens.evaluate(scores, copies)
    with pytest.raises(tumorlens.UsageError, match="a model needs data"):
        tumorlens.evaluate(model)


def test_what_cannot_be_read_is_told(copies, model, tmp_path):
    manifest = tmp_path / "manifest.csv"
    (tmp_path / "bad.png").write_bytes(b"no picture")
    good = copies / "yes" / "1.png"
    manifest.write_text(f"path,label,group\n{good},tumor,a\nbad.png,no_tumor,b\n")
    heard = []
    tumorlens.evaluate(model, manifest, replicates=100, notice=heard.append)
    assert "bad.png" in heard[0]
    assert heard[1] == "1 of 2 slices could not be read, and the figures leave them out"


def test_python_gives_calibrate(site, model, command, tmp_path):
    point = ("--operating-point", "screening", "--sensitivity", "0.9")
    written = command("calibrate", model, site, *point, output="command.onnx")
    calibrated = tumorlens.calibrate(
        model,
        tumorlens.split(site, folds=2),
        output=tmp_path / "python.onnx",
        operating_point="screening",
        sensitivity=0.9,
    )
    assert calibrated.card == tumorlens.load_card(tmp_path / "python.onnx")
    assert written.read_bytes() == (tmp_path / "python.onnx").read_bytes()
    with pytest.raises(tumorlens.UsageError, match="exists already"):
        tumorlens.calibrate(model, site, output=written)
    with pytest.raises(tumorlens.UsageError, match="not both"):
        tumorlens.calibrate(model, site, output="x.onnx", misses=0.1, sensitivity=0.9)


def test_the_old_name_of_the_operating_point_still_works(site, model, command, capsys):
    written = command("calibrate", model, site, "--name", "screening", output="named.onnx")
    assert "screening" in tumorlens.load_card(written).operating_points
    assert run(["calibrate", "--help"]) == 0
    assert "--name" not in capsys.readouterr().out


def test_python_gives_audit(copies, site, model, command):
    written = command("audit", copies, "--against", site, "--model", model)
    found = tumorlens.audit(copies, against=site, model=model)
    assert found.to_json() == written.read_text(encoding="utf-8")


def test_python_gives_split(copies, command, tmp_path):
    written = command("split", copies, "--folds", "3", "--seed", "1", output="command.csv")
    heard = []
    parted = tumorlens.split(
        copies, folds=3, seed=1, output=tmp_path / "python.csv", notice=heard.append
    )
    assert (tmp_path / "python.csv").read_text() == written.read_text()
    assert len(parted.groups) == 6
    assert heard[0].startswith("8 of 8 slices had no group")
    with pytest.raises(tumorlens.UsageError, match=r"exists already.*`overwrite=True`"):
        tumorlens.split(copies, output=tmp_path / "python.csv")


def test_python_gives_export(site, model, command, tmp_path):
    words = ("--to", "onnx-fp16", "--data", site, "--parity-slices", "20")
    written = command("export", model, *words, output="command.onnx")
    export = tumorlens.export(
        model, "onnx-fp16", tmp_path / "python.onnx", data=site, parity_slices=20
    )
    assert export.path.read_bytes() == written.read_bytes()
    assert export.report.parity.slices == 20
    with pytest.raises(tumorlens.UsageError, match="unknown target"):
        tumorlens.export(model, "onnx-fp17", "x.onnx")


def test_python_gives_benchmark(model, command):
    options = ("--seconds", "0.05", "--threads", "1", "--runtime", "onnxruntime")
    record = json.loads(command("benchmark", model, *options).read_text())
    found = tumorlens.benchmark(model, seconds=0.05, threads=[1], runtimes=["onnxruntime"])
    told = json.loads(found.to_json())
    for one in (record, told):
        for result in one["results"]:
            del result["measured"], result["roofline"]
    assert told["results"] == record["results"]
    with pytest.raises(tumorlens.UsageError, match="unknown backend"):
        tumorlens.benchmark(model, runtimes=["abacus"])


def test_python_gives_card(model, command):
    page = command("card", model, output="command.md").read_text(encoding="utf-8")
    card = tumorlens.load_card(model)
    assert card.full_name in page
    assert card.license in page


def test_python_gives_data(copies, command, tmp_path):
    written = command("data", "add", "navoneel", copies, output="command.csv")
    group_copies(read_download("navoneel", copies)).write(tmp_path / "python.csv")
    assert (tmp_path / "python.csv").read_text() == written.read_text()


def test_python_gives_recipes(capsys):
    assert run(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(find_recipes())
    assert all(isinstance(read_recipe(name), tumorlens.Recipe) for name in find_recipes())


def test_python_gives_info(capsys):
    assert run(["info", "--json"]) == 0
    assert tumorlens.info().to_record() == json.loads(capsys.readouterr().out)
