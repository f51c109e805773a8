"""Plots that people look at; the door of matplotlib.

A plot of a page is SVG with the page's own ink: colours are drawn as stand-ins and then named as
the variables of the page's style, so that one drawing serves a light, a dark and a printed page.
Words stay words, which a browser can find, scale and read aloud.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tumorlens.evaluation.curves import trace_precision_recall, trace_roc
from tumorlens.evaluation.reliability import ReliabilityBin
from tumorlens.evaluation.scores import Scores
from tumorlens.finding import RESEARCH_USE
from tumorlens.optional import load
from tumorlens.report.pages import Plot
from tumorlens.writing import replace_when_done

__all__ = [
    "FAINT",
    "HUES",
    "INK",
    "TRAINING",
    "VALIDATION",
    "Drawing",
    "Interval",
    "open_picture",
    "plot_confusion",
    "plot_curves",
    "plot_forest",
    "plot_histogram",
    "plot_learning",
    "plot_precision_recall",
    "plot_reliability",
    "plot_roc",
    "save_picture",
    "shorten_label",
]

TRAINING, VALIDATION = "#3b6fb6", "#d1603d"

INK, FAINT, GRID, SHEET = "#010101", "#020202", "#030303", "#040404"
HUES = ("#050505", "#060606", "#070707", "#080808", "#090909", "#0a0a0a")
_VARIABLES = dict(
    zip(
        (INK, FAINT, GRID, SHEET, *HUES),
        ["ink", "faint", "grid", "sheet", "accent", "warm", "third", "fourth", "fifth", "sixth"],
        strict=True,
    )
)
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "grid.color": GRID,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.solid_capstyle": "round",
}

MOST_SOURCES = 5
"""Sources that get a line of their own; more would be a knot."""
MOST_LINES = 40
"""Lines of one forest plot."""


@dataclass(frozen=True)
class Interval:
    """One line of a forest plot: a value in [0, 1] and, where there is one, its interval."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


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
            f"ROC curve: AUC {whole.area:.3f}; at the middle threshold {found:.0%} of the tumor "
            f"slices and {alarm:.0%} of the others are called tumor."
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
            f"Precision-recall curve: average precision {whole.area:.3f}, where {share:.0%} of the "
            "slices are tumors."
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
        rectangle = load("matplotlib.patches", "plots").Rectangle
        for (down, across), share in np.ndenumerate(shares):
            hue = HUES[0] if down == across else HUES[1]
            corner = (across + 0.03, down + 0.03)
            axes.add_patch(
                rectangle(corner, 0.94, 0.94, facecolor=hue, alpha=0.08 + 0.5 * float(share))
            )
            axes.text(
                across + 0.5, down + 0.5, f"{counts[down, across]:,.0f}\n{share:.0%}",
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
        alt = f"Confusion of {', '.join(names)}: {right:.0%} of the slices lie on the diagonal."
        return sheet.finish(alt, "True and called class at the middle threshold; shares of a row")


def plot_histogram(scores: Scores) -> Plot | None:
    """How the tumor probabilities of tumor and other slices lie, with the thresholds."""
    kinds = [
        ("no tumor", HUES[0], scores.labelled & ~scores.tumor),
        ("tumor", HUES[1], scores.tumor),
        ("no label", FAINT, ~scores.labelled),
    ]
    kinds = [kind for kind in kinds if kind[2].any()]
    with Drawing(9.6, 3.2) as sheet:
        axes = sheet.axes()
        edges = np.linspace(0, 1, 41)
        for name, hue, rows in kinds:
            values, _ = np.histogram(scores.tumor_probability[rows], edges)
            shares = values / rows.sum()
            axes.stairs(shares, edges, fill=True, color=hue, alpha=0.35)
            axes.stairs(shares, edges, color=hue, linewidth=1.4, label=f"{name} ({rows.sum():,})")
        axes.set_yscale("function", functions=(np.sqrt, np.square))
        for name, value in zip(("low", "middle", "high"), _common_thresholds(scores), strict=False):
            axes.axvline(value, color=INK, linewidth=1, linestyle="--" if name == "middle" else ":")
            axes.annotate(
                name, (value, 1), (0, 3), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", fontsize=9, color=FAINT,
            )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="tumor probability", ylabel="share of slices")
        axes.set_yticks([0, 0.01, 0.05, 0.2, 0.5, 1], ["0", "1 %", "5 %", "20 %", "50 %", "100 %"])
        axes.legend(loc="upper center")
        alt = "Histogram of tumor probabilities: " + ", ".join(
            f"median {np.median(scores.tumor_probability[rows]):.2f} of {name} slices"
            for name, _, rows in kinds
        )
        return sheet.finish(
            alt + ".",
            "Tumor probabilities and thresholds; heights on a square-root scale",
            wide=True,
        )


