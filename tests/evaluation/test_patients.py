"""Patients found, and series without alarm."""

import numpy as np
import pytest

from score_tables import make_rows, make_scores
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.patients import patient_family
from tumorlens.evaluation.scores import know_patients


@pytest.mark.parametrize(
    ("group", "note", "known"),
    [
        ("TCGA_CS_4941", "", True),
        ("p1", "", True),
        ("101228", "", True),
        ("g493", "patient 100360", True),
        ("g079", "picture of navoneel", False),
        ("br35h/g079", "", False),
        ("o000", "", False),
        ("", "", False),
    ],
)
def test_a_cluster_of_copies_is_no_patient(group, note, known):
    rows = make_rows([group], [True], note=note)
    assert know_patients(make_scores(rows, np.array([0.5]))).tolist() == [known]


def test_patients_and_series_by_hand():
    group = ["ill"] * 3 + ["missed"] * 2 + ["calm"] * 3 + ["loud"] * 2
    tumor = [True, True, False, True, False] + [False] * 5
    sequence = ["FLAIR"] * 5 + ["FLAIR", "T1", "T1"] + ["FLAIR", "T1"]
    # "missed" is called on its normal slice only; "loud" alarms on FLAIR, not on T1.
    chance = np.array([0.9, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.9, 0.1])
    scores = make_scores(make_rows(group, tumor, sequence=sequence), chance)
    found = {one.name: one for one in patient_family(GroupedScores.of(scores)).statistics}
    assert found["patients_found"].value == 1 / 2
    assert found["patients_without_alarm"].value == 1 / 2
    assert (found["series_without_alarm"].value, found["series_without_alarm"].n) == (3 / 4, 4)


def test_clusters_give_no_patient_figures():
    scores = make_scores(make_rows(["g001", "g002"], [True, False]), np.array([0.9, 0.1]))
    assert patient_family(GroupedScores.of(scores)) is None
