"""The tumor probability along the slices of a series, as a drawing."""

from __future__ import annotations

from typing import Any

import numpy as np

from tumorlens.digits import say_share, show_probability
from tumorlens.finding import Finding
from tumorlens.model.card import OperatingPoint
from tumorlens.report.drawing import FAINT, HUES, Drawing, draw_twice
from tumorlens.report.pages import Plot
from tumorlens.study_finding import SeriesFinding

__all__ = ["plot_slices"]


def plot_slices(series: SeriesFinding, point: OperatingPoint) -> Plot:
    """The probability of each slice at its position. The run is marked; slices not judged are grey.

    Args:
        series: with the findings of its slices.
        point: thresholds that slices were judged by.
    """
    findings = [one for one in series.findings if one.error is None]
    judged = np.array([one.verdict not in ("not_judged", "unfamiliar") for one in findings])
    chance = np.array([one.tumor_probability or 0.0 for one in findings])
    inside = _find_run(series, findings)
    largest = float(chance[judged].max()) if judged.any() else 0.0
    alt = (
        f"Tumor probability of {len(findings)} slices; the largest is {show_probability(largest)}."
    )
    told = "The band marks the slices that carry the evidence. " if inside.any() else ""

    def paint(sheet: Drawing, narrow: bool) -> None:
        axes = sheet.axes()
        places, unit = _place(findings)
        _shade(axes, places, ~judged)
        if inside.any():
            ends = places[inside]
            axes.axvspan(ends.min(), ends.max(), color=HUES[1], alpha=0.18, linewidth=0)
        axes.plot(places, np.where(judged, chance, np.nan), color=HUES[0], marker=".")
        _draw_thresholds(sheet, point, narrow=narrow)
        axes.set_ylim(-0.02, 1.02)
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.set(xlabel=unit, ylabel="tumor probability")

    caption = told + _tell_grey(int((~judged).sum()))
    return draw_twice(paint, (2.8, 2.6), alt=alt, caption=caption)


def _draw_thresholds(sheet: Drawing, point: OperatingPoint, *, narrow: bool) -> None:
    """Two lines with their words: right of the curve, or above it where there is no room."""
    axes = sheet.figure.axes[0]
    lines = (point.high, "tumor from", "--"), (point.low, "no tumor below", ":")
    for level, name, style in lines:
        words = f"{name} {say_share(level, 1)}"
        axes.axhline(level, color=FAINT, linewidth=1, linestyle=style, label=words)
        if not narrow:
            axes.annotate(
                words, (1, level), (4, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", fontsize=8, color=FAINT, va="center",
            )  # fmt: skip
    if narrow:
        sheet.figure.legend(loc="outside upper center", ncols=len(lines))


def _tell_grey(count: int) -> str:
    if not count:
        return "Every slice was judged."
    if count == 1:
        return "1 slice has a grey background: it was not judged, or is unfamiliar."
    return f"{count} slices have a grey background: they were not judged, or are unfamiliar."


def _place(findings: list[Finding]) -> tuple[np.ndarray, str]:
    positions = [one.info.position_mm for one in findings]
    known = [position for position in positions if position is not None]
    if len(known) == len(positions) and len(set(known)) == len(known):
        return np.array(known, float), "position along the slices (mm)"
    return np.arange(len(findings), dtype=float), "number of the slice"


def _shade(axes: Any, places: np.ndarray, shaded: np.ndarray) -> None:
    half = float(np.median(np.abs(np.diff(places)))) / 2 if len(places) > 1 else 0.5
    for place in places[shaded]:
        axes.axvspan(place - half, place + half, color=FAINT, alpha=0.18, linewidth=0)


def _find_run(series: SeriesFinding, findings: list[Finding]) -> np.ndarray:
    inside = np.zeros(len(findings), bool)
    if series.run is not None:
        names = [one.info.place() for one in findings]
        ends = [names.index(end) for end in (series.run.first, series.run.last) if end in names]
        if len(ends) == 2:
            inside[min(ends) : max(ends) + 1] = True
    return inside
