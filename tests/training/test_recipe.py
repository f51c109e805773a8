"""Recipes: read, changed, saved as used, and refused in their own words."""

from __future__ import annotations

import json
import os

import msgspec
import pytest

from tiny_training import TINY, make_recipe
from tumorlens.errors import RecipeError
from tumorlens.training.recipe import Recipe, find_recipes, read_recipe

RECIPES = sorted(find_recipes())


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_read_and_survives_its_record(name):
    recipe = read_recipe(name)
    assert recipe.name == name
    assert recipe.summary
    record = json.loads(json.dumps(recipe.to_record()))
    assert msgspec.convert(record, Recipe) == recipe


def test_the_record_holds_every_default():
    record = make_recipe().to_record()
    for table, fields in record.items():
        if isinstance(fields, dict) and table != "published":
            assert set(fields) == set(getattr(make_recipe(), table).__struct_fields__)
    assert record["phases"][0]["plateau_factor"] == 0.2
    assert record["weight_decay"] == 0.01


def phase(**changes):
    return {"phases": [{"name": "p", "epochs": 1, "learning_rate": 1e-3, **changes}]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": {"head": "picture"}}, "loss.cells contradicts network.head = 'picture'"),
        ({"loss": {"types": 0.3}}, "loss.types contradicts network.classes"),
        (
            {"data": {"class_weights": True}},
            "data.class_weights contradicts data.sampling = 'balanced'",
        ),
        ({"edits": {"paste": 0.8}}, "edits.paste + edits.decoy + edits.paint must not exceed 1"),
        ({"edits": {"heal": 0.8}}, "edits.heal + edits.decoy must not exceed 1"),
        ({"edits": {"heal": 1.2}}, "edits.heal must lie in [0, 1], got 1.2"),
        ({"augmentation": {"mirror": -0.1}}, "augmentation.mirror must lie in [0, 1]"),
        ({"augmentation": {"rotation": -5}}, "augmentation.rotation must be a number from 0"),
        ({"augmentation": {"gamma": float("nan")}}, "augmentation.gamma must be a number from 0"),
        ({"loss": {"boxes": -1}}, "loss.boxes must be a number from 0, got -1"),
        ({"loss": {"label_smoothing": 2}}, "loss.label_smoothing must lie in [0, 1], got 2"),
        ({"network": {"classes": ["tumor"]}}, "network.classes must begin with 'no_tumor'"),
        ({"network": {"classes": ["no_tumor", "a", "a"]}}, "network.classes holds a class twice"),
        ({"network": {"width": 3}}, "network.width must lie in [0.1, 2], got 3"),
        ({"network": {"hidden": 0}}, "network.hidden must be at least 1, got 0"),
        ({"network": {"head": "table"}}, "Invalid enum value 'table' - at `$.network.head`"),
        ({"data": {"validation": 0}}, "data.validation must lie in (0, 0.9), got 0"),
        (
            {"data": {"test": 0.95}},
            "data.test must be a share under 0.9 or a number of pictures, got 0.95",
        ),
        ({"input": {"size": 100}}, "size must be a multiple of 32, got 100 - at `$.input`"),
        ({"input": {"version": 5}}, "preprocess version 5 is unknown here"),
        ({"batch": 1}, "batch must be at least 2, got 1"),
        ({"average": 1}, "average must lie in [0, 1), got 1"),
        ({"seed": -1}, "seed must lie in [0, 4294967296), got -1"),
        ({"seed": 2**32}, "seed must lie in"),
        ({"weight_decay": -0.1}, "weight_decay must be a number from 0, got -0.1"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"loss": {"cels": 1}}, "unknown field `cels` - at `$.loss`"),
        ({"batch": "many"}, "Expected `int`, got `str` - at `$.batch`"),
        ({"phases": []}, "phases is empty"),
        ({"phases": 2 * phase()["phases"]}, "phases holds a name twice"),
        (phase(epochs=-1), "phase 'p': epochs and draws must not be negative"),
        (phase(learning_rate=0), "phase 'p': learning_rate must be positive"),
        (
            phase(schedule="one_cycle", patience=3),
            "phase 'p': patience contradicts schedule = 'one_cycle'",
        ),
        (
            phase(schedule="plateau", patience=3),
            "patience = 3 ends it before plateau_patience = 3 reduces the rate",
        ),
        (phase(plateau_factor=1.5), "plateau_factor must lie in (0, 1)"),
        (phase(learning_rate=None), "Expected `float`, got `null` - at `$.phases[0]"),
    ],
)
def test_a_contradiction_is_refused_in_the_recipes_own_words(tmp_path, changes, words):
    values = {key: dict(value) if isinstance(value, dict) else value for key, value in TINY.items()}
    for key, value in changes.items():
        values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
    with pytest.raises((msgspec.ValidationError, ValueError)) as caught:
        msgspec.convert(values, Recipe)
    assert words in str(caught.value)


