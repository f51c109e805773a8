"""Numbers for studies, carried along and refitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import make_card
from score_tables import draw_heads
from study_tables import make_study_model
from tumorlens.errors import DataError
from tumorlens.evaluation.calibration import apply_calibration
from tumorlens.evaluation.series_and_studies.labelled_series import weigh_series
from tumorlens.evaluation.series_and_studies.study_calibration import (
    calibrate_held_out,
    calibrate_misses,
    carry_numbers,
    refit_numbers,
)
from tumorlens.evaluation.series_and_studies.study_fitting import list_fit_series
from tumorlens.evaluation.site_calibration import calibrate_model
from tumorlens.model.contract import Calibration
from tumorlens.studies.study_model import SeriesTerms

TERMS = {"other": SeriesTerms(offset=-1, weights={"top_10mm": 0.7, "most_30mm": 0.2, "quiet": 0.4})}


def test_carried_numbers_decide_as_before():
    scores, model = draw_heads(), make_study_model(series=TERMS)
    fitted = Calibration(scale=0.6, offset=0.8)
    before = weigh_series(list_fit_series(scores), model)
    carried = carry_numbers(model, fitted)
    after = weigh_series(list_fit_series(apply_calibration(scores, fitted)), carried)
    assert after == pytest.approx(before, abs=1e-6)


def test_a_refit_shifts_the_numbers_of_the_model():
    off = make_study_model(series={"other": SeriesTerms(offset=-6, weights={"top_10mm": 1.0})})
    new = refit_numbers(off, draw_heads(), slice_middle=0.5)
    assert new.series["other"].offset > -3
    assert new.fitted_on == "a table of the tests; shifted to 40 studies of table"
    assert new.study_points["balanced"] != off.study_points["balanced"]


def test_a_refit_sets_one_point_and_keeps_the_others():
    new = refit_numbers(make_study_model(), draw_heads(), slice_middle=0.5, point="site")
    assert set(new.study_points) == set(new.series_points) == {"balanced", "site"}
    assert new.study_points["balanced"] == make_study_model().study_points["balanced"]


def test_without_numbers_all_are_fitted():
    new = refit_numbers(None, draw_heads(), slice_middle=0.5)
    assert new.fitted_on.startswith("table: 40 series")


def test_calibrate_refits_slices_and_studies_together():
    scores = draw_heads(60)
    calibrated = calibrate_model(make_card(), scores, numbers=make_study_model())
    before, after = calibrated.heads
    assert len(before.studies) == len(after.studies) == 60
    assert "other patients" in after.how
    assert calibrated.numbers.fitted_on.endswith("shifted to 60 studies of table")


def test_too_few_studies_carry_the_numbers_and_say_so():
    scores = draw_heads(60)
    few = [replace(row, sequence="") if int(row.group[8:]) > 12 else row for row in scores.rows]
    model = make_study_model()
    calibrated = calibrate_model(make_card(), replace(scores, rows=tuple(few)), numbers=model)
    assert calibrated.heads is None
    assert calibrated.numbers == carry_numbers(model, calibrated.fitted)
    assert any("were not refitted" in note for note in calibrated.notes)


def test_pictures_without_series_say_nothing_of_studies():
    scores = draw_heads(60)
    rows = tuple(replace(row, sequence="") for row in scores.rows)
    calibrated = calibrate_model(make_card(), replace(scores, rows=rows))
    assert calibrated.numbers is None
    assert calibrated.notes == [] or "series" not in " ".join(calibrated.notes)


def test_misses_set_the_threshold_of_studies_alone():
    model = make_study_model()
    calibrated = calibrate_misses(make_card(), model, draw_heads(80), 0.1, point="screening")
    point = calibrated.numbers.study_points["screening"]
    assert point.low == point.high == calibrated.bound.threshold
    assert calibrated.numbers.study_points["balanced"] == model.study_points["balanced"]
    assert calibrated.numbers.series == model.series
    points = make_card().operating_points
    assert calibrated.card.operating_points == {**points, "screening": points["balanced"]}
    assert "threshold of studies, point screening" in calibrated.card.history[-1].change
    assert calibrated.numbers.history[-1] == calibrated.card.history[-1]


def test_misses_need_numbers():
    with pytest.raises(DataError, match="no threshold of studies to set"):
        calibrate_misses(make_card(), None, draw_heads(80), 0.1)


def test_held_out_scores_give_numbers_and_honest_figures():
    calibrated = calibrate_held_out(make_card(), draw_heads(folds=4))
    assert calibrated.heads.how == "judged with numbers fitted on the other 3 folds"
    assert calibrated.numbers.slice_logit == pytest.approx(0, abs=1e-9)
    assert calibrated.card.version == "0+calibrated.1"
    assert np.isfinite(calibrated.heads.studies.tumor_probability).all()
