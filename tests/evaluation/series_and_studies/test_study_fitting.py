"""Numbers fitted on held-out scores; nothing is reported on what it was fitted on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from score_tables import draw_heads, make_rows, make_scores
from study_tables import make_study_model
from tumorlens.errors import DataError
from tumorlens.evaluation.series_and_studies import study_fitting
from tumorlens.evaluation.series_and_studies.study_fitting import (
    fit_study_model,
    judge_crosswise,
    judge_heads,
    list_fit_series,
)


def test_fitted_numbers_tell_new_heads_apart():
    model = fit_study_model(list_fit_series(draw_heads()), slice_middle=0.5, data="site")
    judged = judge_heads(draw_heads(seed=9), model)
    right = (judged.series.tumor_probability >= 0.5) == judged.series.tumor
    assert right.mean() > 0.9
    assert "fitted on site: 40 series, 40 studies, 20 patients with and 20 without" in judged.how


def test_no_series_is_judged_by_numbers_fitted_on_its_patient(monkeypatch):
    fitted = []
    real = study_fitting.fit_study_model

    def watch(series, **options):
        fitted.append({one.row.group_key for one in series})
        return real(series, **options)

    monkeypatch.setattr(study_fitting, "fit_study_model", watch)
    held = []
    weigh = study_fitting.weigh_series

    def note(series, model):
        held.append({one.row.group_key for one in series})
        return weigh(series, model)

    monkeypatch.setattr(study_fitting, "weigh_series", note)
    judged = judge_crosswise(draw_heads())
    assert len(judged.series) == 40
    assert len(held) == len(fitted) == 5
    assert all(not (one & rest) for one, rest in zip(held, fitted, strict=True))
    assert set().union(*held) == {f"patient-{n}" for n in range(40)}
    assert judged.how == "judged with numbers fitted on other patients"


def test_folds_of_the_scores_are_used():
    judged = judge_crosswise(draw_heads(folds=4))
    assert judged.how == "judged with numbers fitted on the other 3 folds"
    assert sorted(set(judged.series.fold)) == ["0", "1", "2", "3"]
    judged = judge_crosswise(draw_heads(folds=4), by_fold=False)
    assert judged.how == "judged with numbers fitted on other patients"


def test_shuffled_labels_tell_nothing():
    scores = draw_heads(patients=60)
    names = {f"patient-{n}": f"patient-{m}" for n, m in zip(range(60), _shuffle(60), strict=True)}
    by_group = {}
    for row in scores.rows:
        by_group.setdefault(row.group, []).append(row.label)
    seen: dict[str, int] = {}
    rows = []
    for row in scores.rows:
        place = seen.setdefault(row.group, 0)
        seen[row.group] += 1
        rows.append(replace(row, label=by_group[names[row.group]][place]))
    judged = judge_crosswise(replace(scores, rows=tuple(rows)))
    ill = judged.series.tumor_probability[judged.series.tumor]
    well = judged.series.tumor_probability[~judged.series.tumor]
    wins = (ill[:, None] > well[None]).mean()
    assert 0.25 < wins < 0.75


def test_small_lesions_stay_in_their_series():
    scores = draw_heads()
    rows = [
        replace(row, source="tcga_lgg", note="90 tumor pixels" if row.label == "tumor" else "")
        for row in scores.rows
    ]
    series = list_fit_series(replace(scores, rows=tuple(rows)))
    assert {one.slices for one in series} == {20}


def test_too_few_patients_are_refused_with_the_number():
    with pytest.raises(DataError, match=r"4 patients with series labelled tumor; expected.* 10"):
        fit_study_model(list_fit_series(draw_heads(8)), slice_middle=0.5, data="site")
    assert "4 patients" in judge_heads(draw_heads(8), None)


def test_a_table_without_series_says_nothing():
    pictures = make_scores(make_rows(["g001"] * 4, [True, False] * 2), np.full(4, 0.5))
    assert judge_heads(pictures, None) == judge_heads(pictures, make_study_model()) == ""


def _shuffle(count: int) -> list[int]:
    return np.random.default_rng(1).permutation(count).tolist()
