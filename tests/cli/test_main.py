"""The command as a whole: verbs, exit codes, start-up, completion."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from models import write_tiny_model
from tumorlens.cli import main
from tumorlens.cli.main import VERBS, app, run
from tumorlens.errors import InputError, UsageError
from tumorlens.version import __version__

TESTS = Path(__file__).resolve().parents[1]


def run_process(*words, **options):
    """The command in a fresh process, as a shell starts it."""
    return subprocess.run(
        [sys.executable, "-m", "tumorlens", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_exist_and_explain_themselves(verb):
    module = f"tumorlens.cli.verbs.{verb.replace('-', '_')}"
    assert find_spec(module)
    command = app.get_command(click.Context(app), verb)
    assert isinstance(command, click.Command)
    assert command.help
    assert VERBS[verb].endswith(".")
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{verb} {option.name}"


def test_help_lists_verbs_without_importing_them(capsys):
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb in VERBS:
        assert f"  {verb} " in shown
    assert "For research only" in shown


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"tumorlens, version {__version__}\n"


@pytest.mark.parametrize("words", [[], ["nope"], ["predict"], ["predict", "--nope", "x"]])
def test_a_wrong_line_is_2_and_says_how_to_go_on(words, capsys):
    assert run(words) == 2
    shown = capsys.readouterr().err
    assert "Usage: tumorlens" in shown


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("too much"), 2, "tumorlens: too much\n"),
        (
            InputError("a.png", "is empty", "look at it"),
            2,
            "tumorlens: a.png: is empty; look at it",
        ),
        (KeyboardInterrupt(), 130, "tumorlens: interrupted"),
        (click.Abort(), 130, "tumorlens: interrupted"),
    ],
)
def test_errors_become_exit_codes_and_one_line(error, code, words, capsys, monkeypatch):
    def fail():
        raise error

    monkeypatch.setattr(app, "get_command", lambda *_: click.Command("fail", callback=fail))
    assert run(["fail"]) == code
    shown = capsys.readouterr().err
    assert words in shown
    assert "Traceback" not in shown


def test_what_a_verb_returns_is_the_exit_code(monkeypatch):
    command = click.Command("some", callback=lambda: 1)
    monkeypatch.setattr(app, "get_command", lambda *_: command)
    assert run(["some"]) == 1


def test_a_left_pipe_ends_quietly():
    script = f"{sys.executable} -m tumorlens predict --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    assert done.stdout.strip() in ("0", "1")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell):
    environment = {**os.environ, "_TUMORLENS_COMPLETE": f"{shell}_source"}
    done = run_process(env=environment)
    assert "_TUMORLENS_COMPLETE" in done.stdout


def test_completion_offers_verbs_and_options():
    environment = {
        **os.environ,
        "_TUMORLENS_COMPLETE": "bash_complete",
        "COMP_WORDS": "tumorlens pre",
        "COMP_CWORD": "1",
    }
    assert run_process(env=environment).stdout.split() == ["plain,predict"]


def test_exit_codes_are_those_of_the_contracts():
    codes = (main.DONE, main.FAILED_IN_PART, main.NOTHING_DONE, main.INTERRUPTED)
    assert codes == (0, 1, 2, 130)


def test_light_verbs_load_no_heavy_library():
    code = """
import sys
from tumorlens.cli.main import run
for words in (["--version"], ["--help"], ["info", "--json"], ["info"]):
    run(words)
heavy = {"onnxruntime", "pydicom", "nibabel", "torch", "sklearn", "matplotlib", "onnx"}
print("HEAVY", *heavy & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY"


def test_predict_of_a_picture_loads_neither_pydicom_nor_nibabel(tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from tumorlens.cli.main import run
from heads import write_folder
folder = Path({str(tmp_path)!r})
write_folder(folder, 1, 0)
run(["predict", str(folder / "t0.png"), "--model", {str(tmp_path / "m.onnx")!r}])
heavy = {{"pydicom", "nibabel", "torch", "sklearn", "matplotlib", "onnx", "rich.progress"}}
print("HEAVY", *heavy & set(sys.modules))
"""
    write_tiny_model(tmp_path / "m.onnx")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY"
    assert '"verdict": "tumor"' in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
@pytest.mark.parametrize("words", [["--version"], ["info"], ["recipes"], ["data", "list"]])
def test_an_output_that_is_full_is_one_line(words):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "tumorlens", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith("tumorlens: standard output: No space left on device;")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="a folder in use cannot be removed")
def test_a_current_folder_that_is_gone_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run(["predict", "."]) == 2
    assert "the current folder is gone; change to" in capsys.readouterr().err


def test_closed_streams_are_no_crash():
    line = f"{sys.executable} -m tumorlens info >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], check=False).returncode == 0


def test_errors_bring_no_control_characters_to_the_terminal(capsys):
    assert run(["predict", "x", "--output", "/nowhere/\x07red"]) == 2
    assert "\x07" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("predcit", "predict"), ("calibarte", "calibrate"), ("evalute", "evaluate"), ("zzzz", "")],
)
def test_an_unknown_verb_is_told_with_the_nearest(capsys, typed, meant):
    assert run([typed, "x"]) == 2
    shown = capsys.readouterr().err
    assert f"no verb {typed!r}" in shown
    assert (f"did you mean {meant}?" in shown) == bool(meant)
    assert " verbs are predict, " in shown.replace("\n", " ")
