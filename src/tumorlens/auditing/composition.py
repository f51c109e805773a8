"""What a set is made of: labels and sources of very different size, or tied to each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from tumorlens.auditing.evidence import Evidence
from tumorlens.auditing.findings import AuditFinding, say_count
from tumorlens.optional import load

__all__ = ["find_imbalance", "find_ties"]

_UNEVEN = 4.0  # one label this many times as frequent as the other
_TIED = 0.6  # AUC of a column alone from which it tells the label


def find_imbalance(evidence: Evidence) -> Iterator[AuditFinding]:
    """One label missing or rare."""
    counts = Counter(row.label for row in evidence.rows[: evidence.own])
    tumor, none = counts["tumor"], counts["no_tumor"]
    if tumor + none and max(tumor, none) >= _UNEVEN * min(tumor, none):
        yield AuditFinding(
            "balance",
            "uneven labels",
            f"{say_count(tumor, 'slice')} with a tumor, {none:,} without",
            "judge by sensitivity, specificity and AUC, not by accuracy; add the rarer label",
            impact=0.1 if min(tumor, none) else 0.3,
        )


def find_ties(evidence: Evidence) -> Iterator[AuditFinding]:
    """Sources, sequences, planes and ways up that tell the label by themselves."""
    numbers = [n for n in range(evidence.own) if evidence.rows[n].label]
    tumor = np.array([evidence.rows[n].label == "tumor" for n in numbers], bool)
    if not tumor.any() or tumor.all():
        return
    for column, read in _COLUMNS.items():
        values = np.array([read(evidence, n) for n in numbers], object)
        names = sorted(set(values.tolist()))
        rates = {name: float(tumor[values == name].mean()) for name in names}
        auc = _area(tumor, np.array([rates[value] for value in values]))
        if len(names) < 2 or auc < _TIED:
            continue
        single = [name or "(none)" for name in names if rates[name] in (0.0, 1.0)]
        has = "has" if len(single) == 1 else "have"
        told = f"; {', '.join(single)} {has} one label only" if single else ""
        yield AuditFinding(
            "balance",
            f"{column} tells the label",
            f"the {column} alone tells tumor from none with AUC {auc:.2f}{told}",
            f"measure each {column} by itself; add slices of the label that it lacks",
            impact=0.7 * 2 * (auc - 0.5),
        )


def _read_plane(evidence: Evidence, number: int) -> str:
    seen = evidence.traits[number].appearance
    return "" if seen is None else seen.plane


def _read_way_up(evidence: Evidence, number: int) -> str:
    seen = evidence.traits[number].appearance
    return "upside-down" if seen is not None and seen.upside_down else "upright"


_COLUMNS: dict[str, Callable[[Evidence, int], str]] = {
    "source": lambda evidence, number: evidence.rows[number].source,
    "sequence": lambda evidence, number: evidence.rows[number].sequence,
    "plane": _read_plane,
    "way up": _read_way_up,
}


def _area(tumor: np.typing.NDArray[np.bool_], scores: np.typing.NDArray[np.float64]) -> float:
    return float(load("sklearn.metrics", "balance").roc_auc_score(tumor, scores))
