"""Plots of an audit: the composition of a set, and the properties that predict its labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tumorlens.auditing.findings import Clue
from tumorlens.data.rows import Row
from tumorlens.report.drawing import FAINT, HUES, INK, Drawing, draw_twice, shorten_label
from tumorlens.report.pages import Plot

__all__ = ["plot_clues", "plot_composition"]

MOST_BARS = 20
"""Sources that get a bar of their own, the largest first."""

MOST_CLUES = 10
"""Properties that are drawn for each place."""

_CLASSES = ("no_tumor", "tumor", "glioma", "meningioma", "pituitary")


def plot_composition(rows: Sequence[Row], column: str) -> Plot | None:
    """Shares of the classes for each value of a column. One colour means one class.

    Args:
        rows: of the set.
        column: ``source``, ``sequence`` or ``split``.

    Returns:
        None if the column is empty.
    """
    counts = Counter((getattr(row, column), row.class_name) for row in rows)
    sizes = Counter(getattr(row, column) for row in rows)
    if not any(sizes):
        return None
    names = [name for name, _ in sizes.most_common(MOST_BARS)]
    kinds = sorted({kind for _, kind in counts}, key=_order)
    alt, caption = _tell(column, sizes, counts, names)

    def paint(sheet: Drawing, narrow: bool) -> None:
        axes = sheet.axes()
        start = [0.0] * len(names)
        for kind in kinds:
            shares = [counts[name, kind] / sizes[name] for name in names]
            axes.barh(
                range(len(names)), shares, 0.72, start, color=_hue(kind, kinds), alpha=0.75,
                label=kind.replace("_", " ") or "no label",
            )  # fmt: skip
            start = [one + share for one, share in zip(start, shares, strict=True)]
        for line, name in enumerate(names):
            axes.text(1.01, line, f"{sizes[name]:,}", va="center", color=INK)
        axes.set(xlim=(0, 1.0), ylim=(len(names) - 0.5, -0.5))
        shown = [shorten_label(name, 16 if narrow else 30) for name in names]
        axes.set_yticks(range(len(names)), shown, color=INK)
        axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        sheet.figure.legend(loc="outside upper left", ncols=min(2 if narrow else 6, len(kinds)))

    height = 0.34 * len(names)
    heights = (1.1 + height, 1.1 + 0.2 * ((len(kinds) - 1) // 2) + height)
    return draw_twice(paint, heights, alt=alt, caption=caption)


def plot_clues(clues: Sequence[Clue], place: str) -> Plot | None:
    """Plot how well each property alone predicts the label, for the strongest of them."""
    chosen = [clue for clue in clues if clue.place == place][:MOST_CLUES]
    if not chosen:
        return None
    what = "the files" if place == "file" else "the prepared images"
    with Drawing(4.6, 0.9 + 0.3 * len(chosen)) as sheet:
        axes = sheet.axes()
        for line, clue in enumerate(chosen):
            hue = HUES[1] if clue.larger else HUES[0]
            axes.barh(line, clue.auc - 0.5, 0.7, 0.5, color=hue, alpha=0.75)
            axes.text(clue.auc + 0.01, line, f"{clue.auc:.2f}", va="center", color=FAINT)
        axes.set(
            xlim=(0.5, 1.06), ylim=(len(chosen) - 0.5, -0.5), xlabel="AUC of the property alone"
        )
        axes.set_xticks([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
        axes.set_yticks(range(len(chosen)), [clue.trait for clue in chosen], color=INK)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        best = chosen[0]
        way = "larger" if best.larger else "smaller"
        alt = f"Properties of {what}; the best: {best.trait}, {way} with tumor, {best.auc:.2f}"
        caption = f"Properties of {what}. Orange: larger with a tumor. Blue: smaller with a tumor"
        return sheet.finish(f"{alt}.", caption)


def _order(kind: str) -> tuple[int, str]:
    known = _CLASSES.index(kind) if kind in _CLASSES else len(_CLASSES) + (not kind)
    return known, kind


def _hue(kind: str, kinds: Sequence[str]) -> str:
    return HUES[kinds.index(kind) % len(HUES)] if kind else FAINT


def _tell(
    column: str, sizes: Counter[str], counts: Counter[tuple[str, str]], names: Sequence[str]
) -> tuple[str, str]:
    single = sum(
        max(count for (one, _), count in counts.items() if one == name) == sizes[name]
        for name in sizes
    )
    alt = f"Shares of the classes by {column}: {single} of {len(sizes)} hold only one class."
    caption = f"Classes by {column}. The number of slices is on the right"
    if len(names) < len(sizes):
        caption += f"; the largest {len(names)} of {len(sizes)}"
    return alt, caption
