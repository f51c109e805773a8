"""Series and studies of a table of scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from score_tables import make_rows, make_scores
from study_tables import make_study_model
from tumorlens.evaluation.scores import as_text
from tumorlens.evaluation.series_and_studies.labelled_series import (
    list_series,
    list_studies,
    score_series,
    score_studies,
    weigh_series,
)

MODEL = make_study_model()


def make_heads(**patients):
    """``name=(slices, tumor slices)``: FLAIR of each patient, slices from foot to head."""
    group, tumor, position, chance = [], [], [], []
    for name, (slices, ill) in patients.items():
        marks = np.zeros(slices, bool)
        marks[5 : 5 + ill] = True
        group += [name] * slices
        tumor += marks.tolist()
        position += np.linspace(0, 1, slices).tolist()
        chance += np.where(marks, 0.95, 0.05).tolist()
    return make_scores(make_rows(group, tumor, position), np.array(chance))


def relabel(scores, **columns):
    """The scores with other values in a column of their rows, a list or one for all."""
    rows = []
    for index, row in enumerate(scores.rows):
        values = {k: v[index] if isinstance(v, list) else v for k, v in columns.items()}
        rows.append(replace(row, **values))
    return replace(scores, rows=tuple(rows))


def test_slices_of_a_patient_and_sequence_are_a_series():
    series = list_series(make_heads(ada=(20, 6), bob=(25, 0)))
    assert [(s.row.group, s.row.label, s.slices) for s in series] == [
        ("ada", "tumor", 20),
        ("bob", "no_tumor", 25),
    ]
    assert series[0].positions[-1] == pytest.approx(160)


def test_positions_in_mm_come_first():
    scores = make_heads(ada=(20, 6))
    told = relabel(scores, extra=[(("position_mm", f"{2.0 * i}"),) for i in range(20)])
    assert list_series(told)[0].positions[-1] == 38


def test_pictures_clusters_and_selections_are_no_series():
    assert list_series(make_heads(ada=(4, 0))) == []
    assert list_series(make_heads(g017=(20, 6))) == []
    assert list_series(relabel(make_heads(ada=(20, 6)), sequence="")) == []
    only_tumors = relabel(make_heads(ada=(20, 6)), label="tumor")
    assert list_series(only_tumors) == []


def test_planes_are_series_of_their_own():
    notes = ["plane sagittal"] * 10 + ["axial; skull on"] * 10
    series = list_series(relabel(make_heads(ada=(20, 0)), note=notes))
    assert [s.slices for s in series] == [10, 10]
    assert series[0].study == series[1].study


def test_a_plane_that_is_unsure_parts_no_series():
    planes = ["axial", "unsure"] * 10
    assert [s.slices for s in list_series(relabel(make_heads(ada=(20, 0)), plane=planes))] == [20]
    planes = ["axial"] * 10 + ["coronal"] * 10
    series = list_series(relabel(make_heads(ada=(20, 0)), plane=planes))
    assert [s.slices for s in series] == [10, 10]


def test_a_series_without_tumor_of_a_tumor_patient_has_no_label():
    scores = make_heads(ada=(40, 6))
    series = list_series(relabel(scores, sequence=["FLAIR"] * 20 + ["T1"] * 20))
    assert [(s.row.sequence, s.row.label) for s in series] == [("FLAIR", "tumor"), ("T1", "")]


def test_slices_without_brain_are_left_out_of_the_evidence():
    scores = make_heads(ada=(20, 0))
    words = list(scores.verdict)
    words[:5] = ["not_judged"] * 5
    (series,) = list_series(replace(scores, verdict=as_text(words)))
    assert (series.slices, len(series.logits)) == (20, 15)
    (series,) = list_series(replace(scores, verdict=as_text(["not_judged"] * 20)))
    assert not series.is_judged


def test_scores_of_series_and_studies():
    scores = make_heads(ada=(40, 6), bob=(40, 0))
    scores = relabel(scores, sequence=(["FLAIR"] * 20 + ["T1"] * 20) * 2)
    series = list_series(scores)
    logits = weigh_series(series, MODEL)
    point = MODEL.series_points["balanced"]
    table = score_series(series, logits, point, "heads")
    assert table.verdict.tolist() == ["tumor", "no_tumor", "no_tumor", "no_tumor"]
    assert table.label.tolist() == ["tumor", "", "no_tumor", "no_tumor"]
    studies = score_studies(series, np.array([2.0, -0.5, -2, -2]), MODEL.study, point, "heads")
    assert studies.column("sequences").tolist() == ["FLAIR+T1", "FLAIR+T1"]
    assert studies.tumor_probability == pytest.approx(1 / (1 + np.exp([-1.5, 4])))
    assert studies.label.tolist() == ["tumor", "no_tumor"]
    cases = list_studies(series, logits)
    assert [(case.group, case.tumor, len(case.logits)) for case in cases] == [
        ("ada", True, 2),
        ("bob", False, 2),
    ]


def test_unfamiliar_tissue_is_weighed_in_mm():
    scores = make_heads(ada=(20, 0))
    words = ["unfamiliar"] * 12 + ["no_tumor"] * 8
    series = list_series(replace(scores, verdict=as_text(words)))
    assert series[0].unfamiliar_share == pytest.approx(0.6, abs=0.01)
    table = score_series(series, np.array([5.0]), MODEL.series_points["balanced"], "heads")
    assert table.verdict.tolist() == ["unfamiliar"]


def test_column_of_series_and_study_name_them():
    scores = make_heads(ada=(20, 0))
    extra = [(("series", f"{i // 10}"), ("study", f"visit {i // 10}")) for i in range(20)]
    series = list_series(relabel(scores, extra=extra))
    assert [(s.slices, s.study) for s in series] == [(10, "visit 0"), (10, "visit 1")]
    assert series[0].row.path == Path("/data/0.png")
