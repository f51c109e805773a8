"""Reads and writes scores.csv: a manifest with columns for the outputs of a model."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tumorlens.data.manifest import read_manifest
from tumorlens.data.rows import COLUMNS, Row, absolute_path, cells_of
from tumorlens.errors import DataError
from tumorlens.evaluation.score_shards import join_shards
from tumorlens.evaluation.scores import FloatArray, Scores, TextArray, as_text, join_scores
from tumorlens.finding import VERDICTS
from tumorlens.opening import open_table
from tumorlens.writing import open_when_done

__all__ = ["pool_scores", "read_scores", "write_scores"]

REQUIRED = ("label", "tumor_probability", "low", "middle", "high")
OUTPUTS = (
    "fold",
    "verdict",
    "tumor_probability",
    "unfamiliarity",
    "peak_xy",
    "boxes",
    "operating_point",
    "model",
    "low",
    "middle",
    "high",
    "seen",
    "peak_hit",
    "center_hit",
    "grid_hit",
)
"""Columns beside the manifest's and ``probability_<class>``."""

PREFIX = "probability_"
_ROUNDED = 1e-6  # of the probabilities, which are written with six digits


def read_scores(path: str | os.PathLike[str]) -> Scores:
    """Read a scores.csv; only path, label, tumor_probability, low, middle, high are required.

    Raises:
        DataError: names file, line and column, what was expected and what was found.
    """
    file = absolute_path(path)
    _check_columns(file)
    manifest = read_manifest(file)
    table = _Table(file, [dict(row.extra) for row in manifest.rows])
    chance = table.numbers("tumor_probability", 0, 1)
    limits = np.stack([table.numbers(name, 0.0, 1.0) for name in ("low", "middle", "high")], axis=1)
    table.check_order(limits)
    unfamiliarity = table.numbers("unfamiliarity", optional=True)
    classes = [name for name in table.names if name.startswith(PREFIX)]
    return Scores(
        rows=tuple(replace(row, extra=_foreign(row)) for row in manifest.rows),
        name=manifest.name,
        classes=tuple(name.removeprefix(PREFIX) for name in classes),
        tumor_probability=chance,
        probabilities=_stack([table.numbers(name, 0, 1) for name in classes], len(manifest)),
        unfamiliarity=unfamiliarity,
        verdict=table.verdicts(chance, limits, unfamiliarity),
        thresholds=limits,
        peak_xy=table.points("peak_xy"),
        boxes=table.text("boxes"),
        fold=table.text("fold"),
        seen=table.numbers("seen", 0, 1, optional=True),
        hits=_stack(
            [table.numbers(f"{w}_hit", 0, 1, optional=True) for w in ("peak", "center", "grid")],
            len(manifest),
        ),
        model=table.common("model"),
        operating_point=table.common("operating_point"),
    )


def pool_scores(paths: Sequence[str | os.PathLike[str]]) -> Scores:
    """Several tables as one; rows that name no fold get the name of their file as one.

    Tables of shards become that of one run.

    Raises:
        DataError: a table that cannot be read, of a model with other classes, or with a row of
            another one; or a shard is missing.
    """
    tables = [read_scores(path) for path in paths]
    if len(tables) == 1:
        return join_shards(tables) or tables[0]
    whole = join_shards(tables)
    if whole is not None:
        return whole
    _refuse_repeats(tables)
    stems = [Path(path).stem for path in paths]
    if len(set(stems)) < len(stems):  # scores.csv of several runs
        stems = [f"{number} {stem}" for number, stem in enumerate(stems, start=1)]
    named = [
        replace(one, fold=as_text([fold or stem for fold in one.fold]))
        for one, stem in zip(tables, stems, strict=True)
    ]
    return replace(join_scores(named), name=" + ".join(one.name for one in tables))


def _refuse_repeats(tables: Sequence[Scores]) -> None:
    """Refuse tables that share rows, which would count twice."""
    owners: dict[tuple[Path, int | None, str, float], str] = {}
    for table in tables:
        rows = zip(table.rows, table.tumor_probability.tolist(), strict=True)
        own = {(row.path, row.frame, table.model, score): table.name for row, score in rows}
        if shared := own.keys() & owners.keys():
            path, *_ = min(shared, key=str)
            raise DataError(
                f"{table.name}: {len(shared):,} rows stand in {owners[next(iter(shared))]}, too, "
                f"such as that of {path}, and would count twice; name each table once, and only "
                "folds that share no slice"
            )
        owners |= own


def write_scores(path: str | os.PathLike[str], scores: Scores, *, overwrite: bool = False) -> None:
    """Write ``scores`` as CSV, whole or not at all; paths relative to the file's folder.

    Scores of before, which the manifest may hold, are left out.

    Raises:
        UsageError: ``path`` exists and ``overwrite`` is not set, or cannot be written.
    """
    target = Path(path)
    folder = absolute_path(target).parent
    extras = list(dict.fromkeys(name for row in scores.rows for name, _ in _foreign(row)))
    outputs = _output_columns(scores)
    with open_when_done(target, overwrite=overwrite) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow([*COLUMNS, *extras, *outputs])
        for row, cells in zip(scores.rows, zip(*outputs.values(), strict=True), strict=True):
            table.writerow([*cells_of(row, folder, extras), *cells])


