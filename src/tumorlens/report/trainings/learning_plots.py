"""Learning curves, for a page and as a picture."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from tumorlens.report.drawing import (
    FAINT,
    HUES,
    TRAINING,
    VALIDATION,
    Drawing,
    draw_twice,
    open_picture,
    save_picture,
)
from tumorlens.report.pages import Plot

__all__ = ["plot_curves", "plot_learning"]


def plot_learning(curves: Path, caption: str) -> Plot:
    """The learning curves of `plot_curves` for a page.

    Args:
        curves: the ``curves.csv`` of a run.
        caption: what run it is.
    """
    rows = _read_curves(curves)
    last = _column(rows, "validation_total")[-1] if rows else float("nan")
    alt = f"Learning curves of {len(rows)} epochs; last loss on validation groups {last:.3f}."

    def paint(sheet: Drawing, narrow: bool) -> None:
        above, below = sheet.figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _draw_curves(above, below, rows, (HUES[0], HUES[1], FAINT))

    return draw_twice(paint, (4.4, 4.0), alt=alt, caption=caption)


def plot_curves(curves: Path, picture: Path) -> None:
    """Draw learning curves: loss in training and on validation groups, and the learning rate.

    Args:
        curves: the ``curves.csv`` of a run.
        picture: PNG to write; replaced if there.
    """
    rows = _read_curves(curves)
    figure = open_picture(7, 5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for one in (above, below):
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25)
    _draw_curves(above, below, rows, (TRAINING, VALIDATION, "#555555"))
    save_picture(figure, picture, overwrite=True)


def _read_curves(curves: Path) -> list[dict[str, str]]:
    with curves.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _draw_curves(
    above: Any, below: Any, rows: list[dict[str, str]], hues: tuple[str, str, str]
) -> None:
    epochs = list(range(1, len(rows) + 1))
    training, validation, faint = hues
    marker = "o" if len(rows) < 4 else None
    taught = any(float(row.get("train_teacher") or 0) for row in rows)
    label = "training, with the teacher's part" if taught else "training"
    above.plot(epochs, _column(rows, "train_total"), color=training, marker=marker, label=label)
    above.plot(
        epochs, _column(rows, "validation_total"), color=validation, marker=marker,
        label="validation groups",
    )  # fmt: skip
    above.set_ylabel("loss")
    above.margins(y=0.12)  # room for the names of phases
    above.set_ylim(bottom=0)
    above.legend(frameon=False)
    below.plot(epochs, _column(rows, "learning_rate"), color=faint, marker=marker)
    below.set_yscale("log")
    below.yaxis.set_major_formatter(_write_number)
    below.yaxis.set_minor_formatter(lambda value, place: "")
    below.set_ylabel("learning rate")
    below.set_xlabel("epoch")
    below.xaxis.get_major_locator().set_params(integer=True)
    _mark_phases(above, rows, faint)


def _write_number(value: float, place: int) -> str:
    """A number as people type it: a page cannot set the formulas that powers of ten would be."""
    return f"{value:g}"


def _column(rows: list[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) if row[name] else float("nan") for row in rows]


def _mark_phases(axes: Any, rows: list[dict[str, str]], hue: str) -> None:
    """A line where a phase begins, with its name."""
    for place, row in enumerate(rows):
        if place == 0 or row["phase"] != rows[place - 1]["phase"]:
            axes.axvline(place + 0.5, color=hue, linewidth=0.8, linestyle=":")
            axes.annotate(
                row["phase"], (place + 0.6, 1), xycoords=("data", "axes fraction"),
                va="top", fontsize=8, color=hue,
            )  # fmt: skip
