"""The common words: one meaning for every verb."""

import json
import signal

import click
import pytest

from models import write_tiny_model
from tumorlens.cli import words
from tumorlens.cli.words import Stopwatch, Voice, make_printable
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