def _output_columns(scores: Scores) -> dict[str, Sequence[str]]:
    n = len(scores)
    columns: dict[str, Sequence[str]] = {
        "fold": list(scores.fold),
        "verdict": list(scores.verdict),
        "tumor_probability": _numerals(scores.tumor_probability, 6),
    }
    for k, name in enumerate(scores.classes):
        columns[PREFIX + name] = _numerals(scores.probabilities[:, k], 6)
    columns["unfamiliarity"] = _numerals(scores.unfamiliarity, 4)
    columns["peak_xy"] = [
        "" if np.isnan(x) else f"{x:.1f} {y:.1f}" for x, y in scores.peak_xy.tolist()
    ]
    columns["boxes"] = list(scores.boxes)
    columns["operating_point"] = [scores.operating_point] * n
    columns["model"] = [scores.model] * n
    for k, name in enumerate(("low", "middle", "high")):
        columns[name] = _numerals(scores.thresholds[:, k], 9)
    columns["seen"] = _numerals(scores.seen, 0)
    for k, what in enumerate(("peak", "center", "grid")):
        columns[f"{what}_hit"] = _numerals(scores.hits[:, k], 0)
    return columns


def _numerals(values: FloatArray, digits: int) -> list[str]:
    return ["" if np.isnan(value) else f"{round(value, digits):.12g}" for value in values.tolist()]


def _foreign(row: Row) -> tuple[tuple[str, str], ...]:
    """The columns that neither the manifest nor the scores know."""
    return tuple(
        (name, value)
        for name, value in row.extra
        if name not in OUTPUTS and not name.startswith(PREFIX)
    )


def _stack(columns: Sequence[FloatArray], n: int) -> FloatArray:
    return np.stack(columns, axis=1) if columns else np.empty((n, 0))


def _judge(probability: FloatArray, limits: FloatArray, unfamiliarity: FloatArray) -> list[str]:
    """The verdicts by the rule of `OperatingPoint.judge`."""
    two_way = np.where(
        probability >= limits[:, 2],
        "tumor",
        np.where(probability < limits[:, 0], "no_tumor", "uncertain"),
    )
    return [str(word) for word in np.where(unfamiliarity > 1, "unfamiliar", two_way)]


def _check_columns(file: Path) -> None:
    try:
        with open_table(file) as stream:
            header = [cell.strip() for cell in next(csv.reader(stream), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return  # read_manifest says it better
    if len(header) == 1:
        return  # separated by something else
    missing = [name for name in ("path", *REQUIRED) if name not in header]
    if missing:
        raise DataError(
            f"{file}, line 1: expected a table of scores with the columns path, "
            f"{', '.join(REQUIRED)}; {', '.join(missing)} not found. "
            "For scores of another program, write its threshold into low, middle and high"
        )


class _Table:
    """The cells that a manifest keeps as text, turned into arrays, each error with its place."""

    def __init__(self, file: Path, cells: Sequence[dict[str, str]]) -> None:
        self.file = file
        self.cells = cells
        self.names = list(cells[0])

    def text(self, name: str) -> TextArray:
        return as_text([row.get(name, "") for row in self.cells])

    def numbers(
        self, name: str, low: float = -np.inf, high: float = np.inf, *, optional: bool = False
    ) -> FloatArray:
        values = np.full(len(self.cells), np.nan)
        for index, row in enumerate(self.cells):
            text = row.get(name, "").strip()
            if not text and optional:
                continue
            values[index] = _number(text)
            if not low <= values[index] <= high:  # also true of NaN
                bounds = f" from {low:g} to {high:g}" if np.isfinite(low) else ""
                self.fail(index, name, f"expected a number{bounds}", text)
        return values

    def points(self, name: str) -> FloatArray:
        values = np.full((len(self.cells), 2), np.nan)
        for index, row in enumerate(self.cells):
            text = row.get(name, "").strip()
            if not text:
                continue
            parts = [_number(part) for part in text.split()]
            if len(parts) != 2 or not np.isfinite(parts).all():
                self.fail(index, name, "expected 'x y' in pixels", text)
            values[index] = parts
        return values

    def verdicts(
        self, chance: FloatArray, limits: FloatArray, unfamiliarity: FloatArray
    ) -> TextArray:
        """The column, which must agree with the numbers as far as they are rounded; else theirs."""
        if "verdict" not in self.names:
            return as_text(_judge(chance, limits, unfamiliarity))
        words, (low, _, high) = self.text("verdict"), limits.T
        agrees = {
            "tumor": chance >= high - _ROUNDED,
            "no_tumor": chance < low + _ROUNDED,
            "uncertain": (low - _ROUNDED <= chance) & (chance < high + _ROUNDED),
        }
        for index, word in enumerate(words):
            if word not in VERDICTS:
                self.fail(index, "verdict", f"expected one of {', '.join(VERDICTS)}", word)
            if word in agrees and not agrees[word][index]:
                wanted = "expected what tumor_probability, low and high say, or no such column"
                self.fail(index, "verdict", wanted, word)
        return words

    def common(self, name: str) -> str:
        """The one value of a column; several are joined (folds have one model each)."""
        return ", ".join(sorted({row.get(name, "") for row in self.cells} - {""}))

    def check_order(self, limits: FloatArray) -> None:
        wrong = np.flatnonzero(
            (limits[:, 0] > limits[:, 1] + 1e-9) | (limits[:, 1] > limits[:, 2] + 1e-9)
        )
        if len(wrong):
            got = " ".join(f"{value:g}" for value in limits[wrong[0]])
            self.fail(int(wrong[0]), "low, middle, high", "expected low <= middle <= high", got)

    def fail(self, index: int, column: str, expected: str, got: str) -> None:
        line = _line_of(self.file, index)
        raise DataError(
            f"{self.file}, line {line}, column {column}: {expected}, got {got or 'nothing'!r}"
        )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _line_of(file: Path, index: int) -> int:
    """The line of the index-th row: cells may hold line breaks, so the file is read again."""
    with open_table(file) as stream:
        table = csv.reader(stream)
        next(table)
        seen = -1
        for cells in table:
            seen += any(cells)
            if seen == index:
                return table.line_num
    return index + 2
