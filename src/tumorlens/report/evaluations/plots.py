"""Plots of an evaluation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tumorlens.digits import say_share
from tumorlens.evaluation.figures.curves import trace_precision_recall, trace_roc
from tumorlens.evaluation.figures.reliability import ReliabilityBin
from tumorlens.evaluation.scores import Scores
from tumorlens.report.drawing import FAINT, HUES, INK, SHEET, Drawing, draw_twice, shorten_label
from tumorlens.report.pages import Plot

__all__ = [
    "Interval",
    "plot_confusion",
    "plot_forest",
    "plot_forests",
    "plot_histogram",
    "plot_precision_recall",
    "plot_reliability",
    "plot_roc",
]

MOST_SOURCES = 5
"""Most sources with a line of their own; more lines could not be told apart."""
MOST_LINES = 40
"""Lines of one forest plot."""
_ALONE = {"sensitivity": "data with tumors only", "specificity": "data without tumors"}
_MARKS = ("o", "s", "D", "^")
_SIDES = {"low": "right", "high": "left"}  # of the names of thresholds: away from each other
_PER_CENT = ([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])


@dataclass(frozen=True)
class Interval:
    """One line of a forest plot: a value in [0, 1] and, where there is one, its interval.

    Attributes:
        label: of its line; several may share one, and then lie below each other.
        series: what tells those apart, e.g. how the slices were kept out of training.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    series: str = ""


def plot_roc(scores: Scores) -> Plot | None:
    """Sensitivity against false alarms, of all slices and of each source with both labels."""
    whole = trace_roc(scores)
    if whole is None:
        return None
    with Drawing(4.6, 4.4) as sheet:
        axes = sheet.axes()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":")
        for hue, (name, part) in zip(HUES[1:], _split_sources(scores), strict=False):
            curve = trace_roc(part)
            if curve is not None:
                axes.plot(
                    curve.x, curve.y, color=hue, linewidth=1.1,
                    label=f"{shorten_label(name)} {curve.area:.3f}",
                )  # fmt: skip
        axes.plot(whole.x, whole.y, color=HUES[0], label=f"all slices {whole.area:.3f}")
        called, known, tumor = scores.called, scores.labelled, scores.tumor
        alarm, found = (
            float((called & known & ~tumor).sum() / (known & ~tumor).sum()),
            float((called & tumor).sum() / tumor.sum()),
        )
        axes.plot([alarm], [found], "o", color=INK, markersize=6, label="middle threshold")
        _frame_square(axes, "share of no-tumor slices called tumor", "share of tumors called tumor")
        axes.legend(loc="lower right", title="AUC", alignment="left")
        alt = (
            f"ROC curve: AUC {whole.area:.3f}; at the middle threshold {say_share(found)} of the "
            f"tumor slices and {say_share(alarm)} of the others are called tumor."
        )
        return sheet.finish(alt, "ROC")


def plot_precision_recall(scores: Scores) -> Plot | None:
    """Precision against sensitivity, beside what guessing would get."""
    whole = trace_precision_recall(scores)
    if whole is None:
        return None
    share = float(scores.tumor.sum() / scores.labelled.sum())
    with Drawing(4.6, 4.4) as sheet:
        axes = sheet.axes()
        axes.axhline(share, color=FAINT, linewidth=1, linestyle=":", label=f"guessing {share:.3f}")
        axes.plot(whole.x, whole.y, color=HUES[0], label=f"all slices {whole.area:.3f}")
        _frame_square(axes, "recall (sensitivity)", "precision (PPV) at this share of tumors")
        axes.legend(loc="lower left", title="average precision", alignment="left")
        alt = (
            f"Precision-recall curve: average precision {whole.area:.3f}, where "
            f"{say_share(share)} of the slices are tumors."
        )
        return sheet.finish(alt, "Precision and recall")


