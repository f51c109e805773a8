"""Parity: do an export and its original give the same answers on real slices?

Nothing is measured here but differences: every figure is one of `tumorlens.evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from tumorlens.digits import say_share
from tumorlens.evaluation.figures.families import compare_figures
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import Difference
from tumorlens.evaluation.figures.ranking import ranking_family
from tumorlens.evaluation.scores import Scores
from tumorlens.exporting.targets import Kind
from tumorlens.model.card import Parity

__all__ = ["BARS", "Bars", "ParityReport", "SourceParity", "compare_scores"]


@dataclass(frozen=True, slots=True)
class Bars:
    """The bars that an export must reach.

    Attributes:
        largest_difference: of a tumor probability, at most.
        verdicts_equal: share of the slices, at least.
        auc_difference: at most, either way.
    """

    largest_difference: float = 1.0
    verdicts_equal: float = 0.0
    auc_difference: float = 1.0

    def find_misses(self, parity: Parity) -> list[str]:
        """The bars that ``parity`` misses, a sentence each."""
        misses = []
        if parity.largest_difference > self.largest_difference:
            misses.append(
                f"a tumor probability differs by {parity.largest_difference:.2g}, at most "
                f"{self.largest_difference:g} was expected"
            )
        if parity.verdicts_equal < self.verdicts_equal:
            misses.append(
                f"{say_share(parity.verdicts_equal, 2)} of the verdicts are equal, at least "
                f"{say_share(self.verdicts_equal)} were expected"
            )
        change = parity.auc_difference or 0.0
        if abs(change) > self.auc_difference:
            misses.append(
                f"the AUC changes by {change:+.4f}, at most {self.auc_difference:g} was expected"
            )
        return misses


BARS: dict[Kind, Bars] = {
    "float32": Bars(largest_difference=1e-4, verdicts_equal=0.99),
    "float16": Bars(verdicts_equal=0.99, auc_difference=0.003),
    "int8": Bars(verdicts_equal=0.99, auc_difference=0.003),
}
"""Numbers that an export computes with -> the bars that it must reach."""


class SourceParity(msgspec.Struct, frozen=True):
    """The agreement on the slices of one source; the AUC's change is None without both labels."""

    source: str
    slices: int
    verdicts_equal: float
    largest_difference: float
    auc_difference: float | None = None


class ParityReport(msgspec.Struct, frozen=True):
    """An export beside the model that it was made from.

    Attributes:
        parity: what goes into the card.
        auc, pointing: export, original, difference and its interval; None where the slices have
            no labels or no lesions drawn.
        sources: source by source.
        misses: bars that are missed, in a sentence each.
    """

    parity: Parity
    auc: Difference | None
    pointing: Difference | None
    sources: list[SourceParity]
    misses: list[str]


def compare_scores(export: Scores, original: Scores, kind: Kind) -> ParityReport:
    """Compare the answers of an export and of its original on the same slices.

    Args:
        export, original: scores of the same rows in the same order.
        kind: numbers that the export computes with.

    Raises:
        DataError: the rows differ.
    """
    grouped = GroupedScores.of(export)
    differences = {one.name: one for one in compare_figures(grouped, GroupedScores.of(original))}
    gap = np.abs(export.tumor_probability - original.tumor_probability)
    auc, pointing, ece = (differences.get(name) for name in ("auc", "pointing", "ece"))
    parity = Parity(
        slices=len(export),
        groups=len(grouped.names),
        verdicts_equal=float(np.mean(export.verdict == original.verdict)),
        largest_difference=float(gap.max()),
        mean_difference=float(gap.mean()),
        auc_difference=None if auc is None else auc.difference,
        ece=None if ece is None else ece.value,
        pointing_difference=None if pointing is None else pointing.difference,
    )
    sources = [
        _compare_source(name, export, original) for name in np.unique(export.column("source"))
    ]
    return ParityReport(parity, auc, pointing, sources, BARS[kind].find_misses(parity))


def _compare_source(source: str, export: Scores, original: Scores) -> SourceParity:
    chosen = export.column("source") == source
    ours, theirs = export.take(chosen), original.take(chosen)
    gap = np.abs(ours.tumor_probability - theirs.tumor_probability)
    change = _auc(ours) - _auc(theirs)
    return SourceParity(
        str(source) or "(none)",
        len(ours),
        float(np.mean(ours.verdict == theirs.verdict)),
        float(gap.max()),
        None if np.isnan(change) else float(change),
    )


def _auc(scores: Scores) -> float:
    return ranking_family(GroupedScores.of(scores)).statistics[0].value
