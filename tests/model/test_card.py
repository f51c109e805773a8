"""The card: one strict schema whose errors name the field, and the table of verdicts."""

from __future__ import annotations

import json

import pytest

from models import make_card
from tumorlens.errors import ModelFileError, UsageError
from tumorlens.model.card import Figure, OperatingPoint, parse_card


def write_card(**changes):
    """The small card as JSON, with fields replaced, or removed where None."""
    values = json.loads(make_card().to_json())
    for key, value in changes.items():
        if value is None:
            del values[key]
        else:
            values[key] = value
    return json.dumps(values)


def test_a_card_survives_its_file():
    figure = Figure(name="AUC", data="painted", split="left out", value=0.9, slices=20, groups=10)
    card = make_card(figures=[figure], known_failures=["sagittal slices"])
    assert parse_card(card.to_json(), "m.onnx") == card


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "missing required field `name`"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"schema": "one"}, "Expected `int`, got `str` - at `$.schema`"),
        ({"schema": 2}, "schema 2 is unknown here"),
        ({"classes": ["tumor", "no_tumor"]}, "classes must begin with 'no_tumor'"),
        ({"classes": ["no_tumor"]}, "classes must begin with 'no_tumor'"),
        ({"tumor_classes": []}, "tumor_classes must be the classes after"),
        ({"operating_points": {}}, "operating_points must hold 'balanced'"),
        ({"cell_threshold": 1.0}, "cell_threshold lies in (0, 1)"),
        (
            {"operating_points": {"balanced": {"low": 0.6, "middle": 0.5, "high": 0.7}}},
            "low <= middle <= high <= 1, got 0.6, 0.5, 0.7 - at `$.operating_points[...]`",
        ),
        ({"preprocess": {"version": 9, "size": 64}}, "version 9 is unknown here"),
        ({"preprocess": {"version": 9, "size": 64}}, "at `$.preprocess`"),
        ({"preprocess": {"size": 63}}, "size must be a multiple of 32, got 63 - at `$.preprocess`"),
        ({"figures": [{"name": "AUC"}]}, "missing required field `data` - at `$.figures[0]`"),
        ({"training": {"groups": "many"}}, "at `$.training.groups`"),
        ({"history": [{"date": 5}]}, "at `$.history[0].date`"),
    ],
)
def test_an_error_names_file_and_field(changes, words):
    with pytest.raises(ModelFileError) as caught:
        parse_card(write_card(**changes), "some/model.onnx")
    assert words in str(caught.value)
    assert str(caught.value).startswith("some/model.onnx: its card does not fit the schema")


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(ModelFileError, match="does not fit the schema"):
        parse_card(text, "model.onnx")


POINT = OperatingPoint(low=0.3, middle=0.5, high=0.7)


@pytest.mark.parametrize(
    ("chance", "unfamiliarity", "verdict"),
    [
        (0.0, 0.0, "no_tumor"),
        (0.2999, 1.0, "no_tumor"),
        (0.3, 0.5, "uncertain"),
        (0.6999, 0.5, "uncertain"),
        (0.7, 0.5, "tumor"),
        (1.0, 1.0, "tumor"),
        (0.0, 1.001, "unfamiliar"),
        (1.0, 1.001, "unfamiliar"),
    ],
)
def test_verdicts(chance, unfamiliarity, verdict):
    assert POINT.judge(chance, unfamiliarity) == verdict


def test_equal_thresholds_leave_nothing_uncertain():
    point = OperatingPoint(low=0.5, middle=0.5, high=0.5)
    assert [point.judge(chance, 0) for chance in (0.4999, 0.5)] == ["no_tumor", "tumor"]


def test_an_unknown_operating_point_lists_the_known():
    with pytest.raises(UsageError, match="no operating point 'strict'; it has balanced"):
        make_card().find_operating_point("strict")


def test_a_value_without_end_does_not_fill_the_terminal():
    text = make_card().to_json().replace('"schema"', f'"{"x" * 100_000}"', 1)
    with pytest.raises(ModelFileError) as caught:
        parse_card(text, "m.onnx")
    said = str(caught.value)
    assert len(said) < 4000
    assert said.startswith("m.onnx: its card does not fit") and said.endswith("changed by hand")
