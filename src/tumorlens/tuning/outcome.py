"""What a search leaves: its trials, the recipe that did best, and what the gain is worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tumorlens.training.recipe import Recipe

__all__ = ["Gain", "Trial", "Tuning"]


@dataclass(frozen=True)
class Trial:
    """One recipe that was tried.

    Attributes:
        number: from 0, in the order in which the trials began.
        state: ``complete``; ``pruned`` if it was ended early for being behind the others; or
            ``failed``.
        value: the figure on held-out slices; None unless complete.
        recipe: name of the known recipe that it is; empty where values of the space were tried.
        values: dotted key of the recipe -> the value that was tried.
        curve: epoch -> the figure on the validation groups of the first fold.
        note: why it failed.
    """

    number: int
    state: Literal["complete", "pruned", "failed"]
    value: float | None = None
    recipe: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    curve: dict[int, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Gain:
    """One figure of the chosen recipe and of a known one, on the same held-out slices.

    Attributes:
        over: name of the known recipe.
        value: of the chosen recipe.
        other: of the known one.
        difference: value minus other.
        low, high: 95 % interval of the difference, paired, by bootstrap over groups; None where
            no draw of groups changed it.
        groups: of the rarer label.
        nested: whether the slices took no part in choosing the recipe.
    """

    over: str
    value: float
    other: float
    difference: float
    low: float | None
    high: float | None
    groups: int
    nested: bool


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Attributes:
        figure: that was searched for: ``auc``, or ``loss``, of which less is better.
        trials: of the search over all rows, in their order.
        best: recipe of the best trial.
        best_number: its number.
        best_file: the recipe as TOML, which `train` takes.
        importances: dotted key -> its share in the spread of the figure; empty under ten trials.
        gains: over each known recipe on the slices that the recipe was chosen by: too good.
        nested_gains: the same on slices that took no part; empty without nested folds.
        folder: of what the trials left.
        warning: how much a search can overfit here; empty where there are enough slices.
        slices, groups: that the search had.
    """

    figure: Literal["auc", "loss"]
    trials: list[Trial]
    best: Recipe
    best_number: int
    best_file: Path
    importances: dict[str, float]
    gains: list[Gain]
    nested_gains: list[Gain]
    folder: Path
    warning: str
    slices: int
    groups: int

    @property
    def ranked(self) -> list[Trial]:
        """The trials, the best first; those without a figure last."""
        sign = -1 if self.figure == "auc" else 1
        return sorted(
            self.trials, key=lambda one: (one.value is None, sign * (one.value or 0.0), one.number)
        )
