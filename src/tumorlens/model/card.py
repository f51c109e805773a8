"""The card: what a model is, what it was made from, how far it can be trusted.

It travels as JSON inside the model file and is validated by the one schema below.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from tumorlens.errors import ModelFileError, UsageError
from tumorlens.finding import Verdict
from tumorlens.imaging.preprocess import PreprocessSpec

__all__ = [
    "NO_TUMOR",
    "Card",
    "DataTerms",
    "Figure",
    "HistoryEntry",
    "OperatingPoint",
    "Parity",
    "Training",
    "parse_card",
    "parse_entry",
]

Schema = TypeVar("Schema", bound=msgspec.Struct)

NO_TUMOR = "no_tumor"
"""Name of the class without a tumor; the first of every model."""


class OperatingPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Three thresholds on the tumor probability, ``low <= middle <= high``.

    Attributes:
        low: a tumor probability below it gives the verdict ``no_tumor``.
        middle: sensitivity and specificity count a probability of at least this as tumor.
        high: a tumor probability of at least this gives the verdict ``tumor``.
        meaning: what the thresholds were chosen for, in a sentence.
    """

    low: float
    middle: float
    high: float
    meaning: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.middle <= self.high <= 1:
            raise ValueError(
                f"thresholds must hold 0 <= low <= middle <= high <= 1, "
                f"got {self.low}, {self.middle}, {self.high}"
            )

    def judge(self, tumor_probability: float, unfamiliarity: float) -> Verdict:
        """Unfamiliar above 1; tumor from ``high`` on; no_tumor below ``low``; else uncertain.

        Slices, series and studies are judged by this rule, each with their own thresholds. Tables
        of scores (`evaluation/score_files.py`) and the page without Python
        (`viewing/web/page/judging/model.js`) repeat it.
        """
        if unfamiliarity > 1:
            return "unfamiliar"
        if tumor_probability >= self.high:
            return "tumor"
        return "no_tumor" if tumor_probability < self.low else "uncertain"


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the model was made from.

    Attributes:
        recipe: the recipe as used, every value filled in.
        fingerprint: SHA-256 over the rows that it was trained on.
        sources: source -> number of training slices.
        groups: number of groups (patients, or sets of copies) in training.
        left_out: what was kept out of training on request, and how many slices that were.
        removed: reason -> number of slices removed for it.
        seconds: how long its epochs ran.
        versions: library -> version.
        learned_from: models of tumorlens that it started from or was taught by, each with its
            SHA-256, or in words where it is published nowhere: it has seen what they have seen.
    """

    recipe: dict[str, Any] = {}
    fingerprint: str = ""
    sources: dict[str, int] = {}
    groups: int = 0
    left_out: dict[str, int] = {}
    removed: dict[str, int] = {}
    seconds: float | None = None
    versions: dict[str, str] = {}
    learned_from: list[str] = []


class Figure(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """One figure with what belongs to it.

    Attributes:
        name: e.g. ``"AUC"``.
        data: the source or set that it was measured on.
        split: how those slices were kept out of training, e.g. ``"left out"``.
        value: the figure.
        low, high: its 95 % interval; None where counts are listed instead.
        slices, groups: how many it was measured on.
        command: what measures it again; said once for all figures of a split.
    """

    name: str
    data: str
    split: str
    value: float
    low: float | None = None
    high: float | None = None
    slices: int
    groups: int
    command: str = ""


class DataTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The terms of one data set that the model was trained on."""

    data: str
    terms: str


