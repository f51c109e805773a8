"""The search over all rows, and before it one without each nested fold, which tells the true gain.

A search chooses the recipe whose held-out figure is best, by merit or by luck. What it found is
worth what it gives on rows that took no part in choosing: those of a nested fold.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from tumorlens.data.rows import Manifest
from tumorlens.data.splits import By, fold_manifest
from tumorlens.errors import DataError
from tumorlens.evaluation.score_files import read_scores
from tumorlens.evaluation.scores import Scores, join_scores
from tumorlens.progress import Notice, Progress
from tumorlens.training.planning import describe_run, plan_training
from tumorlens.training.recipe import Recipe
from tumorlens.training.request import Request
from tumorlens.training.rows.selection import count_label_groups
from tumorlens.tuning.gains import Figure, expect_optimism, measure_gain
from tumorlens.tuning.outcome import Gain, Trial, Tuning
from tumorlens.tuning.recipe_files import write_recipe
from tumorlens.tuning.recipe_spaces import Space
from tumorlens.tuning.searches import Pruner, Running, Search, hold
from tumorlens.tuning.trials import Task, score_recipe, try_recipe
from tumorlens.writing import open_when_done

__all__ = ["Work", "search_space"]

FEW_SLICES = 300
"""Under so many, a search finds the noise of its folds."""
_WHOLE = "all"
"""Name of the search over all rows; those of nested folds are ``without-0`` and so on."""


@dataclass(frozen=True, eq=False)
class Work:
    """What all searches of one call share.

    Attributes:
        request: rows, weights and hardware of each trial; its folder is that of the searches.
        journal: file of the trials.
        space: what is tried.
        known: name -> recipe of the first trials; the last is the base of the space.
        figure, folds, folds_by, pruner, seed: as in `tune`.
        trials: of each search.
        nested: folds that are kept from a search each; 0: none.
        notice, progress: told what happens.
    """

    request: Request
    journal: Path
    space: Space
    known: dict[str, Recipe]
    figure: Figure
    folds: int
    folds_by: By
    pruner: Pruner
    seed: int
    trials: int
    nested: int
    notice: Notice
    progress: Progress


def search_space(work: Work) -> Tuning:
    """Search without each nested fold, then over all rows; write the best recipe and a table.

    Raises:
        DataError: the rows cannot serve, or no trial ended well.
    """
    rows = work.request.manifest
    warning = _warn(work)
    if warning:
        work.notice(f"warning: {warning}")
    nested_gains = _measure_nested(work) if work.nested else []
    search, task = _search(work, _WHOLE, rows)
    best = _find_best(search)
    recipe = _name_best(task.find_recipe(best))
    tuning = Tuning(
        figure=work.figure,
        trials=search.trials,
        best=recipe,
        best_number=best.number,
        best_file=work.request.folder / "best.toml",
        importances=search.weigh_keys(),
        gains=list(_compare(task, search, best)),
        nested_gains=nested_gains,
        folder=work.request.folder,
        warning=warning,
        slices=len(rows),
        groups=len(rows.groups),
    )
    with hold(work.request.folder / "results.lock"):  # several processes may end at once
        _write(tuning)
    return tuning


def _warn(work: Work) -> str:
    """What a search can seem to gain by luck alone, where slices are few."""
    rows = work.request.manifest
    judged = rows if work.request.left_out is None else work.request.left_out
    if len(judged) >= FEW_SLICES:
        return ""
    counts = count_label_groups(judged.rows)
    luck = expect_optimism(counts["tumor"], counts["no_tumor"], work.trials)
    told = (
        f"{len(judged)} slices of {len(judged.groups)} groups are few: the best of {work.trials} "
        f"recipes that are all equally good (AUC 0.95) would seem better by about {luck:.3f}. "
    )
    if work.nested:
        return told + f"Believe the gain on the {work.nested} nested folds, which took no part"
    return told + "Nothing here tells merit from luck: give nested folds, or other test slices"


def _search(work: Work, name: str, rows: Manifest) -> tuple[Search, Task]:
    """Trials over some of the rows, until there are enough."""
    request, folder = work.request, work.request.folder / name
    if request.left_out is None:
        parted, notes = fold_manifest(rows, folds=work.folds, seed=work.seed, by=work.folds_by)
        for note in notes:
            work.notice(note)
    else:
        parted = rows
    request = replace(request, manifest=parted)
    task = Task(request, work.folds, work.folds_by, work.figure, folder, work.space, work.known)
    search = Search(
        journal=work.journal,
        folder=folder,
        name=name,
        space=work.space,
        known=tuple(work.known),
        maximize=work.figure == "auc",
        pruner=work.pruner,
        seed=work.seed,
        asked=_describe(work, request),
    )
    search.run(work.trials, partial(_attempt, work, task, name))
    return search, task


def _describe(work: Work, request: Request) -> dict[str, Any]:
    """What must be the same for a search to go on, by names that a message can use."""
    described = describe_run(request, plan_training(request))
    described.pop("recipe")
    return {
        "data": json.dumps(described, sort_keys=True),
        "recipes": {name: recipe.to_record() for name, recipe in work.known.items()},
        "space": work.space.to_record(),
        "figure": work.figure,
        "folds": [work.folds, work.folds_by],
        "seed": work.seed,
    }


def _attempt(work: Work, task: Task, name: str, running: Running) -> float:
    """One trial, told in a line: what was tried, and what came of it."""
    where = "" if name == _WHOLE else f"{name}, "
    title = f"{where}trial {running.number + 1} of {work.trials}"
    tried = running.recipe or ", ".join(f"{key} {value}" for key, value in running.values.items())
    work.notice(f"{title}: {tried}")

    def count(what: str, done: int, total: int) -> None:
        work.progress(f"{title}, {what}", done, total)

    value = try_recipe(replace(task, request=replace(task.request, progress=count)), running)
    work.notice(f"{title}: {work.figure} {value:.4f}")
    return value


def _measure_nested(work: Work) -> list[Gain]:
    """Gains over the known recipes on rows that took no part in choosing."""
    rows = work.request.manifest
    parted, _ = fold_manifest(rows.without_splits(), folds=work.nested, seed=work.seed + 1)
    tables: dict[str, list[Scores]] = {}
    for fold in sorted({row.split for row in parted.rows}):
        name = f"without-{fold}"
        kept, held = parted.hold_out(fold)
        search, task = _search(work, name, kept)
        best = _find_best(search)
        request = replace(work.request, manifest=kept, left_out=held)
        work.notice(f"{name}: trial {best.number + 1} is best; it and the known recipes are scored")
        recipes = {"best": task.find_recipe(best), **work.known}
        for which, scores in _score_all(request, recipes, task.folder).items():
            tables.setdefault(which, []).append(scores.of_fold(fold))
    joined = {which: join_scores(parts) for which, parts in tables.items()}
    return [
        measure_gain(joined["best"], joined[which], work.figure, over=which, nested=True)
        for which in work.known
    ]


def _score_all(request: Request, recipes: dict[str, Recipe], folder: Path) -> dict[str, Scores]:
    """Held-out scores of each recipe; equal recipes are trained once."""
    scores: dict[str, Scores] = {}
    for name, recipe in reversed(recipes.items()):  # the best last, so that it may be a known one
        same = next((which for which in scores if recipes[which] == recipe), None)
        if same is None:
            scores[name] = score_recipe(replace(request, recipe=recipe), folder / f"{name}.csv")
        else:
            scores[name] = scores[same]
    return scores


def _compare(task: Task, search: Search, best: Trial) -> Iterator[Gain]:
    """The best trial beside the known ones, on the rows that it was chosen by."""
    chosen = read_scores(task.file_of(best.number))
    for one in search.trials:
        if one.recipe and one.value is not None:
            known = read_scores(task.file_of(one.number))
            yield measure_gain(chosen, known, task.figure, over=one.recipe, nested=False)


def _find_best(search: Search) -> Trial:
    best = search.best
    if best is None:
        notes = {one.note for one in search.trials if one.note}
        raise DataError(f"{search.journal}: no trial ended well: {'; '.join(sorted(notes))}")
    return best


def _name_best(recipe: Recipe) -> Recipe:
    return msgspec.structs.replace(recipe, name=f"{recipe.name}-tuned", published={})


def _write(tuning: Tuning) -> None:
    """The best recipe as TOML, and all trials as a table."""
    remarks = (f"Trial {tuning.best_number + 1} of {len(tuning.trials)} of tumorlens tune.",)
    write_recipe(tuning.best_file, tuning.best, remarks)
    keys = list(dict.fromkeys(key for one in tuning.trials for key in one.values))
    with open_when_done(tuning.folder / "leaderboard.csv", overwrite=True) as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["trial", "state", tuning.figure, "recipe", *keys, "note"])
        for one in tuning.ranked:
            value = "" if one.value is None else repr(one.value)
            cells = [one.values.get(key, "") for key in keys]
            table.writerow([one.number + 1, one.state, value, one.recipe, *cells, one.note])
