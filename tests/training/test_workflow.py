"""`tumorlens.train`: what the command gives, Python gives."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tumorlens
from painter import write_manifest
from tiny_training import make_recipe, write_weights
from tumorlens.cli.main import run
from tumorlens.data.manifest import read_data
from tumorlens.errors import RecipeError, UsageError
from tumorlens.training.journal import read_run
from tumorlens.training.recipe import read_recipe

RECIPE = """
name = "tiny"
batch = 8
[input]
size = 64
[network]
width = 0.35
hidden = 16
[data]
validation = 0.25
[[phases]]
name = "short"
epochs = 1
draws = 8
learning_rate = 1e-3
"""


@pytest.mark.slow
def test_python_gives_the_scores_and_figures_of_the_command(tmp_path):
    near = write_manifest(tmp_path / "near", 13, source="near")
    far = write_manifest(tmp_path / "far", 5, source="far")
    weights = write_weights(tmp_path / "w.safetensors")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    words = [
        "train", near, far, "--recipe", tmp_path / "tiny.toml", "--weights", weights,
        "--output", tmp_path / "command", "--leave-out", "far", "--separate-groups", "--no-twins",
        "--set", "loss.cells=0.5", "--threads", 1, "--quiet",
    ]  # fmt: skip
    assert run([str(word) for word in words]) == 0
    said, counted = [], []
    result = tumorlens.train(
        near,
        read_data(far),
        recipe=tmp_path / "tiny.toml",
        weights=weights,
        output=tmp_path / "python",
        leave_out="far",
        shared_groups=False,
        twins=False,
        settings=["loss.cells=0.5"],
        threads=1,
        notice=said.append,
        progress=lambda what, done, total: counted.append((what, done, total)),
    )
    for name in ("scores.csv", "figures.json"):
        written = (tmp_path / "python" / name).read_bytes()
        assert written == (tmp_path / "command" / name).read_bytes()
    assert read_run(tmp_path / "python") == read_run(tmp_path / "command")
    assert result.model == tmp_path / "python/model.onnx"
    assert len(result.test) == 10
    assert result.evaluation.to_json() == (tmp_path / "python/figures.json").read_text()
    assert result.test_groups == {"tumor": 5, "no_tumor": 5}
    assert not result.test_can_calibrate
    assert said[0] == "initial weights: w.safetensors"
    assert ("preparing", 26, 26) in counted
    assert ("scoring", 10, 10) in counted


def test_a_recipe_may_be_given_as_it_is_and_changed():
    recipe = make_recipe()
    assert read_recipe(recipe) == recipe
    assert read_recipe(recipe, ["loss.cells=0.25"]).loss.cells == 0.25
    with pytest.raises(RecipeError, match="unknown field `cell`"):
        read_recipe(recipe, ["loss.cell=0.25"])


def test_folds_and_sources_left_out_contradict_each_other(tmp_path):
    with pytest.raises(UsageError, match="`folds=` and `leave_out=` contradict each other"):
        tumorlens.train(tmp_path, output=tmp_path / "run", folds=2, leave_out="far")


def test_the_memory_is_settled_before_torch_is_imported(tmp_path):
    """A call from Python must be as fast as the command."""
    code = f"""
import sys, tumorlens
from tumorlens.training import allocator
def watch():
    print("torch" in sys.modules)
    sys.exit()
allocator.keep_large_blocks = watch
tumorlens.train({str(tmp_path / "nothing")!r}, output={str(tmp_path / "run")!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n"