def plot_reliability(bins: Sequence[ReliabilityBin]) -> Plot | None:
    """Observed share of tumors against the predicted probability, bin by bin, source by source."""
    if not bins:
        return None
    names = list(dict.fromkeys(one.source for one in bins))
    with Drawing(4.6, 4.4) as sheet:
        axes = sheet.axes()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":", label="perfect")
        for hue, name in zip(HUES, names[: len(HUES)], strict=False):
            mine = [one for one in bins if one.source == name]
            for one in mine:
                if one.low is not None and one.high is not None:
                    axes.plot([one.predicted] * 2, [one.low, one.high], color=hue, linewidth=1.2)
            across, up = [one.predicted for one in mine], [one.observed for one in mine]
            axes.plot(
                across, up, "o-", color=hue, markersize=5, linewidth=1, label=shorten_label(name)
            )
        _frame_square(axes, "predicted tumor probability", "observed share of tumors")
        axes.set_xticks(*_PER_CENT)
        axes.set_yticks(*_PER_CENT)
        axes.legend(loc="upper left")
        gap = max(abs(one.predicted - one.observed) for one in bins)
        alt = (
            f"Reliability: observed share of tumors against predicted probability in {len(bins)} "
            f"bins; the largest gap is {gap:.2f}."
        )
        caption = "Reliability; bars are 95 % intervals of bins with 20 groups or more"
        if len(names) > len(HUES):
            caption += f"; {len(HUES)} of {len(names)} sources are drawn"
        return sheet.finish(alt, caption)


def plot_confusion(confusion: Mapping[str, Mapping[str, int]]) -> Plot | None:
    """True classes down, called classes across; the deeper the field, the larger its share."""
    if not confusion:
        return None
    names = list(confusion)
    counts = np.array([[confusion[row][column] for column in names] for row in names], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with Drawing(4.6, 4.4) as sheet:
        axes = sheet.axes()
        axes.grid(visible=False)
        for (down, across), share in np.ndenumerate(shares):
            hue = HUES[0] if down == across else HUES[1]
            alpha = 0.08 + 0.5 * float(share)
            axes.bar(across + 0.5, 0.94, 0.94, down + 0.03, color=hue, alpha=alpha)
            axes.text(
                across + 0.5, down + 0.5, f"{counts[down, across]:,.0f}\n{say_share(share)}",
                ha="center", va="center",
            )  # fmt: skip
        axes.set(xlim=(0, len(names)), ylim=(len(names), 0), xlabel="called", ylabel="true")
        shown = [shorten_label(name.replace("_", " "), 14) for name in names]
        middles = np.arange(len(names)) + 0.5
        axes.set_xticks(middles, shown)
        axes.set_yticks(middles, shown, rotation=90, va="center")
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        right = float(np.trace(counts) / max(counts.sum(), 1))
        alt = f"Confusion of {', '.join(names)}: {say_share(right)} of slices lie on the diagonal."
        return sheet.finish(
            alt,
            "True class (rows), predicted class (columns) at the middle threshold; shares of a row",
        )


def plot_histogram(scores: Scores) -> Plot | None:
    """Tumor probabilities of tumor slices and of other slices, with the thresholds."""
    kinds = [
        ("no tumor", HUES[0], scores.labelled & ~scores.tumor),
        ("tumor", HUES[1], scores.tumor),
        ("no label", FAINT, ~scores.labelled),
    ]
    kinds = [kind for kind in kinds if kind[2].any()]
    alt = "Histogram of tumor probabilities: " + ", ".join(
        f"median {say_share(np.median(scores.tumor_probability[rows]), 1)} of {name} slices"
        for name, _, rows in kinds
    )

    def paint(sheet: Drawing, narrow: bool) -> None:
        axes = sheet.axes()
        edges = np.linspace(0, 1, 41)
        for name, hue, rows in kinds:
            values, _ = np.histogram(scores.tumor_probability[rows], edges)
            shares = values / rows.sum()
            axes.stairs(shares, edges, fill=True, color=hue, alpha=0.35)
            axes.stairs(shares, edges, color=hue, linewidth=1.4, label=f"{name} ({rows.sum():,})")
        axes.set_yscale("function", functions=(np.sqrt, np.square))
        for value, names in _common_thresholds(scores).items():
            axes.axvline(
                value, color=INK, linewidth=1, linestyle="--" if "middle" in names else ":"
            )
            axes.annotate(
                ", ".join(names), (value, 1), (0, 3), xycoords=("data", "axes fraction"),
                textcoords="offset points", fontsize=9, color=FAINT,
                ha=_SIDES.get(", ".join(names), "center"),
            )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="tumor probability", ylabel="share of slices")
        axes.set_xticks(*_PER_CENT)
        axes.set_yticks([0, 0.01, 0.05, 0.2, 0.5, 1], ["0", "1 %", "5 %", "20 %", "50 %", "100 %"])
        sheet.figure.legend(loc="outside upper center", ncols=len(kinds))

    caption = "Tumor probabilities and thresholds. The heights have a square-root scale"
    return draw_twice(paint, (3.2, 3.0), alt=f"{alt}.", caption=caption)