def test_set_changes_values_as_toml_reads_them():
    recipe = read_recipe(
        "release",
        [
            "loss.cells=1.5",
            "input.size=96",
            "phases.0.epochs = 3",
            'network.classes=["no_tumor", "tumor"]',
            "loss.types=0",
            "summary=words without quotes",
            "data.sampling='plain'",
        ],
    )
    assert recipe.loss.cells == 1.5
    assert recipe.input.size == 96
    assert recipe.phases[0].epochs == 3
    assert recipe.network.classes == ["no_tumor", "tumor"]
    assert recipe.summary == "words without quotes"
    assert recipe.data.sampling == "plain"
    assert recipe.augmentation == read_recipe("release").augmentation


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("loss.cells", "expected key=value"),
        ("=1", "expected key=value"),
        ("loss.cels=1", "unknown field `cels`"),
        ("nothing.at.all=1", "unknown field `nothing`"),
        ("phases.7.epochs=1", "no such place"),
        ("phases.first.epochs=1", "no such place"),
        ("name.length=1", "no such place"),
        ("loss.cells=much", "Expected `float`, got `str`"),
        ("data.class_weights=true", "contradicts data.sampling"),
    ],
)
def test_a_change_that_no_recipe_knows_is_refused(change, words):
    with pytest.raises(RecipeError) as caught:
        read_recipe("release", [change])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "near"),
    [
        ("epochs=3", "phases.0.epochs or phases.1.epochs"),
        ("learning_rate=1e-3", "phases.0.learning_rate or phases.1.learning_rate"),
        ("data.size=96", "input.size or phases.0.size or phases.1.size"),
        ("loss.cels=1", "loss.cells"),
        ("los.cells=1", "loss.cells"),
        ("batchsize=4", ""),
        ("bach=4", "batch"),
        ("phases.0.epoch=4", "phases.0.epochs"),
        ("dropuot=0.1", "network.dropout"),
        ("zzz=1", ""),
    ],
)
def test_an_unknown_field_names_the_nearest_and_lists_those_that_there_are(change, near):
    with pytest.raises(RecipeError) as caught:
        read_recipe("seed", [change])
    words = str(caught.value)
    assert words.startswith(f"{change!r}: unknown field ")
    if near:
        assert f"did you mean {near}? the fields of" in words
    assert "the fields of " in words


def test_the_fields_of_the_table_are_listed():
    with pytest.raises(RecipeError, match=r"the fields of phases\.1 are name, epochs, .*patience"):
        read_recipe("seed", ["phases.1.zzz=1"])
    with pytest.raises(RecipeError, match=r"the fields of a recipe are name, summary, seed, batch"):
        read_recipe("seed", ["zzz=1"])


def test_an_unknown_field_of_a_file_names_the_nearest(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n[[phases]]\nname = "a"\nepoch = 3\nlearning_rate = 1e-3\n')
    with pytest.raises(RecipeError, match=r"mine\.toml: unknown field `epoch`; did you mean pha"):
        read_recipe(file)


def test_an_unknown_recipe_lists_the_known():
    with pytest.raises(RecipeError, match=r"neither a file nor a recipe .*release, seed"):
        read_recipe("sead")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"[[phases]\n"])
def test_a_file_that_is_no_toml_is_refused(tmp_path, content):
    file = tmp_path / "mine.toml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match=r"mine\.toml: cannot be read as TOML"):
        read_recipe(file)


DEEP = "[" * 5000 + "]" * 5000


def test_what_is_nested_too_deeply_is_refused(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(f"name = {DEEP}")
    with pytest.raises(RecipeError, match=r"mine\.toml: is nested too deeply"):
        read_recipe(file)
    with pytest.raises(RecipeError, match="is nested too deeply") as caught:
        read_recipe(RECIPES[0], [f"seed={DEEP}"])
    assert len(str(caught.value)) < 300


def test_a_file_too_large_for_a_recipe_is_refused_at_once(tmp_path):
    """A key of 100,000 parts took half a minute."""
    file = tmp_path / "mine.toml"
    file.write_text(f"[{'.'.join(['a'] * 100_000)}]\n")
    with pytest.raises(RecipeError, match=r"mine\.toml: has more than 64 KiB"):
        read_recipe(file)


@pytest.mark.parametrize(
    "change", ["published.auc=nan", "weight_decay=inf", "phases.0.rate=nan", "loss.cells=-inf"]
)
def test_numbers_that_are_not_finite_are_refused(change):
    with pytest.raises(RecipeError, match=change.partition("=")[0].replace(".", r"\.")):
        read_recipe(RECIPES[0], [change])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes as Unix has them")
def test_a_pipe_is_no_recipe(tmp_path):
    os.mkfifo(tmp_path / "mine.toml")
    with pytest.raises(RecipeError, match=r"mine\.toml: cannot be read \(is no regular file\)"):
        read_recipe(tmp_path / "mine.toml")


def test_a_recipe_is_read_from_a_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("name = 'mine'\n[[phases]]\nname = 'p'\nepochs = 1\nlearning_rate = 1e-3\n")
    assert read_recipe(file).name == "mine"
