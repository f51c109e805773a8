"""Trials in one file: the same after a break, shared by processes, ended early when behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from limits_of_disk import small_files
from tiny_training import make_recipe
from tumorlens.errors import UsageError
from tumorlens.tuning import searches
from tumorlens.tuning.recipe_spaces import Choices, Range, Space
from tumorlens.tuning.searches import Search

pytest.importorskip("optuna")

SPACE = Space(
    make_recipe(),
    {
        "weight_decay": Range(0.001, 0.1, log=True),
        "batch": Range(4, 12),
        "loss.cells": Choices(("0.25", "0.5")),
    },
)


@pytest.fixture
def search(tmp_path):
    def open_search(asked="same", **changes):
        options = {"known": ("seed", "tiny"), "maximize": True, "pruner": "none", "seed": 3}
        return Search(
            journal=tmp_path / "file.journal", folder=tmp_path / "runs", name="all", space=SPACE,
            asked={"data": asked}, **{**options, **changes},
        )  # fmt: skip

    return open_search


def judge(running):
    """Heavy batches do best; the paper's recipe is a trial like any other."""
    return running.values.get("batch", 2) / 12


def test_known_recipes_come_first_and_the_base_has_its_values(search):
    one = search(seed=20_261_130)  # larger than what Optuna's own seeds may be
    one.run(5, judge)
    assert [trial.recipe for trial in one.trials] == ["seed", "tiny", "", "", ""]
    assert one.trials[0].values == {}
    # Its weight decay lies in the space, and so do its others.
    assert one.trials[1].values == SPACE.describe_base()
    assert one.trials[1].values["batch"] == 8
    assert one.best.value == max(trial.value for trial in one.trials)


def test_a_search_goes_on_as_if_it_had_not_been_broken_off(search, tmp_path):
    one = search()
    one.run(14, judge)
    whole = one.trials
    (tmp_path / "file.journal").unlink()
    seen = []

    def stop(running):
        seen.append(running)
        if len(seen) == 6:
            raise KeyboardInterrupt
        return judge(running)

    with pytest.raises(KeyboardInterrupt):
        search().run(14, stop)
    broken = search()
    again = []
    broken.run(14, lambda running: again.append(running) or judge(running))
    assert again[0].values == seen[-1].values
    assert again[0].place == seen[-1].number  # in the same folder, where training resumes
    assert [trial.values for trial in broken.trials] == [one.values for one in whole]
    assert [trial.value for trial in broken.trials] == [one.value for one in whole]


def test_a_killed_process_loses_no_finished_trial(search, tmp_path):
    journal, folder = str(tmp_path / "file.journal"), str(tmp_path / "runs")
    code = f"""
        import os, sys
        sys.path[:0] = [{str(Path(__file__).parent)!r}, *{sys.path!r}]
        from pathlib import Path
        from test_searches import SPACE, judge
        from tumorlens.tuning.searches import Search
        def die(running):
            if running.number == 3:
                os._exit(9)
            return judge(running)
        Search(
            journal=Path({journal!r}), folder=Path({folder!r}), name="all", space=SPACE,
            known=("seed", "tiny"), maximize=True, pruner="none", seed=3, asked={{"data": "same"}},
        ).run(6, die)
    """
    code = textwrap.dedent(code)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    one = search()
    assert len(one.trials) == 3
    ran = []
    one.run(6, lambda running: ran.append(running.place) or judge(running))
    assert ran[0] == 3
    assert len(ran) == 3
    assert [trial.number for trial in one.trials] == list(range(6))  # as if nothing had happened
    assert [trial.state for trial in one.trials] == ["complete"] * 6


def test_a_trial_that_ends_while_another_process_looks_is_left_alone(search, monkeypatch):
    one, other = search(), search()
    with one._lock():
        running = one._begin(6)

    def end_it(path, *, wait):
        if path == one._lock_of(running.number) and running._lock.closed is False:
            one._attempt(running, judge)
        return claim(path, wait=wait)

    claim = searches._claim
    monkeypatch.setattr(searches, "_claim", end_it)
    with other._lock():
        other._recover()  # it saw the trial running
    assert [trial.state for trial in one.trials] == ["complete"]
    assert not one._lock_of(running.number).exists()