class Parity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an exported model compares with the one that it was made from, on real slices."""

    slices: int
    groups: int
    verdicts_equal: float
    largest_difference: float
    mean_difference: float
    auc_difference: float | None = None
    ece: float | None = None
    pointing_difference: float | None = None


class HistoryEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One calibration: when, what was rewritten, on how many slices and groups.

    Attributes:
        date: ISO 8601.
        change: what was rewritten.
        slices, groups: how many it was fitted on.
        data: name of the set.
        before, after: figures on these cases with the old numbers, and with new ones that were
            fitted on other groups than those judged.
        notes: what to know about it, a sentence each.
    """

    date: str
    change: str
    slices: int
    groups: int
    data: str = ""
    before: list[Figure] = []
    after: list[Figure] = []
    notes: list[str] = []


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model is. See the module for where it lives.

    Attributes:
        schema: number of the card's schema.
        name, version: together they name the model in every record.
        created: date, ISO 8601.
        license: of the weights.
        classes: in the order of the output ``probabilities``; the first is ``no_tumor``.
        tumor_classes: those that count as a tumor.
        preprocess: how slices were prepared in training.
        operating_points: name -> thresholds; ``balanced`` is always there.
        cell_threshold: activation from which a cell counts as evidence.
    """

    schema: int
    name: str
    version: str
    created: str
    license: str
    classes: list[str]
    tumor_classes: list[str]
    preprocess: PreprocessSpec
    operating_points: dict[str, OperatingPoint]
    cell_threshold: float
    training: Training = msgspec.field(default_factory=Training)
    figures: list[Figure] = []
    intended_use: str = ""
    known_failures: list[str] = []
    data_terms: list[DataTerms] = []
    parity: Parity | None = None
    made_from: str | None = None
    history: list[HistoryEntry] = []

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ValueError(f"schema {self.schema} is unknown here, 1 was expected")
        if len(self.classes) < 2 or self.classes[0] != NO_TUMOR:
            raise ValueError(f"classes must begin with {NO_TUMOR!r}, got {self.classes}")
        if self.tumor_classes != self.classes[1:]:
            raise ValueError(
                f"tumor_classes must be the classes after {NO_TUMOR!r}, got {self.tumor_classes}"
            )
        if "balanced" not in self.operating_points:
            raise ValueError("operating_points must hold 'balanced'")
        if not 0 < self.cell_threshold < 1:
            raise ValueError(f"cell_threshold lies in (0, 1), got {self.cell_threshold}")

    @property
    def full_name(self) -> str:
        """Name and version, as records give it."""
        return f"{self.name} {self.version}"

    def find_operating_point(self, name: str) -> OperatingPoint:
        """The thresholds of that name.

        Raises:
            UsageError: the model has no such operating point; lists those that it has.
        """
        if name not in self.operating_points:
            known = ", ".join(sorted(self.operating_points))
            raise UsageError(
                f"model {self.full_name} has no operating point {name!r}; it has {known}"
            )
        return self.operating_points[name]

    def calibrated(self, entry: HistoryEntry) -> Card:
        """The card of the same model after a calibration: a version of its own, and the entry."""
        history = [*self.history, entry]
        version = f"{self.version.partition('+')[0]}+calibrated.{len(history)}"
        return msgspec.structs.replace(self, version=version, created=entry.date, history=history)

    def to_json(self, *, indent: int = -1) -> str:
        """JSON, in the order of the schema: on one line, as a model file holds it, or indented."""
        return msgspec.json.format(msgspec.json.encode(self), indent=indent).decode()


def parse_card(text: str | bytes, path: str) -> Card:
    """Validate a card.

    Args:
        text: JSON.
        path: of the file that holds it, for messages.

    Raises:
        ModelFileError: names the field that is wrong.
    """
    return parse_entry(text, Card, path, "its card")


def parse_entry(text: str | bytes, schema: type[Schema], path: str, what: str) -> Schema:
    """Validate an entry of a model file.

    Args:
        text: JSON.
        schema: of the entry.
        path: of the file that holds it, for messages.
        what: the entry, in words.

    Raises:
        ModelFileError: names the field that is wrong.
    """
    try:
        return msgspec.json.decode(text, type=schema)
    except RecursionError:
        cause = "nested too deeply"
    except (msgspec.MsgspecError, ValueError) as error:
        cause = str(error)
    raise ModelFileError(
        f"{path}: {what} does not fit the schema: {cause}; the file was made by another version, "
        "or changed by hand"
    )
