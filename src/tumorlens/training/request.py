"""`Request`: the options of a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tumorlens.data.rows import Manifest
from tumorlens.digits import say_count
from tumorlens.errors import RecipeError
from tumorlens.progress import Notice, Progress, stay_silent
from tumorlens.training.hardware import Hardware
from tumorlens.training.recipe import Recipe
from tumorlens.training.tracking.experiment_logs import Tracking

__all__ = ["Request", "Watch"]

Watch = Callable[[int, int, dict[str, float]], None]
"""Called with the number of the phase, from 0, that of its epoch, from 1, and the figures ``auc``
and ``loss`` of the validation groups."""


@dataclass(frozen=True)
class Request:
    """The options of one training.

    Attributes:
        recipe: the recipe of the training.
        manifest: labelled rows. Rows of its split ``test`` are used for the test only.
        folder: folder of the run; made if missing. An interrupted run in it is resumed.
        left_out: more rows for the test, from sources that are kept out of training.
        left_out_counts: name -> rows that were left out on request, for the card.
        weights: files of initial weights, as `find_weights` takes them; none: its default. Several
            models of tumorlens give the mean of their weights.
        teachers: names or files of models whose outputs the network also learns.
        store: folder of prepared images that trainings share; None: each prepares its own.
        skip_unreadable: go on without pictures that cannot be read.
        drop_conflicts: go on without pictures that have two labels.
        hardware: where it runs.
        notice: called with a sentence for each event.
        progress: called with (what, done, all) while images are prepared, trained on or scored.
        watch: told after each epoch; what it raises ends the training.
        tracking: who else gets the learning curves.

    Raises:
        RecipeError: teachers are given but ``loss.teacher`` is 0, or the other way round.
    """

    recipe: Recipe
    manifest: Manifest
    folder: Path
    left_out: Manifest | None = None
    left_out_counts: dict[str, int] = field(default_factory=dict)
    weights: tuple[str | Path, ...] = ()
    teachers: tuple[str | Path, ...] = ()
    store: Path | None = None
    skip_unreadable: bool = False
    drop_conflicts: bool = False
    hardware: Hardware = field(default_factory=Hardware)
    notice: Notice = stay_silent
    progress: Progress = stay_silent
    watch: Watch | None = None
    tracking: Tracking | None = None

    def __post_init__(self) -> None:
        count, weight = len(self.teachers), self.recipe.loss.teacher
        if count and not weight:
            given = say_count(count, "teacher was", "teachers were")
            dropped = "the teacher" if count == 1 else "the teachers"
            raise RecipeError(
                f"{given} given but `loss.teacher` is 0: set it above 0 or drop {dropped}"
            )
        if weight and not count:
            raise RecipeError(
                f"`loss.teacher` is {weight} but no teacher was given: give a model as "
                "`teachers=`, or set it to 0"
            )

    def count(self, what: str) -> Callable[[int, int], None]:
        """``progress`` for one kind of work, as those who do it report it: (done, all)."""
        return partial(self.progress, what)
