"""Runs the phases of a recipe with Lightning: checkpoints, resuming, learning curves."""

from __future__ import annotations

import csv
import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from tumorlens.errors import DataError
from tumorlens.network.assembly import TumorNetwork
from tumorlens.progress import Notice, Progress
from tumorlens.training.hardware import Hardware
from tumorlens.training.journal import CURVES
from tumorlens.training.learning.batch import Batch
from tumorlens.training.learning.dataset import Draws
from tumorlens.training.learning.losses import LOSS_NAMES
from tumorlens.training.learning.module import (
    MovingAverage,
    TumorModule,
    freeze_backbone,
    make_adversary,
)
from tumorlens.training.learning.teaching import Teachers
from tumorlens.training.learning.telling import EpochTeller, EpochWatcher
from tumorlens.training.recipe import Recipe
from tumorlens.training.rows.prepared_rows import PreparedRows
from tumorlens.writing import open_when_done, replace_when_done

__all__ = ["count_seconds", "load_checkpoint", "run_phases"]

WATCHED = 512
"""Largest number of validation rows used after each epoch. Calibration uses all of them."""

_COLUMNS = (
    "phase",
    "epoch",
    "learning_rate",
    *(f"train_{name}" for name in LOSS_NAMES),
    "validation_total",
    "validation_picture",
    "validation_auc",
    "seconds",
)


def run_phases(
    network: TumorNetwork,
    recipe: Recipe,
    *,
    prepared: PreparedRows,
    training: npt.NDArray[np.intp],
    validation: npt.NDArray[np.intp],
    folder: Path,
    hardware: Hardware,
    teachers: Teachers | None = None,
    notice: Notice | None = None,
    progress: Progress | None = None,
    watch: Callable[[int, int, dict[str, float]], None] | None = None,
) -> None:
    """Train ``network`` in place, phase by phase. An interrupted run resumes.

    Each phase leaves ``<phase>.pt`` when it ends and ``<phase>.ckpt`` after each epoch.

    Args:
        training, validation: indices into ``prepared``.
        folder: folder of the run.
        teachers: models whose outputs the network also learns, if there are any.
        notice: called with one line at the start of each phase and after each epoch.
        progress: called with (what, done, all) after each batch.
        watch: called with (phase, epoch, figures) after each epoch; what it raises ends the run.

    Raises:
        DataError: the disk is full, or a checkpoint in the folder is damaged.
    """
    if hardware.threads:
        torch.set_num_threads(hardware.threads)
    # Channels last is nearly twice as fast on a CPU.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    chooser = np.random.default_rng(recipe.seed)
    watched = np.sort(chooser.permutation(validation)[:WATCHED])
    validating = _ValidationBatches(prepared, watched, recipe.batch)
    for number, phase in enumerate(recipe.phases):
        done = checkpoints / f"{number}.pt"
        if done.exists():
            _fill(network, load_checkpoint(done), done)
            if notice is not None:
                notice(f"phase {number + 1} of {len(recipe.phases)}, {phase.name}: done before")
            continue
        if not phase.epochs:
            continue
        draws = Draws(prepared, training, recipe, number)
        freeze_backbone(network, recipe, phase)
        adversary = make_adversary(recipe, number, draws.sources)
        module = TumorModule(network, recipe, phase, draws, teachers=teachers, adversary=adversary)
        resume = checkpoints / f"{number}.ckpt"
        if resume.exists():
            load_checkpoint(resume)  # a readable error: Lightning loads it again and gives none
        with _quiet(), _explain_full_disk(checkpoints), _pass_interrupts_on():
            trainer = _make_trainer(recipe, number, folder, hardware, (notice, progress))
            if watch is not None:
                trainer.callbacks.append(EpochWatcher(watch, number))
            trainer.fit(
                module,
                train_dataloaders=module.train_dataloader(),
                val_dataloaders=validating,
                ckpt_path=str(resume) if resume.exists() else None,
                weights_only=True,  # a pickle in a folder from elsewhere could run code
            )
            if phase.patience:
                _load_best(network, checkpoints / f"best-{number}.ckpt")
            with replace_when_done(done) as partial:
                torch.save(network.state_dict(), partial)