def plot_forest(panels: Mapping[str, Sequence[Interval]]) -> Plot | None:
    """Intervals line by line, one panel a figure.

    Args:
        panels: figure -> its lines; labels are taken together, in the order of their first use.
    """
    labels = list(dict.fromkeys(one.label for lines in panels.values() for one in lines))
    shown = labels[:MOST_LINES]
    if not shown:
        return None
    with Drawing(9.6, 0.95 + 0.31 * len(shown)) as sheet:
        many = sheet.axes(len(panels))
        sheet.figure.get_layout_engine().set(wspace=0.06)
        for axes, (name, lines) in zip(many, panels.items(), strict=True):
            for one in lines:
                if one.label in shown:
                    _draw_interval(axes, shown.index(one.label), one)
            axes.set(xlim=(-0.02, 1.02), ylim=(len(shown) - 0.4, -0.6), title=name)
            axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="y", length=0)
            axes.grid(visible=False, axis="y")
        many[0].set_yticks(
            range(len(shown)), [shorten_label(label, 34) for label in shown], color=INK
        )
        caption = "95 % intervals; a ring has none (under 20 groups)"
        if len(labels) > len(shown):
            caption += f"; {len(shown)} of {len(labels)} parts are drawn"
        alt = (
            f"Forest plot of {', '.join(panels)} for {len(shown)} parts; the table has the values."
        )
        return sheet.finish(alt, caption, wide=True)


def plot_learning(curves: Path, caption: str) -> Plot:
    """The learning curves of `plot_curves` for a page.

    Args:
        curves: the ``curves.csv`` of a run.
        caption: what run it is.
    """
    rows = _read_curves(curves)
    with Drawing(9.6, 4.4) as sheet:
        above, below = sheet.figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _draw_curves(above, below, rows, (HUES[0], HUES[1], FAINT))
        last = _column(rows, "validation_total")[-1] if rows else float("nan")
        alt = f"Learning curves of {len(rows)} epochs; last loss on held-out groups {last:.3f}."
        return sheet.finish(alt, caption, wide=True)


