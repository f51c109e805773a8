"""Runs the phases of a recipe with Lightning: checkpoints, resuming, learning curves."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from tumorlens.errors import DataError
from tumorlens.network.assembly import TumorNetwork
from tumorlens.training.cluster import Agreement
from tumorlens.training.hardware import Hardware
from tumorlens.training.journal import CURVES
from tumorlens.training.learning.batch import Batch
from tumorlens.training.learning.dataset import Draws
from tumorlens.training.learning.module import (
    MovingAverage,
    TumorModule,
    freeze_backbone,
    make_adversary,
)
from tumorlens.training.learning.teaching import Teachers
from tumorlens.training.learning.telling import EpochTeller, EpochWatcher
from tumorlens.training.quieting import quiet
from tumorlens.training.request import Request
from tumorlens.training.rows.prepared_rows import PreparedRows
from tumorlens.training.rows.sides import Sides
from tumorlens.training.tracking.curve_files import CurveWriter
from tumorlens.training.tracking.tracker import Tracker
from tumorlens.writing import replace_when_done

__all__ = ["load_checkpoint", "run_phases"]

WATCHED = 512
"""Largest number of validation rows used after each epoch. Calibration uses all of them."""


def run_phases(
    network: TumorNetwork,
    request: Request,
    *,
    prepared: PreparedRows,
    sides: Sides,
    teachers: Teachers | None = None,
) -> None:
    """Train ``network`` in place, phase by phase. An interrupted run resumes.

    Each phase leaves ``<phase>.pt`` when it ends and ``<phase>.ckpt`` after each epoch. Where
    torchrun or Slurm has started several processes, each calls this, and the first one writes.

    Args:
        network: with its initial weights.
        request: the options of the training, its recipe and the folder of the run among them.
        prepared: the rows.
        sides: which of them are trained on, and which are watched after each epoch.
        teachers: models whose outputs the network also learns, if there are any.

    Raises:
        DataError: the disk is full, or a checkpoint in the folder is damaged.
    """
    recipe, checkpoints = request.recipe, request.folder / "checkpoints"
    if request.hardware.threads:
        torch.set_num_threads(request.hardware.threads)
    # Channels last is nearly twice as fast on a CPU.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _make_folder(checkpoints, request.hardware)
    chooser = np.random.default_rng(recipe.seed)
    watched = np.sort(chooser.permutation(sides.validation)[:WATCHED])
    validating = _ValidationBatches(prepared, watched, recipe.batch)
    tracker = _open_tracker(request)
    for number, phase in enumerate(recipe.phases):
        done = checkpoints / f"{number}.pt"
        if done.exists():
            _fill(network, load_checkpoint(done), done)
            request.notice(f"phase {number + 1} of {len(recipe.phases)}, {phase.name}: done before")
        elif phase.epochs:
            draws = Draws(prepared, sides.training, recipe, number)
            freeze_backbone(network, recipe, phase)
            adversary = make_adversary(recipe, number, draws.sources)
            _run_phase(
                TumorModule(network, recipe, phase, draws, teachers=teachers, adversary=adversary),
                request,
                validating,
                tracker,
            )
    if tracker is not None:
        with _explain_full_disk(request.folder):
            tracker.finish()


def _open_tracker(request: Request) -> Tracker | None:
    if request.tracking is None:
        return None
    return Tracker(request.tracking, request.recipe, request.folder, request.notice)


def _run_phase(
    module: TumorModule, request: Request, validating: _ValidationBatches, tracker: Tracker | None
) -> None:
    """Train to the end of a phase, from its checkpoint if there is one, and keep the weights."""
    number, checkpoints = module.number, request.folder / "checkpoints"
    resume = checkpoints / f"{number}.ckpt"
    if resume.exists():
        load_checkpoint(resume)  # a readable error: Lightning loads it again and gives none
    with quiet(), _explain_full_disk(checkpoints), _pass_interrupts_on():
        trainer = _make_trainer(request, number)
        if request.hardware.cluster is not None:
            work = _describe_work(module.draws, resume)
            trainer.callbacks.append(Agreement(work, str(request.folder)))
        if request.watch is not None:
            trainer.callbacks.append(EpochWatcher(request.watch, number))
        if tracker is not None:
            trainer.callbacks.append(tracker)
        trainer.fit(
            module,
            train_dataloaders=module.train_dataloader(),
            val_dataloaders=validating,
            ckpt_path=str(resume) if resume.exists() else None,
            weights_only=True,  # a pickle in a folder from elsewhere could run code
        )
        if module.phase.patience:
            _load_best(module.network, checkpoints / f"best-{number}.ckpt")
        if not request.hardware.rank:
            _save(module.network, checkpoints / f"{number}.pt")


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


def _make_folder(checkpoints: Path, hardware: Hardware) -> None:
    if not hardware.rank:
        checkpoints.mkdir(exist_ok=True)


def _save(network: TumorNetwork, path: Path) -> None:
    with replace_when_done(path) as partial:
        torch.save(network.state_dict(), partial)


def _describe_work(draws: Draws, resume: Path) -> list[Any]:
    """What processes that train together must have in common before a phase."""
    slices = [draws.prepared.fingerprints[index].hex() for index in draws.indices.tolist()]
    return [draws.recipe.to_record(), slices, draws.phase, resume.exists()]


def _fill(network: TumorNetwork, state: Any, path: Path) -> None:
    try:
        network.load_state_dict(state)
    except (AttributeError, RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: does not hold the weights of this run ({reason}); remove it, or the whole "
            "folder, and train again"
        ) from None


def _make_trainer(request: Request, number: int) -> lightning.Trainer:
    recipe, hardware = request.recipe, request.hardware
    phase, checkpoints = recipe.phases[number], request.folder / "checkpoints"
    callbacks: list[Callback] = [  # in this order: the writer needs what the teller measures
        EpochTeller(request.notice, request.progress, (number + 1, len(recipe.phases))),
        CurveWriter(request.folder / CURVES),
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
        num_nodes=hardware.nodes,
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


@contextmanager
def _pass_interrupts_on() -> Iterator[None]:
    """Give Ctrl-C and SIGTERM, which clusters send, their usual meaning.

    Lightning raises `SystemExit` for both. After Ctrl-C it ignores the next, and after SIGTERM the
    code would say that the training has ended well.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if isinstance(error, SIGTERMException):
            raise SystemExit(128 + signal.SIGTERM) from None
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
