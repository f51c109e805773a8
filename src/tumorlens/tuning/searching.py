"""`tune`: search a space of recipes for the one that does best on held-out slices."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tumorlens.arguments import check_arguments
from tumorlens.data.choosing import Choice, DataSource, choose_rows
from tumorlens.data.splits import By
from tumorlens.data.splits import leave_out as part_off
from tumorlens.errors import UsageError
from tumorlens.optional import load
from tumorlens.progress import Notice, Progress, stay_silent
from tumorlens.training.allocator import start_torch
from tumorlens.training.recipe import Recipe, read_recipe
from tumorlens.tuning.gains import Figure
from tumorlens.tuning.outcome import Tuning
from tumorlens.tuning.recipe_spaces import read_space
from tumorlens.tuning.searches import Pruner

__all__ = ["list_known", "tune"]

PathLike = str | os.PathLike[str]

FOLDS, NESTED = 3, 5


@check_arguments()
def tune(
    *data: DataSource,
    space: PathLike,
    trials: int,
    storage: PathLike,
    recipe: Recipe | str | Path = "release",
    settings: str | Iterable[str] = (),
    paper: bool = True,
    figure: Figure = "auc",
    folds: int | None = None,
    folds_by: By = "group",
    leave_out: str | Sequence[str] = (),
    nested: int | None = None,
    pruner: Pruner = "median",
    seed: int = 0,
    weights: str | Path | Sequence[str | Path] | None = None,
    classes: Mapping[str, str] | None = None,
    shared_groups: bool | None = None,
    twins: bool | None = None,
    store: PathLike | None = None,
    skip_unreadable: bool = False,
    drop_conflicts: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> Tuning:
    """Search a space of recipes for the one that does best on held-out slices.

    The recipe of the paper and ``recipe`` are the first trials, so that a gain stands beside them.
    Rows of the split ``test``, and those that ``recipe`` would test on, take no part. A search that
    was broken off goes on where it was, and several processes may share one ``storage``.
    The folder beside ``storage``, of its name with ``.runs``, gets ``best.toml``, which `train`
    takes, ``leaderboard.csv``, and the held-out scores of each trial.

    Args:
        data: folders of class folders, manifests as CSV, or `Manifest` objects.
        space: TOML file: dotted keys of the recipe with their ranges or choices.
        trials: in all, those of other processes and of earlier starts included.
        storage: file that the trials are written to; made if missing.
        recipe: that the space changes: a name of tumorlens, a TOML file, or a `Recipe`.
        settings: changes of the recipe as ``"key=value"``, for all trials but the paper's.
        paper: whether the first trial is the recipe of the paper, which takes hours on many data.
        figure: that is searched for on held-out slices: ``auc``, or ``loss``, the less the better.
        folds: each trial trains so many models, each on all folds but one; by default 3.
        folds_by: what a fold keeps whole: ``group`` (patient) or ``source``.
        leave_out: sources or sets that each trial is judged on, in place of folds.
        nested: folds that are kept from a search each, to tell its true gain; 0: none. By default
            5 under 300 slices, else none. The whole search is repeated for each.
        pruner: which rule ends a trial early by the epochs of its first fold: ``median``,
            ``hyperband`` or ``none``.
        seed: of folds and of the values that are drawn.
        weights, classes, shared_groups, twins, store, skip_unreadable, drop_conflicts: as in
            `train`.
        device: ``cpu``, ``cuda`` or ``mps``.
        threads: to work with on the processor; by default one for each core.
        progress: called with (what is going on, units done, units in all).
        notice: called with a sentence: each trial, and what was found on the way.

    Returns:
        The trials, the best recipe, and its gain over the known ones with intervals.

    Raises:
        RecipeError: no such recipe, or the space does not fit it.
        DataError: data, weights or the disk that cannot serve, or no trial that ended well.
        UsageError: arguments that contradict each other, or the storage holds another search.
        MissingExtra: Optuna or a library of the extra ``train`` is not installed.
    """
    names = (leave_out,) if isinstance(leave_out, str) else tuple(leave_out)
    if names and (folds or nested):
        raise UsageError(
            "`leave_out=` judges all trials on whole sources, which contradicts `folds=` and "
            "`nested=`; give one of them"
        )
    told, counted = notice or stay_silent, progress or stay_silent
    base = read_recipe(recipe, [settings] if isinstance(settings, str) else settings)
    wanted = read_space(Path(space), base)
    load("optuna", "a search")
    start_torch()
    # These need torch, whose memory must be settled before it is imported.
    from tumorlens.training.hardware import Hardware
    from tumorlens.training.request import Request
    from tumorlens.training.rows.selection import hold_out_test
    from tumorlens.tuning.nested_search import FEW_SLICES, Work, search_space

    hardware = Hardware(device, 1, threads)
    choice = Choice(None, classes, shared_groups, twins)
    whole = choose_rows(data, choice, threads=threads, progress=counted, notice=told).manifest
    rows, test = hold_out_test(whole, base)
    if test.rows:
        told(f"{len(test)} test slices of {len(test.groups)} groups take no part in the search")
    left_out = None
    if names:
        rows, left_out, _ = part_off(rows, names)
    folder = Path(storage).with_suffix(".runs")
    request = Request(
        recipe=base,
        manifest=rows,
        folder=folder,
        left_out=left_out,
        weights=(weights,) if isinstance(weights, str | os.PathLike) else tuple(weights or ()),
        store=folder / "prepared" if store is None else Path(store),
        skip_unreadable=skip_unreadable,
        drop_conflicts=drop_conflicts,
        hardware=hardware,
    )
    few = len(rows) < FEW_SLICES and not names
    return search_space(
        Work(
            request=request,
            journal=Path(storage),
            space=wanted,
            known=list_known(base, paper),
            figure=figure,
            folds=folds or FOLDS,
            folds_by=folds_by,
            pruner=pruner,
            seed=seed,
            trials=trials,
            nested=(NESTED if few else 0) if nested is None else nested,
            notice=told,
            progress=counted,
        )
    )


def list_known(base: Recipe, paper: bool) -> dict[str, Recipe]:
    """Name -> recipe of the first trials: the paper's, if wanted, and the one that is changed."""
    first = read_recipe("seed")
    if not paper or base == first:
        return {base.name: base}
    name = f"{base.name}, changed" if base.name == first.name else base.name
    return {first.name: first, name: base}
