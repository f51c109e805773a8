"""What a training reports while it runs: each phase, each epoch, and the progress inside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import isfinite
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from tumorlens.digits import say_count
from tumorlens.errors import RecipeError
from tumorlens.progress import Notice, Progress

__all__ = ["EpochTeller", "EpochWatcher", "measure_auc"]


class EpochTeller(Callback):  # type: ignore[misc]
    """Reports one phase, and measures the AUC on the validation groups after each epoch.

    Args:
        notice: called with one line when the phase begins and after each epoch.
        progress: called with (what, done, all) after each batch.
        place: number of the phase, from 1, and the number of phases.
    """

    def __init__(self, notice: Notice, progress: Progress, place: tuple[int, int]) -> None:
        self.notice = notice
        self.progress = progress
        self.place = place
        self.judged: list[tuple[Tensor, Tensor]] = []
        self.started = time.perf_counter()

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        """Report the phase, and how many of its epochs an earlier run has done."""
        phase, (number, of) = module.phase, self.place
        begun = f", {trainer.current_epoch} of them done before" if trainer.current_epoch else ""
        epochs = say_count(phase.epochs, "epoch")
        self._tell(trainer, f"phase {number} of {of}, {phase.name}: {epochs}{begun}")

    def on_train_epoch_start(self, trainer: lightning.Trainer, _: Any) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_global_zero:
            self.progress(_name_epoch(trainer, module), batch_idx + 1, len(module.draws))

    def on_validation_epoch_start(self, trainer: lightning.Trainer, module: Any) -> None:
        self.judged.clear()

    def on_validation_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Tensor, batch: Any, *_: int
    ) -> None:
        """Keep the logits that `TumorModule.validation_step` gives."""
        self.judged.append((outputs.float().cpu(), batch.tumor.cpu()))

    def on_validation_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        logits, tumor = (torch.cat(parts) for parts in zip(*self.judged, strict=True))
        self.log("validation_auc", measure_auc(logits, tumor > 0.5), sync_dist=True)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        """Report the training loss, the validation loss and AUC, and the seconds.

        Raises:
            RecipeError: a loss is no number any more, and so are the weights from here on.
        """
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        loss, validation = (found.get(f"{side}_total") for side in ("train", "validation"))
        if not all(isfinite(one) for one in (loss, validation) if one is not None):
            self._refuse_to_go_on(trainer, module)
        auc = found.get("validation_auc", float("nan"))
        told = [
            f"loss {loss:.3f}" if loss is not None else "",
            f"validation: loss {validation:.3f}" if validation is not None else "",
            f"AUC {auc:.3f}" if isfinite(auc) else "",
            f"{time.perf_counter() - self.started:.0f} s",
        ]
        self._tell(trainer, f"{_name_epoch(trainer, module)}: {', '.join(filter(None, told))}")

    def _refuse_to_go_on(self, trainer: lightning.Trainer, module: Any) -> None:
        phase, place = module.phase, f"phases.{self.place[0] - 1}"
        rates = {
            name: getattr(phase, name) / 10 for name in ("learning_rate", "backbone_learning_rate")
        }
        lower = " and ".join(
            f"`settings='{place}.{name}={rate:g}'`" for name, rate in rates.items() if rate
        )
        raise RecipeError(
            f"{_name_epoch(trainer, module)}: the loss is no number any more, so the steps of this "
            f"phase are too large; train with smaller ones, such as {lower}, in another `output=`"
        )

    def _tell(self, trainer: lightning.Trainer, words: str) -> None:
        if trainer.is_global_zero:
            self.notice(words)


class EpochWatcher(Callback):  # type: ignore[misc]
    """Hands the figures of the validation groups on; what is raised there ends the training.

    Args:
        watch: told (phase, epoch from 1, figures).
        phase: its number in the recipe.
    """

    def __init__(self, watch: Callable[[int, int, dict[str, float]], None], phase: int) -> None:
        self.watch = watch
        self.phase = phase

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: Any) -> None:
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        figures = {"auc": found["validation_auc"], "loss": found["validation_picture"]}
        self.watch(self.phase, trainer.current_epoch + 1, figures)


def measure_auc(scores: Tensor, tumor: Tensor) -> float:
    """Area under the ROC curve.

    It is the share of pairs of an image with tumor and one without in which the first has the
    higher score; a tie counts half.

    Args:
        scores: (n,) in any unit.
        tumor: (n,) bool.

    Returns:
        NaN if one of the labels is missing.
    """
    positives, negatives = scores[tumor].unsqueeze(1), scores[~tumor].unsqueeze(0)
    return float(((positives > negatives).float() + 0.5 * (positives == negatives).float()).mean())


def _name_epoch(trainer: lightning.Trainer, module: Any) -> str:
    return f"{module.phase.name}, epoch {trainer.current_epoch + 1} of {module.phase.epochs}"
