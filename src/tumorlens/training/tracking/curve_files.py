"""``curves.csv``: losses, learning rate and validation figures of a run, one line per epoch."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from tumorlens.training.journal import CURVES
from tumorlens.training.learning.losses import LOSS_NAMES
from tumorlens.writing import open_when_done

__all__ = ["CurveWriter", "count_seconds", "read_curves"]

_COLUMNS = (
    "phase",
    "epoch",
    "learning_rate",
    *(f"train_{name}" for name in LOSS_NAMES),
    "validation_total",
    "validation_picture",
    "validation_auc",
    "seconds",
)


class CurveWriter(Callback):  # type: ignore[misc]
    """Writes ``curves.csv``: one line per epoch, counted from 1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = time.perf_counter()

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Remove the line of an epoch that a resumed run repeats: it has no checkpoint yet."""
        if not (trainer.is_global_zero and self.path.exists()):
            return
        rows = _read_rows(self.path)
        kept = [
            row
            for row in rows
            if row["phase"] != module.phase.name or int(row["epoch"]) <= trainer.current_epoch
        ]
        if len(kept) < len(rows):
            with open_when_done(self.path, overwrite=True) as stream:
                table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
                table.writeheader()
                table.writerows(kept)

    def on_train_epoch_start(self, trainer: lightning.Trainer, _: Any) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if not trainer.is_global_zero:
            return
        values: dict[str, Any] = {
            name: f"{float(value):.6g}" for name, value in trainer.callback_metrics.items()
        }
        values |= {
            "phase": module.phase.name,
            "epoch": trainer.current_epoch + 1,
            "learning_rate": f"{trainer.optimizers[0].param_groups[0]['lr']:.3g}",
            "seconds": f"{time.perf_counter() - self.started:.1f}",
        }
        new = not self.path.exists()
        columns = _COLUMNS if new else self._read_columns()
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
            if new:
                table.writeheader()
            table.writerow(values)

    def _read_columns(self) -> list[str]:
        """The header of the file: a run that an older version started may have fewer columns."""
        with self.path.open(encoding="utf-8", newline="") as stream:
            return next(csv.reader(stream))


def count_seconds(folder: Path) -> float:
    """Seconds of all epochs of a run, including those before an interruption."""
    return sum(float(row["seconds"]) for row in _read_rows(folder / CURVES))


def read_curves(folder: Path, phases: Sequence[str]) -> list[dict[str, float]]:
    """The figures of each epoch of a run, in order; none if no epoch has ended.

    Args:
        folder: of the run.
        phases: names of the phases of its recipe. ``phase`` is the place of one, counted from 1.
    """
    return [
        {name: float(value) for name, value in row.items() if value and name != "phase"}
        | {"phase": 1.0 + phases.index(row["phase"])}
        for row in _read_rows(folder / CURVES)
    ]


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Lines of the file; none if all phases have 0 epochs, or the first has not ended."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
