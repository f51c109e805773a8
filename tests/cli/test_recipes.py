"""``tumorlens recipes``: a list, and each recipe as its file holds it."""

from __future__ import annotations

import pytest

from tumorlens.cli.main import run
from tumorlens.training.recipe import find_recipes, read_recipe


def test_recipes_are_listed_with_what_they_are_for(capsys):
    assert run(["recipes"]) == 0
    shown = capsys.readouterr().out
    for name in find_recipes():
        assert f"{name} " in shown
        assert read_recipe(name).summary in shown


@pytest.mark.parametrize("name", sorted(find_recipes()))
def test_a_recipe_is_printed_as_it_stands(name, tmp_path, capsys):
    assert run(["recipes", name]) == 0
    shown = capsys.readouterr().out
    assert shown == find_recipes()[name].read_text(encoding="utf-8")
    (tmp_path / "copy.toml").write_text(shown, encoding="utf-8")
    assert read_recipe(tmp_path / "copy.toml") == read_recipe(name)


def test_a_file_is_printed_too(tmp_path, capsys):
    file = tmp_path / "mine.toml"
    file.write_text("name = 'mine'\n[[phases]]\nname = 'p'\nepochs = 1\nlearning_rate = 1e-3\n")
    assert run(["recipes", str(file)]) == 0
    assert "name = 'mine'" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "name = 1\n"])
def test_errors_end_with_two(tmp_path, capsys, content):
    file = tmp_path / "bad.toml"
    if content:
        file.write_text(content)
    assert run(["recipes", str(file)]) == 2
    assert "bad.toml" in capsys.readouterr().err