def test_a_break_while_a_trial_is_taken_up_again_loses_nothing(search, monkeypatch):
    one, other, done = search(), search(), []
    with one._lock():
        one._begin(3)._lock.close()  # as if it had been killed

    def break_at_the_second(step):
        def call(*given, **options):
            if done:
                raise KeyboardInterrupt
            done.append(step(*given, **options))

        return call

    for name in ("tell", "enqueue_trial"):
        monkeypatch.setattr(other._study, name, break_at_the_second(getattr(other._study, name)))
    with pytest.raises(KeyboardInterrupt):
        other._recover()
    again = search()
    again.run(3, judge)
    assert [trial.state for trial in again.trials] == ["complete"] * 3
    assert [trial.recipe for trial in again.trials] == ["seed", "tiny", ""]


KILLED_IN_WRITING = """
import os
from pathlib import Path
from tumorlens.training.recipe import read_recipe
from tumorlens.tuning.recipe_spaces import Range, Space
from tumorlens.tuning.searches import Search
search = Search(
    journal=Path("place/file.journal"), folder=Path("place/runs"), name="all",
    space=Space(read_recipe("seed"), {{"batch": Range(4, 64)}}), known=("seed",), maximize=True,
    pruner="none", seed=3, asked={{"data": "same"}},
)
def judge(running):
    return running.values.get("batch", 2) / 64
def die(running):
    if running.number == 3:
        os.fsync = lambda file: os.ftruncate(file, os.fstat(file).st_size - 5) or os._exit(9)
    return judge(running)
search.run(6, {attempt})
print([trial.value is not None for trial in search.trials])
"""


def test_a_process_that_is_killed_while_it_writes_stops_no_other(tmp_path):
    """It holds the file's lock then, and leaves half a line; the file lies in another folder."""
    (tmp_path / "place").mkdir()
    done = [
        subprocess.run(
            [sys.executable, "-c", KILLED_IN_WRITING.format(attempt=attempt)],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        )
        for attempt in ("die", "judge")
    ]  # fmt: skip
    assert done[0].returncode == 9
    assert done[1].stdout.strip() == str([True] * 6), done[1].stderr


def test_a_full_disk_is_told_and_loses_nothing(search, tmp_path):
    one = search()
    one.run(3, judge)
    values = [trial.value for trial in one.trials]
    size = (tmp_path / "file.journal").stat().st_size
    with small_files(size + 100), pytest.raises(UsageError, match=r"file\.journal: cannot be wr"):
        search().run(6, judge)
    again = search()
    again.run(6, judge)
    assert [trial.state for trial in again.trials] == ["complete"] * 6
    assert [trial.value for trial in again.trials[:3]] == values


def test_a_trial_that_runs_elsewhere_is_left_alone_and_counts(search):
    one, other = search(), search()
    ran = []

    def meanwhile(running):
        if not ran:
            ran.append(running.number)
            with one._lock():  # another start of the same search, while this trial runs
                other._recover()
                again = other._begin(6)
            assert again.number == 1
            other._attempt(again, judge)
        return judge(running)

    one.run(6, meanwhile)
    assert len(one.trials) == 6
    assert {trial.state for trial in one.trials} == {"complete"}


def test_a_trial_that_is_behind_ends_early_and_a_known_one_never(search):
    one = search(pruner="median")

    def learn(running):
        good = running.recipe == "" and running.number < 8
        for epoch in range(1, 5):
            running.report(epoch, 0.9 if good else 0.1)
        running.report(5, float("nan"))  # one label only: says nothing
        return 0.9 if good else 0.1

    one.run(12, learn)
    states = [trial.state for trial in one.trials]
    assert states[:8] == ["complete"] * 8
    assert set(states[8:]) == {"pruned"}
    assert one.trials[0].curve == {1: 0.1, 2: 0.1, 3: 0.1, 4: 0.1}
    assert 1 < len(one.trials[8].curve) < 4


def test_values_that_contradict_each_other_fail_and_the_search_goes_on(search):
    one = search()

    def refuse(running):
        if running.number == 2:
            raise ValueError("they contradict each other")
        return judge(running)

    one.run(4, refuse)
    assert [trial.state for trial in one.trials] == ["complete"] * 2 + ["failed", "complete"]
    assert one.trials[2].note == "they contradict each other"


def test_another_search_in_the_file_is_refused(search):
    search()
    with pytest.raises(UsageError, match=r"holds a search with other data; name another file"):
        search(asked="other")


def test_keys_that_matter_are_told(search):
    one = search()
    assert one.weigh_keys() == {}
    one.run(16, judge)
    shares = one.weigh_keys()
    assert max(shares, key=shares.get) == "batch"
    assert sum(shares.values()) == pytest.approx(1)


def test_less_is_better_where_the_figure_is_a_loss(search):
    one = search(maximize=False)
    one.run(5, judge)
    assert one.best.value == min(trial.value for trial in one.trials)
