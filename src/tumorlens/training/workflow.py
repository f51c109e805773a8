"""`train`: from labelled slices and a recipe to one model file, in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tumorlens.arguments import check_arguments
from tumorlens.data.choosing import Choice, DataSource, choose_rows
from tumorlens.data.rows import Manifest
from tumorlens.data.splits import By
from tumorlens.data.splits import leave_out as part_off
from tumorlens.errors import UsageError
from tumorlens.progress import Notice, Progress, stay_silent
from tumorlens.training.allocator import start_torch
from tumorlens.training.recipe import Recipe, read_recipe

if TYPE_CHECKING:
    from tumorlens.training.result import TrainingResult
    from tumorlens.training.tracking.experiment_logs import LoggerName

__all__ = ["train"]

PathLike = str | os.PathLike[str]


@check_arguments()
def train(
    *data: DataSource,
    output: PathLike,
    recipe: Recipe | str | Path = "seed",
    settings: str | Iterable[str] = (),
    weights: str | Path | Sequence[str | Path] | None = None,
    teachers: Sequence[str | Path] = (),
    leave_out: str | Sequence[str] = (),
    folds: int | None = None,
    folds_by: By = "group",
    classes: Mapping[str, str] | None = None,
    shared_groups: bool | None = None,
    twins: bool | None = None,
    store: PathLike | None = None,
    loggers: LoggerName | Sequence[LoggerName] = (),
    skip_unreadable: bool = False,
    drop_conflicts: bool = False,
    device: str = "cpu",
    devices: int = 1,
    nodes: int = 1,
    threads: int | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> TrainingResult:
    """Train a model on labelled slices, calibrate it, and test it on slices that it never saw.

    The folder ``output`` gets ``model.onnx``, ``run.json`` (recipe and data as used),
    ``curves.csv``, ``scores.csv`` (of the test) and ``figures.json``. A training that was broken
    there goes on, and gives the same bits as one that was not.

    Args:
        data: folders of class folders, manifests as CSV, or `Manifest` objects.
        output: folder of the run; made if missing.
        recipe: name of a recipe of tumorlens, a TOML file, or a `Recipe`.
        settings: changes of the recipe as ``"key=value"``, e.g. ``"loss.cells=1.0"``.
        weights: ImageNet weights, or a model of tumorlens to go on from: its file, or a name such
            as ``default``. Several models that were trained from one start give the mean of their
            weights. By default what the environment variable ``TUMORLENS_WEIGHTS`` names, else
            torchvision's published file.
        teachers: models to learn from beside the labels; their mean counts.
        leave_out: sources or sets to test the model on; they are never trained on.
        folds: train this many models, each on all but one fold, and test each on that fold.
        folds_by: what a fold keeps whole: ``group`` (patient) or ``source``.
        classes: name of a class folder -> ``tumor``, ``no_tumor``, a tumor class, or ``skip``.
        shared_groups: whether a group's name means the same patient in all sets.
        twins: whether copies of one picture are joined into one group; by default they are where a
            row has no group.
        store: folder of prepared pictures, for further trainings on the same data.
        loggers: who else gets the learning curves and the recipe: ``csv``, ``tensorboard``,
            ``mlflow``. The logs are in the folder ``logs`` of the run. Those of MLflow are where
            the environment variable ``MLFLOW_TRACKING_URI`` says, if it is set.
        skip_unreadable: go on without pictures that cannot be read.
        drop_conflicts: go on without pictures that have two labels.
        device: ``cpu``, ``cuda`` or ``mps``.
        devices: how many of them train together, on each node.
        nodes: how many machines train together. On each, torchrun or Slurm must start this call
            ``devices`` times. The process of rank 0 writes the run; the results of the others are
            empty (`TrainingResult.rank`).
        threads: to work with on the processor; by default one for each core.
        progress: called with (what is going on, units done, units in all).
        notice: called with a sentence: each epoch, and what was found on the way.

    Returns:
        The model file, the scores and figures of its test, and what to know about them.

    Raises:
        RecipeError: no such recipe, or it contradicts itself.
        DataError: data, weights, an earlier run or the disk that cannot serve.
        UsageError: arguments that contradict each other, no such device, other processes than
            ``nodes`` and ``devices`` need, or a tracking server that cannot be reached.
        ModelFileError: a teacher, or the model to start from, cannot be loaded.
        MissingExtra: torch or another library of the extra ``train`` is not installed, or that of
            a logger.
    """
    if folds and leave_out:
        raise UsageError("`folds=` and `leave_out=` contradict each other; give one of them")
    start_torch()
    # These need torch, whose memory must be settled before it is imported.
    from tumorlens.training.folds import train_folds
    from tumorlens.training.hardware import Hardware
    from tumorlens.training.request import Request
    from tumorlens.training.run import train_model
    from tumorlens.training.tracking.experiment_logs import Tracking, check_loggers

    settled = read_recipe(recipe, [settings] if isinstance(settings, str) else settings)
    # Before anything is read: what is not there is said at once.
    hardware = Hardware(device, devices, threads, nodes)
    if folds and hardware.cluster is not None:
        raise UsageError(
            "`folds=` needs one machine, without torchrun or srun; leave it out, or `nodes=`"
        )
    told, counted = notice or stay_silent, progress or stay_silent
    if hardware.rank:  # the first process speaks for all
        told, counted = stay_silent, stay_silent
    logging = tuple(dict.fromkeys((loggers,) if isinstance(loggers, str) else loggers))
    check_loggers(logging)
    choice = Choice(None, classes, shared_groups, twins)
    whole = choose_rows(data, choice, threads=threads, progress=counted, notice=told).manifest
    names = (leave_out,) if isinstance(leave_out, str) else tuple(leave_out)
    kept, left_out, counts = _leave_out(whole, names)
    request = Request(
        recipe=settled,
        manifest=kept,
        folder=Path(output),
        left_out=left_out,
        left_out_counts=counts,
        weights=(weights,) if isinstance(weights, str | os.PathLike) else tuple(weights or ()),
        teachers=tuple(teachers),
        store=None if store is None else Path(store),
        skip_unreadable=skip_unreadable,
        drop_conflicts=drop_conflicts,
        hardware=hardware,
        notice=told,
        progress=counted,
        tracking=Tracking(logging, Path(output) / "logs") if logging else None,
    )
    return train_folds(request, folds, folds_by) if folds else train_model(request)


def _leave_out(
    whole: Manifest, names: tuple[str, ...]
) -> tuple[Manifest, Manifest | None, dict[str, int]]:
    """Rows to train on, rows to test on, and how many rows are not trained on, by reason."""
    if not names:
        return whole, None, {}
    kept, left_out, neither = part_off(whole, names)
    counts = {" + ".join(names): len(left_out)}
    if len(neither):
        counts["rows that share a group with them"] = len(neither)
    return kept, left_out, counts
