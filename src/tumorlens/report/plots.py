"""Plots that people look at; the door of matplotlib."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from tumorlens.finding import RESEARCH_USE
from tumorlens.optional import load
from tumorlens.writing import replace_when_done

__all__ = ["plot_curves"]

TRAINING, VALIDATION = "#3b6fb6", "#d1603d"


def plot_curves(curves: Path, picture: Path) -> None:
    """Draw learning curves: loss in training and on held-out groups, and the learning rate.

    Args:
        curves: the ``curves.csv`` of a run.
        picture: PNG to write; replaced if there.
    """
    with curves.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    epochs = list(range(1, len(rows) + 1))
    figure, (above, below) = _make_figure()
    above.plot(epochs, _column(rows, "train_total"), color=TRAINING, label="training")
    above.plot(epochs, _column(rows, "validation_total"), color=VALIDATION, label="held-out groups")
    above.set_ylabel("loss")
    above.set_ylim(bottom=0)
    above.legend(frameon=False)
    below.plot(epochs, _column(rows, "learning_rate"), color="#555555")
    below.set_yscale("log")
    below.set_ylabel("learning rate")
    below.set_xlabel("epoch")
    _mark_phases(above, rows)
    figure.text(0.99, 0.01, RESEARCH_USE, ha="right", fontsize=7, color="#555555")
    with replace_when_done(picture, overwrite=True) as partial:
        figure.savefig(partial, format="png", dpi=130)


def _make_figure() -> tuple[Any, Any]:
    figure = load("matplotlib.figure", "plots").Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25)
    return figure, axes


def _column(rows: list[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) if row[name] else float("nan") for row in rows]


def _mark_phases(axes: Any, rows: list[dict[str, str]]) -> None:
    """A line where a phase begins, with its name."""
    for place, row in enumerate(rows):
        if place == 0 or row["phase"] != rows[place - 1]["phase"]:
            axes.axvline(place + 0.5, color="#999999", linewidth=0.8, linestyle=":")
            axes.annotate(
                row["phase"], (place + 0.6, 1), xycoords=("data", "axes fraction"),
                va="top", fontsize=8, color="#555555",
            )  # fmt: skip
