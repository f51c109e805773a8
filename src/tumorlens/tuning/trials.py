"""One trial: train a recipe as `train` does, and score the rows that it never saw."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path

from tumorlens.data.splits import By
from tumorlens.errors import RecipeError
from tumorlens.evaluation.score_files import read_scores, write_scores
from tumorlens.evaluation.scores import Scores
from tumorlens.training.recipe import Recipe
from tumorlens.training.request import Request
from tumorlens.tuning.gains import Figure, measure_figure
from tumorlens.tuning.outcome import Trial
from tumorlens.tuning.recipe_spaces import Space
from tumorlens.tuning.searches import Pruned, Running, hold

__all__ = ["Task", "score_recipe", "try_recipe"]


@dataclass(frozen=True, eq=False)
class Task:
    """What all trials of a search share.

    Attributes:
        request: rows, weights, hardware; its recipe and folder are those of no trial. Rows that
            are left out are what each trial is judged on; else its rows are parted into folds.
        folds: number of folds.
        folds_by: what a fold keeps whole.
        figure: that is climbed by.
        folder: of the search.
        space: what is tried.
        known: name -> recipe.
    """

    request: Request
    folds: int
    folds_by: By
    figure: Figure
    folder: Path
    space: Space
    known: dict[str, Recipe]

    def find_recipe(self, trial: Running | Trial) -> Recipe:
        """The recipe of a trial.

        Raises:
            RecipeError: its values contradict each other.
        """
        known = self.known.get(trial.recipe)
        return known if known is not None else self.space.make_recipe(trial.values)

    def file_of(self, number: int) -> Path:
        """Held-out scores of a trial."""
        return self.folder / f"{number:04}.csv"


def try_recipe(task: Task, running: Running) -> float:
    """The figure of a trial on held-out rows; its scores stay in the folder of the search.

    Raises:
        Pruned: it is behind the others after an epoch of its first fold.
        ValueError: its values contradict each other, its loss is no number any more, or a fold
            holds one label only.
    """
    try:
        recipe = task.find_recipe(running)
    except RecipeError as error:
        raise ValueError(str(error)) from None
    # Both load what every step of a training needs.
    from tumorlens.training.folds import train_folds
    from tumorlens.training.run import train_model

    folder = task.folder / f"{running.place:04}"
    watch = _FirstFold(recipe, task.figure, running.report)
    request = replace(task.request, recipe=recipe.without_test(), folder=folder, watch=watch)
    try:
        if request.left_out is None:
            scores = train_folds(request, task.folds, task.folds_by).test
        else:
            scores = train_model(request).test
    except Pruned:
        shutil.rmtree(folder)  # nothing goes on there; after any other end, something does
        raise
    except RecipeError as error:
        shutil.rmtree(folder)
        raise ValueError(str(error).partition(";")[0]) from None  # without advice for one training
    if scores is None:
        raise RuntimeError("a trial holds no row back")
    write_scores(task.file_of(running.number), scores, overwrite=True)
    shutil.rmtree(folder)
    value = measure_figure(scores, task.figure)
    if isnan(value):
        raise ValueError("a fold holds slices of one label only")
    return value


def score_recipe(request: Request, file: Path) -> Scores:
    """Train one model, and score the rows that the request leaves out; what is done is read.

    Of several processes that ask for the same file one trains, and the others wait for it.
    """
    from tumorlens.training.run import train_model

    with hold(file.with_suffix(".lock")):
        if not file.exists():
            folder = file.with_suffix("")
            asked = replace(request, recipe=request.recipe.without_test(), folder=folder)
            scores = train_model(asked).test
            if scores is None:
                raise RuntimeError("nothing was left out to score")
            write_scores(file, scores)
            shutil.rmtree(folder)
    return read_scores(file)


class _FirstFold:
    """Hands the figures of each epoch on, until another fold begins."""

    def __init__(
        self, recipe: Recipe, figure: Figure, report: Callable[[int, float], None]
    ) -> None:
        self.recipe, self.figure, self.report = recipe, figure, report
        self.last, self.ended = 0, False

    def __call__(self, phase: int, epoch: int, figures: dict[str, float]) -> None:
        place = sum(one.epochs for one in self.recipe.phases[:phase]) + epoch
        self.ended = self.ended or place <= self.last
        self.last = place
        if not self.ended:
            self.report(place, figures[self.figure])
