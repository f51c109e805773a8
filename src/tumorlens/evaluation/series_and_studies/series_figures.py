"""Figures that count whole series and whole studies."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import REPLICATES, Estimate, measure
from tumorlens.evaluation.figures.ranking import ranking_family
from tumorlens.evaluation.figures.verdict_figures import two_way_families, verdict_family
from tumorlens.evaluation.scores import Scores

__all__ = ["ALARMS", "measure_heads"]

ALARMS = (10, 20)
"""Alarms per 100 tumor-free heads at which the share of found tumors is stated."""

_TARGETS = tuple(1 - alarms / 100 for alarms in ALARMS)
_NAMES = {
    "auc": "auc",
    **{f"sensitivity_at_specificity_{100 - a}": f"found_at_{a}_alarms" for a in ALARMS},
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "brier",
    "found": "found",
    "uncertain_among_tumor": "uncertain_among_tumor",
    "unfamiliar_among_tumor": "unfamiliar_among_tumor",
    "alarm": "alarms_per_100",
    "uncertain_among_no_tumor": "uncertain_among_no_tumor",
    "unfamiliar_among_no_tumor": "unfamiliar_among_no_tumor",
    "coverage": "coverage",
}
"""Name among a slice's figures -> name here, in the order in which they are read."""


def measure_heads(heads: Scores, *, replicates: int = REPLICATES, seed: int = 0) -> list[Estimate]:
    """Figures of a table that has one row a series, or one row a study.

    Args:
        heads: as `labelled_series.score_series` and `score_studies` give them.
        replicates, seed: of the bootstrap over patients.

    Returns:
        None of them where no row has a label.
    """
    labelled = heads.take(heads.labelled)
    if not len(labelled):
        return []
    grouped = GroupedScores.of(labelled)
    families = [
        ranking_family(grouped, _TARGETS),
        *two_way_families(grouped),
        verdict_family(grouped),
    ]
    measured = measure(families, grouped.names, replicates=replicates, seed=seed)
    found = {one.name: one for one in measured if one.value is not None}
    return list(_rename(found))


def _rename(found: dict[str, Estimate]) -> Iterator[Estimate]:
    for old, new in _NAMES.items():
        if old in found:
            scale = 100 if new == "alarms_per_100" else 1
            yield _scale(msgspec.structs.replace(found[old], name=new), scale)


def _scale(one: Estimate, factor: int) -> Estimate:
    ends = {word: getattr(one, word) for word in ("value", "low", "high")}
    return msgspec.structs.replace(
        one, **{word: None if end is None else factor * end for word, end in ends.items()}
    )
