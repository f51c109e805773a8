"""Figures that count patients and series."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tumorlens.evaluation.figures.grouped_scores import GroupedScores, Ratio, ratio_family
from tumorlens.evaluation.figures.intervals import Family
from tumorlens.evaluation.scores import know_patients

__all__ = ["patient_family"]

BoolArray = npt.NDArray[np.bool_]


def patient_family(grouped: GroupedScores) -> Family | None:
    """Patients found, patients and series without alarm, where patients are known.

    A patient has a tumor if one of the slices has, and is found if one of those slices gets the
    verdict ``tumor``. Alarms are counted on patients and series without any tumor slice.
    """
    s = grouped.scores
    rows = know_patients(s) & s.labelled
    if not rows.any():
        return None
    says = np.asarray(s.verdict == "tumor", bool)
    with_tumor = grouped.total(rows & s.tumor) > 0
    without_tumor = (grouped.total(rows) > 0) & ~with_tumor
    quiet, series = _quiet_series(grouped, rows, says)
    ratios = [
        Ratio(
            "patients_found",
            (grouped.total(rows & s.tumor & says) > 0) & with_tumor,
            with_tumor,
            by_group=True,
        ),
        Ratio(
            "patients_without_alarm",
            (grouped.total(rows & says) == 0) & without_tumor,
            without_tumor,
            by_group=True,
        ),
        Ratio("series_without_alarm", quiet, series, by_group=True),
    ]
    return ratio_family(grouped, [ratio for ratio in ratios if ratio.whole.any()])


def _quiet_series(
    grouped: GroupedScores, rows: BoolArray, says: BoolArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(G,) series without alarm and series, among those without a tumor slice."""
    s = grouped.scores
    rows = rows & (s.column("sequence") != "")
    code, group = grouped.number_series(rows)
    without_tumor = np.bincount(code, weights=s.tumor[rows], minlength=len(group)) == 0
    quiet = without_tumor & (np.bincount(code, weights=says[rows], minlength=len(group)) == 0)
    size = len(grouped.names)
    return (
        np.bincount(group, weights=quiet, minlength=size).astype(np.float64),
        np.bincount(group, weights=without_tumor, minlength=size).astype(np.float64),
    )