def load_checkpoint(path: Path) -> Any:
    """Load a checkpoint without running code: it may hold tensors, numbers, texts and lists.

    Raises:
        DataError: the file is damaged, or holds other objects.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise any exception
        raise DataError(
            f"{path}: is damaged, or is no checkpoint of tumorlens; none of its code was run "
            f"({type(error).__name__}); remove it, or the whole folder, and train again"
        ) from None


def _fill(network: TumorNetwork, state: Any, path: Path) -> None:
    try:
        network.load_state_dict(state)
    except (AttributeError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: does not hold the weights of this run ({reason}); remove it, or the whole "
            "folder, and train again"
        ) from None


def count_seconds(folder: Path) -> float:
    """Seconds of all epochs of a run, including those before an interruption."""
    if not (folder / CURVES).exists():
        return 0.0  # every phase has 0 epochs
    with (folder / CURVES).open(encoding="utf-8", newline="") as stream:
        return sum(float(row["seconds"]) for row in csv.DictReader(stream))


def _make_trainer(
    recipe: Recipe,
    number: int,
    folder: Path,
    hardware: Hardware,
    told: tuple[Notice | None, Progress | None],
) -> lightning.Trainer:
    phase = recipe.phases[number]
    checkpoints = folder / "checkpoints"
    callbacks: list[Callback] = [  # in this order: the writer needs what the teller measures
        EpochTeller(*told, (number + 1, len(recipe.phases))),
        _CurveWriter(folder / CURVES),
        ModelCheckpoint(
            dirpath=checkpoints, filename=f"{number}", save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
    ]  # fmt: skip
    if phase.patience:
        callbacks += [
            EarlyStopping("validation_total", patience=phase.patience),
            ModelCheckpoint(
                dirpath=checkpoints, filename=f"best-{number}", monitor="validation_total",
                save_weights_only=True, enable_version_counter=False,
            ),
        ]  # fmt: skip
    if recipe.average:
        callbacks.append(MovingAverage(recipe.average))
    return lightning.Trainer(
        default_root_dir=checkpoints,  # on a cluster it looks for checkpoints there, too
        accelerator=hardware.device,
        devices=hardware.devices,
        strategy=hardware.strategy,
        precision=hardware.precision,
        max_epochs=phase.epochs,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=5.0,
        deterministic="warn" if hardware.device != "cpu" else False,  # a CPU always is
    )


def _load_best(network: TumorNetwork, checkpoint: Path) -> None:
    """Load the weights of the best epoch of a phase with patience."""
    state = load_checkpoint(checkpoint)["state_dict"]
    prefix = "network."
    own = {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
    _fill(network, own, checkpoint)


class _ValidationBatches:
    """Validation images without augmentation, batch by batch."""

    def __init__(self, prepared: PreparedRows, indices: npt.NDArray[np.intp], size: int) -> None:
        self.prepared, self.indices, self.size = prepared, indices, size

    def __len__(self) -> int:
        return ceil(len(self.indices) / self.size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.indices), self.size):
            chosen = self.indices[start : start + self.size]
            images, annotation = self.prepared.take(chosen)
            yield Batch(
                images=images,
                annotation=annotation,
                tumor=torch.from_numpy(self.prepared.tumor[chosen]),
                kinds=torch.from_numpy(self.prepared.kinds[chosen]),
                weights=torch.ones(len(chosen)),
                sources=torch.from_numpy(self.prepared.sources[chosen]),
                brain=torch.from_numpy(self.prepared.brain[chosen]).unsqueeze(1).float(),
                looks=torch.from_numpy(self.prepared.looks[chosen]),
            )


class _CurveWriter(Callback):  # type: ignore[misc]
    """Writes ``curves.csv``: one line per epoch, counted from 1."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = time.perf_counter()

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Remove the line of an epoch that a resumed run repeats: it has no checkpoint yet."""
        if not (trainer.is_global_zero and self.path.exists()):
            return
        with self.path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        kept = [
            row
            for row in rows
            if row["phase"] != module.phase.name or int(row["epoch"]) <= trainer.current_epoch
        ]
        if len(kept) < len(rows):
            with open_when_done(self.path, overwrite=True) as stream:
                table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
                table.writeheader()
                table.writerows(kept)

    def on_train_epoch_start(self, trainer: lightning.Trainer, _: Any) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if not trainer.is_global_zero:
            return
        values: dict[str, Any] = {
            name: f"{float(value):.6g}" for name, value in trainer.callback_metrics.items()
        }
        values |= {
            "phase": module.phase.name,
            "epoch": trainer.current_epoch + 1,
            "learning_rate": f"{trainer.optimizers[0].param_groups[0]['lr']:.3g}",
            "seconds": f"{time.perf_counter() - self.started:.1f}",
        }
        new = not self.path.exists()
        columns = _COLUMNS if new else self._read_columns()
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
            if new:
                table.writeheader()
            table.writerow(values)

    def _read_columns(self) -> list[str]:
        """The header of the file: a run that an older version started may have fewer columns."""
        with self.path.open(encoding="utf-8", newline="") as stream:
            return next(csv.reader(stream))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning: it greets, advises and warns about settings that are intended."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _pass_interrupts_on() -> Iterator[None]:
    """Give Ctrl-C its usual meaning: Lightning raises `SystemExit` and then ignores Ctrl-C."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


@contextmanager
def _explain_full_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        full = isinstance(error, OSError) or "file write failed" in str(error)
        if not full:
            raise
        raise DataError(
            f"{folder}: checkpoints cannot be written ({error}); free space, then run the same "
            "command again: it resumes"
        ) from error