def plot_forests(panels: Mapping[str, Sequence[Interval]]) -> Iterator[Plot]:
    """Lines that the first figure has in panels side by side; what lacks it in a plot a figure.

    Data with one label have no AUC: among the others they would leave half of the panels empty.
    """
    series = list(dict.fromkeys(one.series for lines in panels.values() for one in lines))
    first = next(iter(panels.values()), ())
    whole = {(one.label, one.series) for one in first}
    kept = {
        name: [one for one in lines if (one.label, one.series) in whole]
        for name, lines in panels.items()
    }
    plots = [plot_forest({name: lines for name, lines in kept.items() if lines}, series)]
    for name, lines in panels.items():
        rest = [one for one in lines if (one.label, one.series) not in whole]
        title = f"{name}: {_ALONE[name]}" if name in _ALONE else name
        plots.append(plot_forest({title: rest}, series) if rest else None)
    yield from filter(None, plots)


def plot_forest(
    panels: Mapping[str, Sequence[Interval]], series: Sequence[str] = ()
) -> Plot | None:
    """Intervals line by line, one panel a figure; several series have a hue and a mark each.

    One panel takes half the width of a page, several take all of it. On a phone they lie below
    each other.

    Args:
        panels: figure -> its lines; labels are taken together, in the order of their first use.
        series: of several plots, so that each has one hue and mark in all of them.
    """
    lines = [one for several in panels.values() for one in several]
    labels = list(dict.fromkeys(one.label for one in lines))
    shown = labels[:MOST_LINES]
    if not shown:
        return None
    found = tuple(dict.fromkeys(one.series for one in lines))
    forest = _Forest(panels, shown, found, tuple(series) or found)
    caption = "95 % intervals; a hollow mark has none (under 20 groups)"
    if forest.is_cut:
        caption += "; an arrow: the interval goes on to the left"
    if len(labels) > len(shown):
        caption += f"; {len(shown)} of {len(labels)} subsets are drawn"
    alt = f"Forest plot of {', '.join(panels)} for {len(shown)} subsets. Values: see the table."
    if len(panels) > 1:
        heights = forest.height, 0.4 + len(panels) * forest.height
        return draw_twice(forest.paint, heights, alt=alt, caption=caption)
    with Drawing(4.6, forest.height) as sheet:
        forest.paint(sheet, True)
        return sheet.finish(alt, caption)


