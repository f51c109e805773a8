"""A search as plots: how the best figure grew, and which keys of the recipe mattered."""

from __future__ import annotations

from tumorlens.digits import say_share
from tumorlens.report.drawing import FAINT, HUES, INK, Drawing, draw_twice
from tumorlens.report.pages import Plot
from tumorlens.report.tunings.tuning_tables import FIGURE_NAMES
from tumorlens.tuning.outcome import Trial, Tuning

__all__ = ["plot_history", "plot_importances"]


def plot_history(found: Tuning) -> Plot:
    """Each complete trial in its order, and the best so far."""
    done = [(one, one.value) for one in found.trials if one.value is not None]
    places = [one.number + 1 for one, _ in done]
    values = [value for _, value in done]
    pick = max if found.figure == "auc" else min
    best = [pick(values[: place + 1]) for place in range(len(values))]
    pruned = sum(one.state == "pruned" for one in found.trials)
    name = FIGURE_NAMES[found.figure]
    alt = f"{name} of {len(done)} trials in their order; the best is {best[-1]:.4f}."

    def paint(sheet: Drawing, narrow: bool) -> None:
        axes = sheet.axes()
        axes.step(places, best, where="post", color=HUES[0], label="best so far")
        axes.scatter(places, values, s=18, color=HUES[1], label="one trial", zorder=3)
        for one, value in done:
            if one.recipe:
                _mark(axes, one, value)
        axes.set_xlabel("trial")
        axes.set_ylabel(f"{name} on held-out slices")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="lower right" if found.figure == "auc" else "upper right")

    caption = "Trials in their order"
    if pruned:
        caption += f"; {pruned} that were ended early are left out"
    return draw_twice(paint, (3.4, 3.4), alt=alt, caption=caption)


def plot_importances(found: Tuning) -> Plot:
    """Share of each key of the recipe in the spread of the figure."""
    shares = sorted(found.importances.items(), key=lambda pair: pair[1])
    alt = ", ".join(f"{key} {say_share(share)}" for key, share in reversed(shares))

    def paint(sheet: Drawing, narrow: bool) -> None:
        axes = sheet.axes()
        bars = axes.barh([key for key, _ in shares], [share for _, share in shares], color=HUES[0])
        axes.bar_label(bars, [say_share(share) for _, share in shares], padding=3, color=INK)
        axes.set_xlim(0, 1.1)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("share in the spread of the figure")

    height = 1.0 + 0.32 * len(shares)
    return draw_twice(
        paint, (height, height), alt=alt, caption="Which keys mattered (fANOVA over all trials)"
    )


def _mark(axes: object, one: Trial, value: float) -> None:
    """The name of a known recipe beside its point."""
    axes.annotate(  # type: ignore[attr-defined]
        one.recipe, (one.number + 1, value), xytext=(5, -11), textcoords="offset points",
        fontsize=9, color=FAINT,
    )  # fmt: skip
