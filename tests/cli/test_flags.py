"""Messages of the library speak of parameters; the command line shows their flags."""

import ast
import re
from pathlib import Path

import click
import pytest

import tumorlens
from tumorlens.cli.flags import spell_flags
from tumorlens.cli.main import VERBS, app, run

SOURCES = Path(tumorlens.__file__).parent
BELOW = [path for path in sorted(SOURCES.rglob("*.py")) if "cli" not in path.parts]
STILL_FLAGS = {
    "training/finishing/cards.py",  # the command that gives a figure, kept in the card
    "predicting/engines/submission.py",  # the arguments of Slurm's own programs
}
"""Modules that name flags for a reason, and no others may."""


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("give `overwrite=True`", "give --overwrite"),
        ("give `twins=False`", "give --no-twins"),
        ("give `operating_point=`", "give --operating-point"),
        ('`device="cuda"`, `folds=5`', "--device cuda, --folds 5"),
        ("`shared_groups=True` or `shared_groups=False`", "--shared-groups or --separate-groups"),
        ("`classes=`, `form='csv'`", "--map, --format csv"),
        ("a `name` and a=b stay", "a `name` and a=b stay"),
    ],
)
def test_parameters_become_flags(message, told):
    assert spell_flags(message) == told


def test_an_error_of_the_library_names_the_flag_on_the_command_line(tmp_path, capsys):
    (tmp_path / "set.csv").touch()
    assert run(["seen", "default", "x.png", "-o", str(tmp_path / "set.csv")]) == 2
    assert "give --overwrite\n" in capsys.readouterr().err


def test_no_message_below_the_command_names_a_flag():
    for path in BELOW:
        named = [text for text in _texts(path) if re.search(r"(^|[\s'(])--[a-z]", text)]
        assert not named or path.relative_to(SOURCES).as_posix() in STILL_FLAGS, (path, named)


def test_every_parameter_that_a_message_names_is_a_flag_of_the_command():
    known = {word for verb in VERBS for word in _words(_command(verb))}
    known |= {"--axes", "--providers"}  # of arrays and of a Detector, which only Python has
    for path in BELOW:
        for text in _texts(path):
            for name in re.findall(r"`([a-z][a-z_]*)=", text):  # its value may be filled in
                assert spell_flags(f"`{name}=`") in known, (path, name)


def _texts(path):
    """What a module may say: its strings, without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        said = isinstance(node, ast.Constant) and id(node) not in silent
        if said and isinstance(node.value, str):
            yield node.value


def _command(verb):
    return app.get_command(click.Context(app), verb)


def _words(command):
    for one in getattr(command, "commands", {}).values():
        yield from _words(one)
    for option in command.params:
        yield from (*option.opts, *option.secondary_opts)
