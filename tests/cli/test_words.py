"""The common words: one meaning for every verb."""

import json
import os
import pty
import signal
import sys

import click
import pytest

from models import write_tiny_model
from tumorlens.cli import words
from tumorlens.cli.words import Stopwatch, Voice, make_printable, open_bar
from tumorlens.errors import UsageError
from tumorlens.model.session import Session
from tumorlens.workers import available_cores
from tumorlens.writing import hold_interrupts


def test_voice_speaks_on_standard_error(capsys):
    Voice().say("words")
    Voice().detail("details")
    Voice(quiet=True).say("never")
    Voice(verbose=True).detail("more")
    shown = capsys.readouterr()
    assert shown.err == "words\nmore\n"
    assert shown.out == ""


def test_quiet_and_verbose_contradict():
    with pytest.raises(UsageError, match="--quiet and --verbose contradict"):
        Voice(quiet=True, verbose=True)


def test_control_characters_do_not_reach_the_terminal():
    assert make_printable("ä b\x1b[2J\n") == "ä b\\x1b[2J\n"


def test_no_bar_where_nobody_looks(capsys):
    def never():
        raise AssertionError("the total was asked for")

    with open_bar(Voice(), "work", never, unit="files") as bar:
        bar.advance(3)
        assert bar.stream is None
    assert capsys.readouterr() == ("", "")


def test_bar_on_a_terminal_shows_count_rate_and_time():
    shown = on_terminal(
        """
from tumorlens.cli.words import Voice, open_bar
import time
with open_bar(Voice(), "predict", lambda: 4, unit="files") as bar:
    for _ in range(3):
        bar.advance(1)
        time.sleep(0.15)
"""
    )
    assert "predict" in shown
    assert "3/4 files" in shown
    assert "/s" in shown
    assert "0:00:0" in shown


def test_quiet_draws_no_bar_on_a_terminal():
    code = """
from tumorlens.cli.words import Voice, open_bar
with open_bar(Voice(quiet=True), "predict", lambda: 4, unit="files") as bar:
    bar.advance(1)
"""
    assert on_terminal(code) == ""


def test_lines_stand_whole_above_the_bar():
    code = """
from tumorlens.cli.words import Voice, open_bar
with open_bar(Voice(), "predict", lambda: 4, unit="files", on_output=True) as bar:
    bar.stream.write('{"path": "[red]' + "x" * 200 + '"}' + chr(10))
    bar.stream.flush()
"""
    assert '{"path": "[red]' + "x" * 200 + '"}' in on_terminal(code).replace("\r\n", "\n")


def on_terminal(code):
    """What a fresh Python prints on a terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-c", code])
    shown = b""
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:  # Linux says so when the child has left
            break
        if not block:
            break
        shown += block
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert status == 0, shown.decode()
    return shown.decode()


def test_an_interrupt_waits_until_the_block_ends():
    steps, before = [], signal.getsignal(signal.SIGINT)  # ignored where tests run in background
    with pytest.raises(KeyboardInterrupt):
        with hold_interrupts():
            signal.raise_signal(signal.SIGINT)
            steps.append("line written")
        steps.append("never")
    assert steps == ["line written"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_does_not_wait():
    steps = []
    with pytest.raises(KeyboardInterrupt), hold_interrupts():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        steps.append("never")
    assert steps == []


def test_run_log(tmp_path):
    path = tmp_path / "log.json"
    Stopwatch().write_log(path, "predict", {"paths": (path,), "threads": None}, counts={"tumor": 2})
    log = json.loads(path.read_text())
    assert log["verb"] == "predict"
    assert log["options"] == {"paths": [str(path)], "threads": None}
    assert (log["device"], log["threads"]) == ("cpu", available_cores())  # what was used
    assert log["counts"] == {"tumor": 2}
    assert log["seconds"] >= 0
    assert {"tumorlens", "python"} <= set(log["versions"])


def test_run_log_says_the_device_and_threads_that_were_used(tmp_path):
    session = Session(write_tiny_model(tmp_path / "m.onnx"))
    path = tmp_path / "log.json"
    options = {"threads": 3, "device": "cuda"}  # the runtime fell back to the CPU
    Stopwatch().write_log(path, "predict", options, counts={}, session=session)
    log = json.loads(path.read_text())
    assert (log["device"], log["threads"]) == ("cpu", 3)
    Stopwatch().write_log(path, "train", options, counts={})
    assert json.loads(path.read_text())["device"] == "cuda"


def test_words_are_handed_over_under_their_names():
    @click.command()
    @words.data_arguments
    @words.model_option
    @words.output_option
    @words.overwrite_option
    @words.report_option
    @words.run_log_option
    @words.device_option
    @words.threads_option
    @words.voice_options
    def command(**options):
        return options

    options = command.main(["a", "b", "-v"], standalone_mode=False)
    assert set(options) == {
        "data",
        "model",
        "output",
        "overwrite",
        "report",
        "run_log",
        "device",
        "threads",
        "verbose",
        "quiet",
    }
    assert (options["model"], options["device"], options["verbose"]) == ("default", "cpu", True)