@dataclass(frozen=True)
class _Forest:
    """What a forest plot draws.

    Attributes:
        panels: figure -> its lines.
        labels: of the lines, from the top.
        series: what tells lines of one label apart.
        known: of all plots of a page, in the order of hues and marks.
    """

    panels: Mapping[str, Sequence[Interval]]
    labels: Sequence[str]
    series: Sequence[str]
    known: Sequence[str]

    @property
    def drawn(self) -> list[Interval]:
        return [one for lines in self.panels.values() for one in lines if one.label in self.labels]

    @property
    def crowd(self) -> int:
        """How many lines of a panel share a label at most."""
        counts = (Counter(one.label for one in lines) for lines in self.panels.values())
        return max(max(count.values(), default=1) for count in counts)

    @property
    def height(self) -> float:
        """In inches, of panels side by side."""
        return 1.0 + (0.17 + 0.14 * self.crowd) * len(self.labels) + 0.2 * (len(self.series) > 1)

    @property
    def start(self) -> float:
        """Where the axes begin: below the smallest value, so that no half of them is empty."""
        return max(0.0, math.floor(10 * min(one.value for one in self.drawn) - 0.5) / 10)

    @property
    def is_cut(self) -> bool:
        return any(one.low is not None and one.low < self.start for one in self.drawn)

    def paint(self, sheet: Drawing, narrow: bool) -> None:
        """Draw the panels: below each other on a narrow sheet."""
        shape = (len(self.panels), 1) if narrow else (1, len(self.panels))
        many = sheet.figure.subplots(*shape, sharex=True, sharey=True, squeeze=False).ravel()
        sheet.figure.get_layout_engine().set(wspace=0.06)
        for axes, (name, lines) in zip(many, self.panels.items(), strict=True):
            self._paint_panel(axes, name, lines)
        for axes in many if narrow else many[:1]:
            axes.set_yticks(
                range(len(self.labels)),
                [_keep_end(label, 22 if narrow else 34) for label in self.labels],
                color=INK,
            )
        if len(self.series) > 1 or self.series[0]:
            _name_series(
                sheet, many[0], {name: self.known.index(name) for name in self.series}, narrow
            )

    def _paint_panel(self, axes: Any, name: str, lines: Sequence[Interval]) -> None:
        placed: Counter[str] = Counter()
        for one in lines:
            if one.label in self.labels:
                beside = sum(other.label == one.label for other in lines)
                shift = (placed[one.label] - (beside - 1) / 2) * 0.5 / self.crowd
                placed[one.label] += 1
                place = self.labels.index(one.label) + shift
                _draw_interval(axes, place, one, self.known.index(one.series), self.start)
        edge = 0.02 * (1 - self.start)
        axes.set(xlim=(self.start - edge, 1 + edge), ylim=(len(self.labels) - 0.4, -0.6))
        axes.set_title(name)
        axes.set_xticks(np.linspace(self.start, 1, 5))
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:.3g}")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelbottom=True)
        axes.grid(visible=False, axis="y")


def _keep_end(label: str, most: int) -> str:
    """A label that is cut before its last comma: what follows is a warning, or how it was made."""
    head, comma, end = label.rpartition(", ")
    return (
        shorten_label(head, max(6, most - len(comma + end))) + comma + end
        if comma
        else (shorten_label(label, most))
    )


def _frame_square(axes: Any, across: str, up: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=across, ylabel=up)


def _name_series(sheet: Drawing, axes: Any, series: Mapping[str, int], narrow: bool) -> None:
    """Above the panels: who reads a dot must not look for its name at the end."""
    for name, number in series.items():
        hue, mark = _pick_mark(number)
        axes.plot([], [], mark, color=hue, markersize=5.5, label=shorten_label(name, 40))
    columns = min(1 if narrow else 3, len(series))
    sheet.figure.legend(loc="outside upper center", ncols=columns)


def _pick_mark(series: int) -> tuple[str, str]:
    """Hue and mark of a series; no two of the first 24 have both alike."""
    return HUES[series % len(HUES)], _MARKS[(series // len(HUES) + series) % len(_MARKS)]


def _draw_interval(axes: Any, line: float, one: Interval, series: int, start: float) -> None:
    hue, mark = _pick_mark(series)
    if one.low is None or one.high is None:
        axes.plot([one.value], [line], mark, markersize=5.5, markerfacecolor=SHEET, color=hue)
        return
    axes.plot([max(one.low, start), one.high], [line, line], color=hue, linewidth=2)
    axes.plot([one.value], [line], mark, markersize=5.5, color=hue)
    if one.low < start:
        axes.plot([start], [line], "<", markersize=4.5, color=hue)


def _split_sources(scores: Scores) -> list[tuple[str, Scores]]:
    """The largest sources, if there are several."""
    source = scores.column("source")
    names, counts = np.unique(source.astype(str), return_counts=True)
    if len(names) < 2:
        return []
    largest = names[np.argsort(-counts, kind="stable")][:MOST_SOURCES]
    return [(str(name), scores.take(source == name)) for name in largest]


def _common_thresholds(scores: Scores) -> dict[float, list[str]]:
    """Threshold -> its names, if all slices share them; folds have their own."""
    first = scores.thresholds[0]
    if not bool((scores.thresholds == first).all()):
        return {}
    names: dict[float, list[str]] = {}
    for name, value in zip(("low", "middle", "high"), first.tolist(), strict=True):
        names.setdefault(value, []).append(name)
    return names
