"""Numbers for series and studies, and how a file holds them."""

from __future__ import annotations

import msgspec
import pytest

from models import write_tiny_model
from study_tables import make_study_model
from tumorlens.errors import ModelFileError
from tumorlens.model.graph import write_model
from tumorlens.model.session import Session
from tumorlens.studies.study_model import SeriesTerms, StudyTerms, parse_study_model


def test_a_file_holds_them_apart_from_the_card(tmp_path):
    plain = write_tiny_model(tmp_path / "plain.onnx")
    assert Session(plain).studies is None
    numbers = make_study_model()
    write_model(plain, tmp_path / "with.onnx", studies=numbers.to_json())
    session = Session(tmp_path / "with.onnx")
    assert parse_study_model(session.studies, "with.onnx") == numbers
    assert session.card == Session(plain).card


def test_fields_of_a_later_version_are_passed_over():
    fields = msgspec.to_builtins(make_study_model()) | {"later": 1}
    assert parse_study_model(msgspec.json.encode(fields), "x") == make_study_model()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "schema 2 is unknown"),
        ({"series": {}}, "must hold 'other'"),
        ({"study_points": {}}, "must hold 'balanced'"),
        ({"series": {"other": {"offset": 0, "weights": {"shape": 1}}}}, "'shape'"),
        ({"study": {"weights": {"T1": 1}, "alike": 0}}, "must hold 'other'"),
        ({"study": {"weights": {"other": 1}, "alike": 2}}, "alike"),
        ({"slice_logit": "high"}, "slice_logit"),
    ],
)
def test_errors_name_file_and_field(change, words):
    fields = msgspec.to_builtins(make_study_model()) | change
    with pytest.raises(ModelFileError, match=f"site.onnx.*{words}"):
        parse_study_model(msgspec.json.encode(fields), "site.onnx")


def test_numbers_that_are_nested_too_deeply_are_refused():
    deep = "[" * 200_000 + "]" * 200_000
    with pytest.raises(ModelFileError, match=r"site\.onnx: its study model .* nested too deeply"):
        parse_study_model(f'{{"more": {deep}}}', "site.onnx")


def test_an_unknown_sequence_takes_the_common_numbers():
    model = make_study_model(
        series={
            "other": SeriesTerms(offset=-1, weights={"quiet": 1}),
            "T1": SeriesTerms(offset=-2, weights={"quiet": 2}),
        }
    )
    features = dict.fromkeys(("top_10mm", "most_30mm", "quiet"), 3.0)
    assert model.weigh_series("T1", features) == 4
    assert model.weigh_series("T2", features) == model.weigh_series(None, features) == 2


def test_a_point_that_only_slices_have_falls_back():
    assert make_study_model().judge_series(0.6, 0, "strict") == "uncertain"


def test_series_are_weighed_by_sequence():
    terms = StudyTerms(offset=0.5, weights={"other": 1, "FLAIR": 2}, alike=0.5)
    assert terms.add_up([("FLAIR", 1.0), ("T1", 3.0)]) == pytest.approx(0.5 + 5 / 2**0.5)
