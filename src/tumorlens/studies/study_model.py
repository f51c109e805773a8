"""`StudyModel`: the few numbers that turn slices into a verdict of a series and of a study.

Series: the log-odds of a tumor are a weighted sum of the features that `profile.measure_features`
gives. Each sequence has its own weights. Study: the log-odds of its series are weighted by sequence
and added up. Series of one head are not independent, so n series count as n to the power of
1 - ``alike``.

The numbers are stored as JSON in a metadata entry of the model file. They are not part of the card,
so programs that do not know them can still read the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from tumorlens.finding import Verdict
from tumorlens.model.card import HistoryEntry, OperatingPoint, parse_entry
from tumorlens.studies.profile import FEATURES

if TYPE_CHECKING:
    from tumorlens.detector import Detector

__all__ = [
    "OTHER",
    "STUDY_SCHEMA",
    "SeriesTerms",
    "StudyModel",
    "StudyTerms",
    "find_study_model",
    "parse_study_model",
]

STUDY_SCHEMA = 1
OTHER = "other"
"""The sequence whose numbers are used for unknown sequences."""

MOSTLY = 0.5
"""A series with a larger share of unfamiliar tissue than this is unfamiliar."""


class SeriesTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The log-odds of one sequence: offset + sum of weight times feature."""

    offset: float
    weights: dict[str, float]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.weights) - set(FEATURES))
        if unknown:
            raise ValueError(f"features {unknown} are unknown here; known are {list(FEATURES)}")

    def add_up(self, features: Mapping[str, float]) -> float:
        """Log-odds of a tumor."""
        terms = (weight * features[name] for name, weight in self.weights.items())
        return self.offset + sum(terms)


class StudyTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How series add up to a study.

    Attributes:
        offset: added to the sum.
        weights: sequence -> weight of its log-odds; ``other`` serves unknown ones.
        alike: 0 if the series of a study are independent, 1 if they all say the same.
    """

    offset: float = 0.0
    weights: dict[str, float]
    alike: float

    def __post_init__(self) -> None:
        if OTHER not in self.weights:
            raise ValueError(f"weights must hold {OTHER!r}")
        if not 0 <= self.alike <= 1:
            raise ValueError(f"alike lies in [0, 1], got {self.alike}")

    def add_up(self, logits: Sequence[tuple[str | None, float]]) -> float:
        """Log-odds of a tumor from (sequence, log-odds) of each series."""
        terms = [self.weights.get(name or OTHER, self.weights[OTHER]) * z for name, z in logits]
        return float(self.offset + sum(terms) / max(1, len(terms)) ** self.alike)


class StudyModel(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers for series and studies.

    Attributes:
        schema: number of this schema; fields may be added under one number.
        slice_logit: tissue with at least this tumor logit belongs to a run.
        series: sequence -> terms; ``other`` is always there.
        study: how series add up.
        series_points, study_points: operating point -> thresholds on the tumor probability of a
            series, of a study; ``balanced`` is always there.
        fitted_on: what the numbers were fitted on, in a sentence.
        history: what was refitted later.
    """

    schema: int = STUDY_SCHEMA
    slice_logit: float
    series: dict[str, SeriesTerms]
    study: StudyTerms
    series_points: dict[str, OperatingPoint]
    study_points: dict[str, OperatingPoint]
    fitted_on: str = ""
    history: list[HistoryEntry] = []

    def __post_init__(self) -> None:
        if self.schema != STUDY_SCHEMA:
            raise ValueError(f"schema {self.schema} is unknown here, {STUDY_SCHEMA} was expected")
        if OTHER not in self.series:
            raise ValueError(f"series must hold {OTHER!r}")
        if "balanced" not in self.series_points or "balanced" not in self.study_points:
            raise ValueError("series_points and study_points must hold 'balanced'")

    def weigh_series(self, sequence: str | None, features: Mapping[str, float]) -> float:
        """Log-odds of a tumor in a series."""
        return self.series.get(sequence or OTHER, self.series[OTHER]).add_up(features)

    def judge_series(self, probability: float, unfamiliar_share: float, point: str) -> Verdict:
        """Verdict of a series from its tumor probability and its share of unfamiliar tissue."""
        strange = unfamiliar_share > MOSTLY
        return _judge(self.series_points, probability, point, is_unfamiliar=strange)

    def judge_study(self, probability: float, point: str, *, is_unfamiliar: bool) -> Verdict:
        """Verdict of a study from its tumor probability; unfamiliar if all judged series are."""
        return _judge(self.study_points, probability, point, is_unfamiliar=is_unfamiliar)

    def find_points(self, name: str) -> dict[str, OperatingPoint]:
        """The thresholds that judge a series and a study at an operating point."""
        points = {"series": self.series_points, "study": self.study_points}
        return {level: known.get(name, known["balanced"]) for level, known in points.items()}

    def to_json(self) -> str:
        """JSON on one line, as a model file holds it."""
        return msgspec.json.encode(self).decode()


def find_study_model(detector: Detector) -> StudyModel | None:
    """The numbers for series and studies in a model file; None if it has none.

    Raises:
        ModelFileError: they do not fit the schema.
    """
    text = detector.session.studies
    return None if text is None else parse_study_model(text, str(detector.session.path))


def parse_study_model(text: str | bytes, path: str) -> StudyModel:
    """Validate the numbers of a model file.

    Args:
        text: JSON.
        path: of the file that holds it, for messages.

    Raises:
        ModelFileError: names the field that is wrong.
    """
    return parse_entry(text, StudyModel, path, "its study model")


def _judge(
    points: Mapping[str, OperatingPoint], probability: float, name: str, *, is_unfamiliar: bool
) -> Verdict:
    if is_unfamiliar:
        return "unfamiliar"
    return points.get(name, points["balanced"]).judge(probability, unfamiliarity=0.0)
