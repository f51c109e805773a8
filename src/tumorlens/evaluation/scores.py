"""`Scores`: labelled slices and the outputs of a model for them, column by column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import COLUMNS, Row
from tumorlens.errors import DataError
from tumorlens.finding import Finding

__all__ = [
    "SMALLEST_LESION",
    "UNKNOWN",
    "Judged",
    "Scores",
    "Thresholds",
    "drop_unfit",
    "has_small_lesion",
    "join_scores",
    "know_patients",
    "mark_training_groups",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
TextArray = npt.NDArray[np.object_]

UNKNOWN = np.nan
"""Stands where a yes/no column (seen, hits) has no answer."""

Thresholds = tuple[float, float, float]
"""(low, middle, high) of the tumor probability."""

_CLUSTER = re.compile(r"(.*/)?(file:.*|[go]\d{3,}|twins?[-_]?\d+|cluster[-_]?\d+)", re.DOTALL)
"""Groups that are sets of copies or single files, by the names that tumorlens and the public
manifests give them. Any other group is taken for a patient."""

UNFIT_NOTES = ("CT head", "abdomen CT", "doubtful", "audit: leave out")
"""Rows whose note says so are left out of every figure, unless the caller keeps them."""

_PIXELS = re.compile(r"(?<!\d)(\d+) tumor pixels")
SMALLEST_LESION = 150
"""Slices of ``tcga_lgg`` with 1 to 150 tumor pixels are left out: what nobody could see there, no
model has to find."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Labels and model outputs, one row per slice. All arrays have n rows.

    Attributes:
        rows: the slices with their labels.
        name: name of the set.
        classes: the model's classes, in the order of ``probabilities``.
        tumor_probability: (n,) float64 in [0, 1].
        probabilities: (n, K) float64; K is 0 where only the tumor probability is known.
        unfamiliarity: (n,) float64; above 1 is unfamiliar.
        verdict: (n,) text.
        thresholds: (n, 3) float64: low, middle, high; may differ from fold to fold.
        peak_xy: (n, 2) float64, pixels of the slice; NaN where unknown.
        boxes: (n,) text, as in the record's CSV.
        fold: (n,) text, empty where there are no folds.
        seen: (n,) float64: 1 the picture (or a copy) was in training, 0 not, NaN unknown.
        hits: (n, 3) float64: 1 or 0 where the peak, the center of the brain and the best cell
            of the grid point at the lesion; NaN where nothing is annotated or it is unknown.
        model: name and version of the model; may be empty.
        operating_point: name of the operating point; may be empty.

    Raises:
        DataError: arrays of different lengths, or a value that is not a probability.
    """

    rows: tuple[Row, ...]
    name: str
    classes: tuple[str, ...]
    tumor_probability: FloatArray
    probabilities: FloatArray
    unfamiliarity: FloatArray
    verdict: TextArray
    thresholds: FloatArray
    peak_xy: FloatArray
    boxes: TextArray
    fold: TextArray
    seen: FloatArray
    hits: FloatArray
    model: str = ""
    operating_point: str = ""

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            if len(getattr(self, name)) != len(self.rows):
                raise DataError(
                    f"{self.name}: {len(self.rows)} slices but {len(getattr(self, name))} "
                    f"values of {name}"
                )
        p = self.tumor_probability
        if not bool(np.all((p >= 0) & (p <= 1))):
            raise DataError(f"{self.name}: tumor_probability holds values outside [0, 1] or NaN")

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def from_findings(
        cls,
        rows: Sequence[Row],
        findings: Sequence[Finding],
        thresholds: Thresholds,
        *,
        name: str,
        classes: Sequence[str],
        seen: FloatArray | None = None,
        hits: FloatArray | None = None,
    ) -> Scores:
        """Put the findings of ``rows``, in their order, into columns. None may be an error."""
        n = len(rows)
        chances = [[(f.probabilities or {}).get(c, np.nan) for c in classes] for f in findings]
        return cls(
            rows=tuple(rows),
            name=name,
            classes=tuple(classes),
            tumor_probability=np.array([f.tumor_probability for f in findings], np.float64),
            probabilities=np.array(chances, np.float64).reshape(n, len(classes)),
            unfamiliarity=_floats([f.unfamiliarity for f in findings]),
            verdict=as_text([f.verdict or "" for f in findings]),
            thresholds=np.tile(np.array(thresholds, np.float64), (n, 1)),
            peak_xy=np.array([f.peak_xy or (np.nan, np.nan) for f in findings], np.float64).reshape(
                n, 2
            ),
            boxes=as_text([_boxes_text(f) for f in findings]),
            fold=as_text([""] * n),
            seen=np.full(n, UNKNOWN) if seen is None else seen,
            hits=np.full((n, 3), UNKNOWN) if hits is None else hits,
            model=next((f.model or "" for f in findings), ""),
            operating_point=next((f.operating_point or "" for f in findings), ""),
        )

    def take(self, chosen: npt.ArrayLike) -> Scores:
        """The chosen rows (a mask or indices), in that order."""
        index = np.arange(len(self))[np.asarray(chosen)]
        columns: dict[str, Any] = {name: getattr(self, name)[index] for name in _ARRAYS}
        return replace(self, rows=tuple(self.rows[i] for i in index), **columns)

    def of_fold(self, name: str) -> Scores:
        """The same rows, all of one fold."""
        return replace(self, fold=as_text([name] * len(self)))

    def column(self, name: str) -> TextArray:
        """A manifest column, a column that only the file knows, ``fold`` or ``verdict``, as text.

        Raises:
            DataError: there is no such column; names those that are there.
        """
        if name in ("fold", "verdict"):
            return self.fold if name == "fold" else self.verdict
        if name in COLUMNS:
            return self._text(_CELL.get(name, lambda row: getattr(row, name)))
        extras = {key for row in self.rows for key, _ in row.extra}
        if name not in extras:
            known = ", ".join([*COLUMNS, "fold", "verdict", *sorted(extras)])
            raise DataError(f"{self.name}: no column {name!r}; expected one of {known}")
        return self._text(lambda row: dict(row.extra).get(name, ""))

    @cached_property
    def label(self) -> TextArray:
        """(n,) ``tumor``, ``no_tumor`` or empty."""
        return self.column("label")

    @cached_property
    def tumor(self) -> BoolArray:
        """(n,) True where the label is ``tumor``."""
        return np.asarray(self.label == "tumor", bool)

    @cached_property
    def labelled(self) -> BoolArray:
        """(n,) True where the label is known."""
        return np.asarray(self.label != "", bool)

    @cached_property
    def called(self) -> BoolArray:
        """(n,) True where the tumor probability reaches the middle threshold."""
        return np.asarray(self.tumor_probability >= self.thresholds[:, 1], bool)

    @cached_property
    def group(self) -> TextArray:
        """(n,) the group key: patient, set of copies, or file."""
        return self._text(lambda row: row.group_key)

    @cached_property
    def stratum(self) -> TextArray:
        """(n,) source and sequence: inside one of them, levels and scores compare."""
        return self._text(lambda row: f"{row.source}/{row.sequence}")

    @cached_property
    def position(self) -> FloatArray:
        """(n,) position in the head, 0 to 1; NaN where unknown."""
        return _floats([row.position for row in self.rows])

    def _text(self, cell: Callable[[Row], Any]) -> TextArray:
        return as_text([_cell_text(cell(row)) for row in self.rows])


def join_scores(tables: Sequence[Scores]) -> Scores:
    """Several tables as one, in their order; models and operating points are listed.

    Args:
        tables: at least one, all of models with the same classes; the first names the result.

    Raises:
        DataError: no table, or models with other classes.
    """
    if not tables:
        raise DataError("nothing to join: expected at least one table of scores")
    first = tables[0]
    for one in tables[1:]:
        if one.classes != first.classes:
            raise DataError(
                f"{one.name}: scores of the classes {', '.join(one.classes)} cannot be joined to "
                f"{first.name}, scores of {', '.join(first.classes)}; score both with models of "
                "the same classes"
            )
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in tables]) for name in _ARRAYS
    }
    return replace(
        first,
        rows=tuple(row for one in tables for row in one.rows),
        model=", ".join(sorted({one.model for one in tables} - {""})),
        operating_point=", ".join(sorted({one.operating_point for one in tables} - {""})),
        **columns,
    )


def drop_unfit(scores: Scores, *, small_lesions: bool = True) -> tuple[Scores, dict[str, int]]:
    """Rows that a figure may count, and reason -> number of those that it may not.

    Args:
        scores: any rows.
        small_lesions: False to keep slices with a trace of tumor: they are part of their series.
    """
    reasons = [_find_fault(row.source, row.note, small_lesions) for row in scores.rows]
    counts = Counter(reason for reason in reasons if reason)
    if not counts:
        return scores, {}
    return scores.take([not reason for reason in reasons]), dict(counts)


def know_patients(scores: Scores) -> BoolArray:
    """(n,) True where the group is a patient, by its name or because the note names the patient."""
    known = {name: not _CLUSTER.fullmatch(name) for name in set(scores.group)}
    return np.array(
        [known[row.group_key] or "patient " in row.note for row in scores.rows], dtype=bool
    )


def mark_training_groups(scores: Scores, training_groups: Collection[str]) -> Scores:
    """Mark as seen the rows whose group also stands on the training side of a split."""
    shared = np.array([group in training_groups for group in scores.group], bool)
    if not shared.any():
        return scores
    seen = np.where(shared, 1.0, np.where(np.isnan(scores.seen), 0.0, scores.seen))
    return replace(scores, seen=seen)


class Judged(NamedTuple):
    """Series and studies of a table of scores, a row each.

    Attributes:
        series, studies: their scores.
        how: what the numbers that judge them were fitted on, in a sentence.
    """

    series: Scores
    studies: Scores
    how: str


_ARRAYS = tuple(
    field.name
    for field in fields(Scores)
    if field.name not in ("rows", "name", "classes", "model", "operating_point")
)

_CELL: dict[str, Callable[[Row], Any]] = {
    "box": lambda row: ";".join(" ".join(f"{edge:g}" for edge in box) for box in row.boxes),
}


def as_text(values: Sequence[str]) -> TextArray:
    """(n,) object array of str, whatever their lengths."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def has_small_lesion(note: str) -> bool:
    """Whether the note of a row tells of 1 to `SMALLEST_LESION` tumor pixels."""
    pixels = _PIXELS.search(note)
    return pixels is not None and 1 <= int(pixels[1]) <= SMALLEST_LESION


def _find_fault(source: str, note: str, small_lesions: bool) -> str:
    for word in UNFIT_NOTES:
        if word in note:
            return f"note says {word}"
    if small_lesions and source.startswith("tcga_lgg") and has_small_lesion(note):
        return f"1 to {SMALLEST_LESION} tumor pixels"
    return ""


def _floats(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _cell_text(value: Any) -> str:
    return "" if value is None else str(value)


def _boxes_text(finding: Finding) -> str:
    return ";".join(" ".join(f"{v:g}" for v in box.to_list()) for box in finding.boxes or ())
