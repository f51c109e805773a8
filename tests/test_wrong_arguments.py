"""Every parameter of every public function refuses what it cannot take, by its name."""

from __future__ import annotations

import inspect
from math import nan
from pathlib import Path

import numpy as np
import pytest

import tumorlens
from score_tables import draw_scores

FUNCTIONS = [name for name in tumorlens.__all__ if inspect.isfunction(getattr(tumorlens, name))]

PATHS = [b"file", np.zeros(3), 7, object(), "a\0b"]
WORDS = [7, b"word", ["word"], object()]
SWITCHES = ["no", 1, [], object()]
COUNTS = [0, -3, 1.5, "two", True, [1]]
SEEDS = [-1, 1.5, "one", None, True]
RATES = [0, 1, -0.5, 2, nan, "half", True]
LISTS = ["word", b"word", 7, [7], [None], {"a": 1}]
CALLS = ["print", 7, object()]
CLASSES = ["yes=tumor", ["yes=tumor"], {"yes": 1}, {1: "tumor"}, 7]
FOLDERS = ["banana", 7, ["folder"]]
SETS = [7, None, b"set", object(), ["a", "b"], "a\0b"]

WRONG = {
    "against": [7, None, b"set", object(), [7], [None]],
    "aet": [*WORDS, None],
    "allow_missing": [*SWITCHES, None],
    "at_once": COUNTS,
    "axes": WORDS,
    "activation_volume": PATHS,
    "batch_size": [*COUNTS, None],
    "body_parts": [*LISTS, None, [""]],
    "browser": [*SWITCHES, None],
    "by": [*LISTS, None],
    "calibration_slices": [*COUNTS, None],
    "classes": CLASSES,
    "compare": [*PATHS, [7], []],
    "coverage": [*RATES, None],
    "data": SETS,
    "deidentified": [*SWITCHES, None],
    "descriptions": [*LISTS, None, [""]],
    "device": [*WORDS, "banana"],
    "devices": [*COUNTS, None],
    "nodes": [*COUNTS, None],
    "drop_conflicts": [*SWITCHES, None],
    "engine": [*WORDS, None, "banana"],
    "every": [nan, -1, "often", None],
    "figure": [*WORDS, None, "banana"],
    "finding": [None, 7, draw_scores()],
    "folds": [1, *COUNTS],
    "folds_by": [*FOLDERS, None],
    "folder": [*PATHS, None],
    "force": [*SWITCHES, None],
    "form": ["xx", 7, ["csv"]],
    "fractions": ["0.7", 7, [0.5, "half"], [nan, 1.0], None],
    "heatmaps": PATHS,
    "host": [*WORDS, None],
    "job": ["time=1", 7, [], {1: 2}],
    "keep_all": [*SWITCHES, None],
    "leave_out": [7, [7], None, b"site"],
    "limits": [None, 7],
    "listen": [-1, 2**16, 80.5, "80", True],
    "metrics": PATHS,
    "mirror": [*SWITCHES, None],
    "misses": RATES,
    "modalities": [*LISTS, None, [""]],
    "model": [*PATHS, ["default"]],
    "model_or_scores": [*PATHS, None, [], [7], [draw_scores()]],
    "models": [*PATHS, None, ["default"]],
    "log": [*CALLS, None],
    "loggers": [7, None, b"csv", "banana", ["banana"], [None]],
    "montage": [*SWITCHES, None],
    "nested": [1, -1, 1.5, "two", True],
    "notice": CALLS,
    "objects": [*LISTS, None, ["banana"], []],
    "once": [*SWITCHES, None],
    "on_error": ["banana", None, ["raise"]],
    "operating_point": WORDS,
    "orthanc": WORDS,
    "output": [*PATHS, None],
    "overwrite": [*SWITCHES, None],
    "parity_slices": [*COUNTS, None],
    "paper": [*SWITCHES, None],
    "paths": [None, 7, b"file", [b"file"], [None], np.zeros(3), ["a\0b"]],
    "pause": [nan, -1, "long", None],
    "picture": PATHS,
    "port": [-1, 2**16, 80.5, "80", True, None],
    "prevalence": RATES,
    "progress": CALLS,
    "queue": PATHS,
    "pruner": [*WORDS, None, "banana"],
    "recipe": [*PATHS, None],
    "replicates": [*COUNTS, None],
    "report": PATHS,
    "resume": [*SWITCHES, None],
    "retry_failed": [*SWITCHES, None],
    "runtime": PATHS,
    "runtimes": [*LISTS, None, ["banana"]],
    "scores": [*LISTS, None],
    "seconds": [nan, -1, 0, "long", None, float("inf")],
    "seed": SEEDS,
    "send_to": WORDS,
    "sensitivity": RATES,
    "series_from": FOLDERS,
    "settings": [7, [7], None, b"a=1"],
    "shard": [*WORDS, "banana", "0/2", "3/2", "1/0", "1"],
    "shards": [*PATHS, None, [7], [None]],
    "shared_groups": SWITCHES,
    "skip_unreadable": [*SWITCHES, None],
    "slice_": [None, 7, np.zeros((4, 4))],
    "slices": [*SWITCHES, None],
    "space": [*PATHS, None],
    "specificity": RATES,
    "split": WORDS,
    "storage": [*PATHS, None],
    "store": PATHS,
    "study_from": FOLDERS,
    "summary": [*SWITCHES, None],
    "target": [*WORDS, None, "banana"],
    "teachers": [*LISTS, None],
    "threads": COUNTS,
    "token": WORDS,
    "trials": [*COUNTS, None],
    "twins": SWITCHES,
    "uid_root": [*WORDS, "banana"],
    "weights": PATHS,
    "with_seen": [*SWITCHES, None],
    "x": [None, 7, object(), {"a": 1}],
}
"""Parameter -> values that it refuses, wherever it stands."""

