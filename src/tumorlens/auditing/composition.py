"""The composition of a set: labels that are rare, and columns that predict the label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tumorlens.auditing.evidence import Evidence
from tumorlens.auditing.findings import AuditFinding
from tumorlens.digits import say_count
from tumorlens.optional import load

__all__ = ["find_imbalance", "find_ties"]

_UNEVEN = 4.0  # reported if one label is this many times as frequent as the other
_TIED = 0.6  # reported if a column alone predicts the label with this AUC
_CHANCE = 0.01  # largest p-value of a reported dependence; slices are taken as independent


def find_imbalance(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report a label that is missing or rare."""
    counts = Counter(row.label for row in evidence.rows[: evidence.own])
    tumor, none = counts["tumor"], counts["no_tumor"]
    if tumor + none and max(tumor, none) >= _UNEVEN * min(tumor, none):
        yield AuditFinding(
            "balance",
            "uneven labels",
            f"{say_count(tumor, 'slice')} with a tumor, {none:,} without",
            "report sensitivity, specificity and AUC, not accuracy; add slices of the rarer label",
            impact=0.1 if min(tumor, none) else 0.3,
        )


def find_ties(evidence: Evidence) -> Iterator[AuditFinding]:
    """Report sources, sequences, planes and orientations that predict the label by themselves.

    Slices that cannot be read, or whose plane is unknown, are not counted.
    """
    labelled = [n for n in evidence.readable if evidence.rows[n].label]
    for column, read in _COLUMNS.items():
        known = [(n, value) for n in labelled if (value := read(evidence, n)) is not None]
        tumor = np.array([evidence.rows[n].label == "tumor" for n, _ in known], bool)
        values = np.array([value for _, value in known], object)
        names = sorted(set(values.tolist()))
        if len(names) < 2 or not tumor.any() or tumor.all():
            continue
        rates = {name: float(tumor[values == name].mean()) for name in names}
        auc = _area(tumor, np.array([rates[value] for value in values]))
        if auc < _TIED or _chance(tumor, values, names) > _CHANCE:
            continue
        single = [name or "(none)" for name in names if rates[name] in (0.0, 1.0)]
        has = "has" if len(single) == 1 else "have"
        told = f"; {', '.join(single)} {has} only one label" if single else ""
        yield AuditFinding(
            "balance",
            f"{column} predicts the label",
            f"the {column} alone predicts the label with AUC {auc:.2f}{told}",
            f"measure each {column} separately; add slices with the missing label",
            impact=0.7 * 2 * (auc - 0.5),
        )


def _read_plane(evidence: Evidence, number: int) -> str | None:
    seen = evidence.traits[number].appearance
    return None if seen is None else seen.plane or None


def _read_way_up(evidence: Evidence, number: int) -> str:
    seen = evidence.traits[number].appearance
    return "upside-down" if seen is not None and seen.upside_down else "upright"


_COLUMNS: dict[str, Callable[[Evidence, int], str | None]] = {
    "source": lambda evidence, number: evidence.rows[number].source,
    "sequence": lambda evidence, number: evidence.rows[number].sequence,
    "plane": _read_plane,
    "way up": _read_way_up,
}


def _chance(
    tumor: np.typing.NDArray[np.bool_], values: np.typing.NDArray[Any], names: list[str]
) -> float:
    """The p-value of a chi-squared test: are column and label independent?"""
    table = [[int((of & (values == name)).sum()) for name in names] for of in (tumor, ~tumor)]
    return float(load("scipy.stats", "balance").chi2_contingency(table)[1])


def _area(tumor: np.typing.NDArray[np.bool_], scores: np.typing.NDArray[np.float64]) -> float:
    return float(load("sklearn.metrics", "balance").roc_auc_score(tumor, scores))
