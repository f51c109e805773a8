"""`Evaluation`: the figures of a table of scores, for all rows and for each subset."""

from __future__ import annotations

import msgspec

from tumorlens.evaluation.figures.intervals import REPLICATES, Difference, Estimate, find_estimate
from tumorlens.evaluation.figures.reliability import ReliabilityBin
from tumorlens.finding import RESEARCH_USE
from tumorlens.version import __version__

__all__ = ["EVALUATION_SCHEMA", "Evaluation", "Heads", "Subset"]

EVALUATION_SCHEMA = 1
"""Number of the JSON's schema: keys may be added under one number, never renamed."""


class Heads(msgspec.Struct, frozen=True, omit_defaults=True):
    """Figures of whole series and studies.

    Attributes:
        series, studies: figures that count series, and that count studies.
        of_series, of_studies: (with, without a tumor) how many were counted.
    """

    series: list[Estimate] = []
    studies: list[Estimate] = []
    of_series: tuple[int, int] = (0, 0)
    of_studies: tuple[int, int] = (0, 0)


class Subset(msgspec.Struct, frozen=True, omit_defaults=True):
    """The figures of a subset of the rows: those that share one value, or all.

    Attributes:
        by: column -> value that the rows share; empty for all rows.
        seen: ``as_is``, or ``without_seen``: without pictures that were seen in training.
        slices, tumor, no_tumor, groups: their numbers.
        slices_seen: slices among these that were seen in training.
        estimates: the figures, each with its interval.
        confusion: true class -> called class -> slices.
        reliability: predicted against observed, bin by bin.
        differences: against the other scores, if any; this model minus the other.
        heads: figures of whole series and studies, where they were judged.
        note: why there are no figures, e.g. ``all seen``.
    """

    by: dict[str, str]
    seen: str
    slices: int
    tumor: int = 0
    no_tumor: int = 0
    groups: int = 0
    slices_seen: int = 0
    estimates: list[Estimate] = []
    confusion: dict[str, dict[str, int]] = {}
    reliability: list[ReliabilityBin] = []
    differences: list[Difference] = []
    heads: Heads = Heads()
    note: str = ""

    def find(self, name: str) -> Estimate:
        """The figure of that name.

        Raises:
            KeyError: it was not measured here.
        """
        found = find_estimate(self.estimates, name)
        if found is None:
            raise KeyError(name)
        return found


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The result of `evaluate_scores`; `to_json` gives what ``tumorlens evaluate`` writes.

    Attributes:
        data: name of the set.
        model, operating_point: as the scores name them.
        other: the model compared with; empty if none.
        prevalence: at which PPV and NPV are stated; None if they are not.
        replicates, seed: of the bootstrap.
        left_out: reason -> slices that no figure counts.
        heads: how series and studies were judged, or why they were not.
        notes: what to know before you rely on a figure.
        parts: all rows first, then one a value of each column; each of them without the pictures
            seen in training before it as it is.
    """

    schema: int = EVALUATION_SCHEMA
    kind: str = "evaluation"
    tumorlens: str = __version__
    research_use: str = RESEARCH_USE
    data: str
    model: str
    operating_point: str
    other: str = ""
    prevalence: float | None = None
    replicates: int = REPLICATES
    seed: int = 0
    left_out: dict[str, int] = {}
    heads: str = ""
    notes: list[str] = []
    parts: list[Subset] = []

    @property
    def leading(self) -> Subset:
        """The whole to rely on: without the pictures seen in training, if any others are left."""
        return self.parts[0]

    @property
    def optimism(self) -> str:
        """Why the leading figures are too good: slices that the model saw in training; or empty."""
        seen, slices = self.leading.slices_seen, self.leading.slices
        if not seen:
            return ""
        share = f"all {slices:,}" if seen == slices else f"{seen:,} of {slices:,}"
        return f"{share} slices were seen in training: the figures are too optimistic"

    def to_json(self) -> str:
        """Readable JSON, keys in the order of the schema."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode() + "\n"