def plot_curves(curves: Path, picture: Path) -> None:
    """Draw learning curves: loss in training and on held-out groups, and the learning rate.

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


def open_picture(width: float, height: float) -> Any:
    """An empty figure, in inches, that no page shall hold."""
    return load("matplotlib.figure", "plots").Figure(figsize=(width, height), layout="constrained")


def save_picture(figure: Any, picture: Path, *, overwrite: bool = False) -> None:
    """Write a figure as PNG, with the sentence of research use."""
    figure.text(0.99, 0.01, RESEARCH_USE, ha="right", fontsize=7, color="#555555")
    with replace_when_done(picture, overwrite=overwrite) as partial:
        figure.savefig(partial, format="png", dpi=130)


def _read_curves(curves: Path) -> list[dict[str, str]]:
    with curves.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _draw_curves(
    above: Any, below: Any, rows: list[dict[str, str]], hues: tuple[str, str, str]
) -> None:
    epochs = list(range(1, len(rows) + 1))
    training, validation, faint = hues
    marker = "o" if len(rows) < 4 else None
    above.plot(
        epochs, _column(rows, "train_total"), color=training, marker=marker, label="training"
    )
    above.plot(
        epochs, _column(rows, "validation_total"), color=validation, marker=marker,
        label="held-out groups",
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
    """As it is typed: powers of ten would be formulas, which a page does not set."""
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


class Drawing:
    """A figure in the page's style, from its first line to its SVG."""

    def __init__(self, width: float, height: float) -> None:
        self._style = load("matplotlib", "plots").rc_context(_STYLE)
        self._size = (width, height)

    def __enter__(self) -> Drawing:
        self._style.__enter__()
        self.figure = load("matplotlib.figure", "plots").Figure(
            figsize=self._size, layout="constrained"
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._style.__exit__(*error)

    def axes(self, count: int = 0) -> Any:
        """One field, or ``count`` of them side by side that share their lines."""
        if not count:
            return self.figure.subplots()
        return self.figure.subplots(1, count, sharey=True, squeeze=False)[0]

    def finish(self, alt: str, caption: str, *, wide: bool = False) -> Plot:
        """The drawing as a block of a page."""
        stream = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        # Names of parts must differ between the drawings of a page, and not from run to run.
        load("matplotlib", "plots").rcParams["svg.hashsalt"] = caption + alt
        with warnings.catch_warnings():  # a name in a script that the measuring font lacks
            warnings.simplefilter("ignore", UserWarning)
            self.figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
        return Plot(_adopt(stream.getvalue()), alt, caption, wide)


_COLOR = re.compile(rf"(?<=[le]: )(?:{'|'.join(_VARIABLES)})(?=[;\"])")  # of fill and stroke
_FONT = re.compile(r"(?<=px; )font-family: [^;\"]*; ")  # the page has its own
_DROPPED = re.compile(
    r"<metadata>.*?</metadata>|<style type=.*?</style>| xmlns(?::xlink)?=\"[^\"]*\"", re.DOTALL
)


def _adopt(text: str) -> str:
    """The bare ``<svg>``: in the page's colours, with names of parts that no other drawing has."""
    svg = text[text.index("<svg") :].strip()
    svg = _DROPPED.sub("", re.sub(r"<g id=\"[^\"]*\"", "<g", svg))
    svg = _FONT.sub("", svg).replace("xlink:href", "href")
    head, _, body = svg.partition(">")
    head = re.sub(r" (width|height|version)=\"[^\"]*\"", "", head) + ' aria-hidden="true"'
    svg = _COLOR.sub(lambda found: f"var(--{_VARIABLES[found[0]]})", f"{head}>{body}")
    return re.sub(r"\n\s*", "\n", svg)


def _frame_square(axes: Any, across: str, up: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=across, ylabel=up)


def _draw_interval(axes: Any, line: int, one: Interval) -> None:
    if one.low is None or one.high is None:
        axes.plot([one.value], [line], "o", markersize=5.5, markerfacecolor=SHEET, color=HUES[0])
        return
    axes.plot([one.low, one.high], [line, line], color=HUES[0], linewidth=2)
    axes.plot([one.value], [line], "o", markersize=5.5, color=HUES[0])


def _split_sources(scores: Scores) -> list[tuple[str, Scores]]:
    """The largest sources, if there are several."""
    source = scores.column("source")
    names, counts = np.unique(source.astype(str), return_counts=True)
    if len(names) < 2:
        return []
    largest = names[np.argsort(-counts, kind="stable")][:MOST_SOURCES]
    return [(str(name), scores.take(source == name)) for name in largest]


def _common_thresholds(scores: Scores) -> list[float]:
    """The thresholds, if all slices share them; folds have their own."""
    first = scores.thresholds[0]
    return first.tolist() if bool((scores.thresholds == first).all()) else []


def shorten_label(name: str, most: int = 24) -> str:
    """A name as a label: printable, and short."""
    clean = "".join(letter if letter.isprintable() else "�" for letter in name) or "(none)"
    return clean if len(clean) <= most else clean[: most - 1] + "…"