OWN = {
    ("benchmark", "threads"): ["12", 7, [0], [-3], [1.5], None],
    ("split", "output"): PATHS,
    ("calibrate", "operating_point"): [*WORDS, None],
    ("train", "device"): [*WORDS, None, "banana"],
    ("distribute", "model"): [*PATHS, None, ["default"]],
    ("distribute", "operating_point"): [*WORDS, None],
    ("distribute", "shards"): COUNTS,
    ("audit", "model"): PATHS,
    ("export", "data"): [7, None, b"set", object(), [7]],
    ("watch", "folder"): [*LISTS, ["in"], ["in", "out", "more"]],
    ("load_card", "model"): [*PATHS, None, ["default"]],
}
"""What a parameter refuses in one function."""

FILLED = {
    "slice_": tumorlens.Slice(np.ones((8, 8), np.float32), tumorlens.SliceInfo("x")),
    "trials": 3,
}
"""What a call names where it is not about this parameter; else a file that is not there."""

FREE = {"x"}
"""The readers refuse these, in words of their own."""


def list_parameters():
    for name in FUNCTIONS:
        for parameter in inspect.signature(getattr(tumorlens, name)).parameters.values():
            yield name, parameter


def call(name, **given):
    """A call with senseless but well-formed arguments, and those that are given."""
    function, ordered, named = getattr(tumorlens, name), [], {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in given:
            value = given[parameter.name]
        elif parameter.default is inspect.Parameter.empty:
            value = FILLED.get(parameter.name, "not/there")
        else:
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        else:
            ordered.append(value)
    return function(*ordered, **named)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_parameter_refuses_what_it_cannot_take(name):
    escaped = []
    for function, parameter in list_parameters():
        if function != name:
            continue
        for value in OWN.get((name, parameter.name), WRONG[parameter.name]):
            try:
                made = call(name, **{parameter.name: value})
                list(made) if inspect.isgenerator(made) else made
                escaped.append((parameter.name, type(value), "nothing was raised"))
            except tumorlens.TumorlensError as error:
                if parameter.name not in FREE and f"`{parameter.name}" not in str(error):
                    escaped.append((parameter.name, type(value), f"the message is {error}"))
            except Exception as error:
                escaped.append((parameter.name, type(value), repr(error)))
    assert not escaped, "\n".join(map(str, escaped))


def test_a_message_says_what_was_expected_and_what_came():
    with pytest.raises(tumorlens.UsageError) as caught:
        tumorlens.evaluate("default", "set", threads=-3)
    assert str(caught.value) == (
        "`threads=`: expected a whole number of at least 1, or None; got -3"
    )
    with pytest.raises(
        tumorlens.UsageError, match="give the parts one by one: `\\*sets`; got a list"
    ):
        tumorlens.evaluate("default", ["a", "b"])
    with pytest.raises(
        tumorlens.UsageError, match=r"a list of names.*\[\"source\"\].*got 'source'"
    ):
        tumorlens.evaluate(draw_scores(), by="source")


def test_a_call_that_python_refuses_keeps_pythons_words():
    with pytest.raises(TypeError, match=r"calibrate\(\) missing 1 required keyword-only argument"):
        tumorlens.calibrate("default", "set")


def test_scores_refuse_what_only_a_model_can_be_told():
    for option in ({"operating_point": "balanced"}, {"device": "cpu"}, {"twins": True}):
        (name,) = option
        with pytest.raises(tumorlens.UsageError, match=f"`{name}=.*` has no effect on scores"):
            tumorlens.evaluate(draw_scores(), **option)


def test_scores_are_parted_by_split():
    with pytest.raises(tumorlens.DataError, match="no row has the split 'banana'"):
        tumorlens.evaluate(draw_scores(), split="banana")


def test_a_detector_keeps_its_point_and_its_device(tmp_path):
    detector = tumorlens.Detector(threads=1)
    for name, call_ in (
        ("operating_point", lambda: tumorlens.evaluate(detector, tmp_path, operating_point="zz")),
        ("device", lambda: tumorlens.evaluate(detector, tmp_path, device="cpu")),
        ("device", lambda: tumorlens.audit(tmp_path, model=detector, device="cpu")),
    ):
        with pytest.raises(tumorlens.UsageError, match=f"`{name}="):
            call_()


def test_what_is_given_one_by_one_is_named_as_what_it_is():
    with pytest.raises(tumorlens.UsageError, match=r"got a ndarray$"):
        tumorlens.audit(np.zeros((40, 40)))


def test_a_card_is_asked_of_a_detector_itself():
    with pytest.raises(tumorlens.UsageError, match=r"a Detector has its card already"):
        tumorlens.load_card(tumorlens.Detector(threads=1))


@pytest.mark.parametrize(
    "options",
    [
        {"threads": 0},
        {"threads": True},
        {"batch_size": 1.5},
        {"model": None},
        {"model": b"default"},
        {"operating_point": None},
        {"operating_point": ["balanced"]},
        {"providers": "banana"},
        {"providers": 7},
        {"limits": None},
        {"mirror": "no"},
    ],
)
def test_a_detector_refuses_what_it_cannot_take(options):
    with pytest.raises(tumorlens.TumorlensError):
        tumorlens.Detector(**options)


def test_every_parameter_has_wrong_values():
    names = {parameter.name for _, parameter in list_parameters()}
    assert names == set(WRONG)


def test_an_iterator_of_paths_is_checked_as_it_comes(tmp_path):
    with pytest.raises(tumorlens.UsageError, match="`paths="):
        tumorlens.write_records(iter([b"bytes"]), tmp_path / "r.jsonl")


def test_silence_is_allowed(tmp_path):
    Path(tmp_path / "x.txt").write_text("no image")
    with pytest.raises(tumorlens.UsageError, match="no image found"):
        tumorlens.write_records(tmp_path, tmp_path / "r.csv", progress=None, notice=None)
