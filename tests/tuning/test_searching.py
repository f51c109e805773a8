"""`tune` from data to a recipe, and what it refuses before any work."""

from __future__ import annotations

import csv
from dataclasses import replace
from types import SimpleNamespace

import pytest

import tumorlens
from painter import write_manifest
from tiny_training import make_recipe, write_weights
from tumorlens.cli.main import run
from tumorlens.data.manifest import read_data
from tumorlens.training.recipe import read_recipe
from tumorlens.tuning import searching
from tumorlens.tuning.recipe_spaces import read_space
from tumorlens.tuning.searches import Pruned

pytest.importorskip("optuna")


@pytest.fixture
def space(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text("batch = { low = 4, high = 12 }\n", encoding="utf-8")
    return file


def test_folds_and_sources_left_out_contradict_each_other(space, tmp_path):
    options = {"space": space, "trials": 2, "storage": tmp_path / "file.journal"}
    for other in ({"folds": 3}, {"nested": 3}):
        with pytest.raises(tumorlens.UsageError, match="`leave_out=` judges all trials"):
            tumorlens.tune(tmp_path, leave_out="site", **other, **options)


def test_a_wrong_space_is_told_before_the_data_are_read(tmp_path, capsys):
    (tmp_path / "space.toml").write_text("los.cells = { low = 0, high = 1 }\n")
    options = ["--space", str(tmp_path / "space.toml"), "--storage", str(tmp_path / "file.journal")]
    (tmp_path / "empty").mkdir()
    assert run(["tune", str(tmp_path / "empty"), "--trials", "3", *options]) == 2
    assert "did you mean loss.cells" in capsys.readouterr().err
    assert sorted(one.name for one in tmp_path.iterdir()) == ["empty", "space.toml"]


def test_the_first_trials_are_the_papers_recipe_and_the_one_to_change():
    paper = read_recipe("seed")
    changed = read_recipe("seed", ["batch=8"])
    assert searching.list_known(paper, True) == {"seed": paper}
    assert searching.list_known(changed, True) == {"seed": paper, "seed, changed": changed}
    assert list(searching.list_known(make_recipe(), True)) == ["seed", "tiny"]
    assert list(searching.list_known(make_recipe(), False)) == ["tiny"]


@pytest.mark.slow
def test_a_search_leaves_a_recipe_that_train_takes(space, tmp_path):
    recipe = make_recipe(phases=[{"name": "head", "epochs": 1, "draws": 16, "learning_rate": 1e-3}])
    rows = read_data(write_manifest(tmp_path / "data", 48))
    last = max(row.group for row in rows.rows)
    data = rows.with_rows(
        replace(row, split="test" if row.group == last else "") for row in rows.rows
    )
    told = []
    found = tumorlens.tune(
        data, space=space, trials=1, storage=tmp_path / "file.journal", recipe=recipe,
        weights=write_weights(tmp_path / "weights.safetensors"), paper=False, folds=2, nested=2,
        notice=told.append,
    )  # fmt: skip
    assert "2 test slices of 1 groups take no part in the search" in told
    assert [one.recipe for one in found.trials] == ["tiny"]
    assert [gain.nested for gain in (*found.nested_gains, *found.gains)] == [True, False]
    assert read_recipe(found.best_file) == found.best
    with (found.folder / "leaderboard.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 1
    held = (found.folder / "all/0000.csv").read_text()
    assert last not in held
    assert "would seem better by about" in found.warning
    assert not list(found.folder.rglob("model.onnx"))


@pytest.mark.slow
def test_a_trial_that_is_ended_early_trains_no_further_and_leaves_no_files(space, tmp_path):
    from tumorlens.training.request import Request
    from tumorlens.tuning.trials import Task, try_recipe

    told = []

    def report(epoch, value):
        told.append(epoch)
        raise Pruned

    recipe = make_recipe()
    weights = write_weights(tmp_path / "weights.safetensors")
    rows = read_data(write_manifest(tmp_path / "data", 24))
    request = Request(recipe, rows, tmp_path / "runs", weights=(weights,))
    task = Task(
        request, 2, "group", "auc", tmp_path / "runs", read_space(space, recipe), {"tiny": recipe}
    )
    running = SimpleNamespace(number=0, place=0, recipe="tiny", values={}, report=report)
    with pytest.raises(Pruned):
        try_recipe(task, running)
    assert told == [1]
    assert not (tmp_path / "runs/0000").exists()
