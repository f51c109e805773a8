"""How far long work has come: bars, and lines of a log."""

from __future__ import annotations

import os
import pickle
import pty
import sys

import pytest

from tumorlens.cli import pace, words
from tumorlens.cli.pace import Pace, Pulse


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test sets."""
    now = [100.0]
    monkeypatch.setattr(pace, "perf_counter", lambda: now[0])
    return now


def test_short_work_says_nothing(clock):
    said = []
    line = Pace(said.append, "scoring", "slices")
    for done in range(20):
        clock[0] += 1
        line.tell(done, lambda: 20)
    assert said == []


def test_long_work_says_a_line_now_and_then(clock):
    said = []
    line = Pace(said.append, "scoring", "slices")
    for done in range(1, 101):
        clock[0] += 10
        line.tell(50 * done, lambda: 24_000)
    assert len(said) == 33
    assert said[0] == "scoring: 150 of 24,000 slices after 30 s, about 80 min left"
    assert said[-1] == "scoring: 4,950 of 24,000 slices after 16 min, about 64 min left"


def test_the_first_units_of_many_promise_no_end(clock):
    said = []
    line = Pace(said.append, "scoring", "slices")
    clock[0] += 39
    line.tell(1, lambda: 3_244)
    clock[0] += 31
    line.tell(324, lambda: 3_244)
    assert said == [
        "scoring: 1 of 3,244 slices after 39 s",
        "scoring: 324 of 3,244 slices after 70 s, about 11 min left",
    ]


def test_work_of_unknown_size_says_what_is_done(clock):
    said = []
    line = Pace(said.append, "comparing", "")
    clock[0] += 31
    line.tell(7, lambda: None)
    assert said == ["comparing: 7 after 31 s"]


def test_a_silent_bar_of_long_work_says_lines_without_a_terminal(clock, capsys):
    counted = []

    def total():
        counted.append(1)
        return 4

    with Pulse(words.Voice(), unit="steps") as pulse:
        advance = pulse.count("auditing", total)
        for _ in range(4):
            advance(1)
            clock[0] += 20
    assert capsys.readouterr().err == "auditing: 3 of 4 steps after 40 s, about 13 s left\n"
    assert counted == [1]


def test_a_quiet_voice_says_no_lines(clock, capsys):
    with Pulse(words.Voice(quiet=True)) as pulse:
        advance = pulse.count("auditing", lambda: 4)
        clock[0] += 99
        advance(1)
        pulse.advance("preparing", 0, 9)
        clock[0] += 99
        pulse.advance("preparing", 1, 9)
    assert capsys.readouterr().err == ""


def test_a_pulse_says_sentences_and_counts_with_the_time_of_day(clock, capsys):
    with Pulse(words.Voice(), dated=True) as pulse:
        pulse.say("initial weights: w")
        for done in (1, 2, 3):
            pulse.advance("preparing", done, 8)
            clock[0] += 25
        pulse.advance("scoring", 1, 8)  # another work, another clock
    lines = [line.split(" ", 1) for line in capsys.readouterr().err.splitlines()]
    assert [words for _, words in lines] == [
        "initial weights: w",
        "preparing: 3 of 8 after 50 s, about 83 s left",
    ]
    assert all(len(time) == 8 and time[2] == time[5] == ":" for time, _ in lines)


def test_on_a_terminal_a_bar_makes_way_for_sentences(monkeypatch, capsys):
    monkeypatch.setattr(pace.sys.stderr, "isatty", lambda: True, raising=False)
    with Pulse(words.Voice()) as pulse:
        pulse.advance("preparing", 1, 8)
        assert pickle.loads(pickle.dumps(pulse)).voice == pulse.voice
        pulse.say("training: 12 slices")
        pulse.advance("frozen, epoch 1 of 2", 1, 2)
        pulse.advance("frozen, epoch 1 of 2", 2, 2)
    shown = capsys.readouterr().err
    assert "training: 12 slices\n" in shown
    assert "preparing" in shown


def test_no_bar_where_nobody_looks(capsys):
    def never():
        raise AssertionError("the total was asked for")

    with Pulse(words.Voice(), unit="files") as pulse:
        pulse.count("work", never)(3)
        assert pulse.stream is None
    assert capsys.readouterr() == ("", "")


def test_bar_on_a_terminal_shows_count_rate_and_time():
    shown = on_terminal(
        """
from tumorlens.cli.pace import Pulse
from tumorlens.cli.words import Voice
import time
with Pulse(Voice(), unit="files") as pulse:
    advance = pulse.count("predict", lambda: 4)
    for _ in range(3):
        advance(1)
        time.sleep(0.15)
"""
    )
    assert "predict" in shown
    assert "3/4 files" in shown
    assert "/s" in shown
    assert "0:00:0" in shown


def test_quiet_draws_no_bar_on_a_terminal():
    code = """
from tumorlens.cli.pace import Pulse
from tumorlens.cli.words import Voice
with Pulse(Voice(quiet=True), unit="files") as pulse:
    pulse.count("predict", lambda: 4)(1)
"""
    assert on_terminal(code) == ""


def test_lines_stand_whole_above_the_bar():
    code = """
from tumorlens.cli.pace import Pulse
from tumorlens.cli.words import Voice
with Pulse(Voice(), unit="files", on_output=True) as pulse:
    pulse.count("predict", lambda: 4)(1)
    pulse.stream.write('{"path": "[red]' + "x" * 200 + '"}' + chr(10))
    pulse.stream.flush()
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
