"""A space speaks the recipe's own words, and refuses what does not fit in one line."""

from __future__ import annotations

import pytest

from tumorlens.errors import RecipeError
from tumorlens.training.recipe import read_recipe
from tumorlens.tuning.recipe_files import format_recipe
from tumorlens.tuning.recipe_spaces import Choices, Range, read_space


@pytest.fixture
def read(tmp_path):
    def read(text, recipe="seed"):
        file = tmp_path / "space.toml"
        file.write_text(text, encoding="utf-8")
        return read_space(file, read_recipe(recipe))

    return read


def test_any_field_of_a_recipe_can_be_named(read):
    space = read(
        "weight_decay = { low = 1e-3, high = 0.1, log = true }\n"
        "batch = { low = 8, high = 32 }\n"
        "network.dropout = { low = 0, high = 0.6 }\n"
        "data.class_weights = { choices = [true, false] }\n"
        'network.classes = { choices = [["no_tumor", "tumor"], ["no_tumor", "glioma"]] }\n'
        "[phases.0]\nlearning_rate = { low = 1e-4, high = 1e-2, log = true }\n"
    )
    assert space.axes["weight_decay"] == Range(1e-3, 0.1, log=True)
    assert isinstance(space.axes["batch"].low, int)
    assert isinstance(space.axes["network.dropout"].low, float)
    assert space.axes["data.class_weights"] == Choices(("true", "false"))
    made = space.make_recipe(
        {
            "batch": 24,
            "data.class_weights": "false",
            "network.classes": '["no_tumor", "glioma"]',
            "phases.0.learning_rate": 1e-05,
        }
    )
    assert made.batch == 24
    assert made.data.class_weights is False
    assert made.network.classes == ["no_tumor", "glioma"]
    assert made.phases[0].learning_rate == 1e-5
    assert made.phases[1] == space.base.phases[1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("los.cells = { low = 0, high = 1 }", "did you mean loss.cells"),
        ("loss.cell = { low = 0, high = 1 }", "did you mean loss.cells"),
        ("loss.cell = 3", "the fields of loss are cells, clear"),
        ("phases.7.epochs = { low = 1, high = 2 }", "no such place"),
        ("batch = { low = 1, high = 32 }", "batch must be at least 2"),
        ("batch = { low = 2.5, high = 32 }", "whole numbers"),
        ("network.dropout = { low = 0.5, high = 1.5 }", r"must lie in \[0, 1\]"),
        ('network.head = { choices = ["picture", "banana"] }', "banana"),
        ("network.head = { low = 1, high = 2 }", "no number; give { choices"),
        ("batch = { low = 8, high = 8 }", "low must be below high"),
        ("weight_decay = { low = 0, high = 1, log = true }", "begins above 0"),
        ("weight_decay = { low = 0, high = inf }", "must be numbers"),
        ("weight_decay = { low = 0, high = 1, log = 1 }", "log must be true or false"),
        ("batch = { choices = [8] }", "at least two"),
        ("batch = { low = 8 }", "expected { low"),
        ("batch = 8", "expected { low"),
        ("batch = { low = 8, high = 16, step = 4 }", "expected { low"),
        ("seed = { low = 0, high = 9 }", "a lucky seed is no better recipe"),
        ("data.test = { low = 0, high = 0.5 }", "test rows take no part"),
        ("", "names no key"),
        ("batch = ", "cannot be read as TOML"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(read, text, told):
    with pytest.raises(RecipeError, match=told) as caught:
        read(text)
    assert "space.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_space_that_is_not_there_is_named():
    with pytest.raises(RecipeError, match=r"not-there\.toml: cannot be read"):
        read_space("not-there.toml", read_recipe("seed"))


def test_the_base_is_a_trial_where_its_values_lie_in_the_space(read):
    inside = read(
        'batch = { low = 8, high = 32 }\nnetwork.head = { choices = ["picture", "deep"] }'
    )
    assert inside.describe_base() == {"batch": 16, "network.head": '"picture"'}
    assert inside.make_recipe(inside.describe_base()) == inside.base
    assert read("batch = { low = 20, high = 32 }").describe_base() == {}


@pytest.mark.parametrize("name", ["seed", "release"])
def test_a_recipe_survives_as_toml(name, tmp_path):
    recipe = read_recipe(name, ['summary="a \\"quoted\\" ü line"'])
    file = tmp_path / "again.toml"
    file.write_text(format_recipe(recipe), encoding="utf-8")
    assert read_recipe(file) == recipe
