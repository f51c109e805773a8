"""What a training says while it runs: the phases, a line an epoch, how far an epoch has come."""

from __future__ import annotations

import time
from math import isfinite
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from tumorlens.progress import Notice, Progress

__all__ = ["EpochTeller", "measure_auc"]


class EpochTeller(Callback):  # type: ignore[misc]
    """Tells of one phase, and measures the AUC on the validation groups after each epoch.

    Args:
        notice: told a line when the phase begins and after each epoch; None: nothing is told.
        progress: told (what, done, all) after each batch.
        place: which phase it is of how many, from 1.
    """

    def __init__(
        self, notice: Notice | None, progress: Progress | None, place: tuple[int, int]
    ) -> None:
        self.notice = notice
        self.progress = progress
        self.place = place
        self.judged: list[tuple[Tensor, Tensor]] = []
        self.started = time.perf_counter()

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """The phase, or what is left of it."""
        phase, (number, of) = module.phase, self.place
        begun = f", {trainer.current_epoch} of them done before" if trainer.current_epoch else ""
        self._tell(trainer, f"phase {number} of {of}, {phase.name}: {phase.epochs} epochs{begun}")

    def on_train_epoch_start(self, trainer: lightning.Trainer, _: Any) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.progress is not None and trainer.is_global_zero:
            self.progress(_name_epoch(trainer, module), batch_idx + 1, len(module.draws))

    def on_validation_epoch_start(self, trainer: lightning.Trainer, module: Any) -> None:
        self.judged.clear()

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Tensor, batch: Any, *_: int
    ) -> None:
        """Keeps the logits of whole pictures, which `TumorModule.validation_step` gives."""
        self.judged.append((outputs.float().cpu(), batch.tumor.cpu()))

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        logits, tumor = (torch.cat(parts) for parts in zip(*self.judged, strict=True))
        self.log("validation_auc", measure_auc(logits, tumor > 0.5), sync_dist=True)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Loss in training, loss and AUC on the validation groups, seconds."""
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        loss, validation = (found.get(f"{side}_total") for side in ("train", "validation"))
        auc = found.get("validation_auc", float("nan"))
        told = [
            f"loss {loss:.3f}" if loss is not None else "",
            f"validation: loss {validation:.3f}" if validation is not None else "",
            f"AUC {auc:.3f}" if isfinite(auc) else "",
            f"{time.perf_counter() - self.started:.0f} s",
        ]
        self._tell(trainer, f"{_name_epoch(trainer, module)}: {', '.join(filter(None, told))}")

    def _tell(self, trainer: lightning.Trainer, words: str) -> None:
        if self.notice is not None and trainer.is_global_zero:
            self.notice(words)


def measure_auc(scores: Tensor, tumor: Tensor) -> float:
    """Share of pairs of a tumor and another picture in which the tumor scores higher, ties half.

    Args:
        scores: (n,) of any unit.
        tumor: (n,) bool.

    Returns:
        NaN where one of the labels is missing.
    """
    ill, well = scores[tumor].unsqueeze(1), scores[~tumor].unsqueeze(0)
    return float(((ill > well).float() + 0.5 * (ill == well).float()).mean())


def _name_epoch(trainer: lightning.Trainer, module: Any) -> str:
    return f"{module.phase.name}, epoch {trainer.current_epoch + 1} of {module.phase.epochs}"
