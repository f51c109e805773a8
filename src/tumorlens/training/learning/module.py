"""`TumorModule`: the network as Lightning trains it, one phase of the recipe at a time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_avg_fn

from tumorlens.network.assembly import TumorNetwork
from tumorlens.network.heads import Raw
from tumorlens.training.choices import Phase
from tumorlens.training.learning.adversary import SourceAdversary
from tumorlens.training.learning.batch import Batch
from tumorlens.training.learning.dataset import Draws
from tumorlens.training.learning.losses import (
    LOSS_NAMES,
    Losses,
    blend_losses,
    find_cell_targets,
    sum_losses,
)
from tumorlens.training.learning.seeding import seed_epoch, seed_phase
from tumorlens.training.learning.teaching import TeacherOutputs, Teachers
from tumorlens.training.recipe import Recipe

__all__ = [
    "MovingAverage",
    "TumorModule",
    "build_network",
    "freeze_backbone",
    "make_adversary",
]


def build_network(recipe: Recipe) -> TumorNetwork:
    """Build the network that a recipe describes, with random weights."""
    choice = recipe.network
    network = TumorNetwork(
        types=len(choice.classes) - 1,
        head=choice.head,
        width=choice.width,
        hidden=choice.hidden,
        dropout=choice.dropout,
        brain=choice.brain,
        looks=choice.looks,
        normalization=choice.normalization,
        padding=choice.padding,
    )
    network.backbone.set_stochastic_depth(choice.stochastic_depth)
    network.backbone.style_mixing = choice.style_mixing
    return network


def freeze_backbone(network: TumorNetwork, recipe: Recipe, phase: Phase) -> None:
    """Freeze the layers that the recipe freezes, or the whole backbone where its rate is 0."""
    network.backbone.requires_grad_(phase.backbone_learning_rate > 0)
    network.backbone.freeze(recipe.network.frozen)


def make_adversary(recipe: Recipe, phase: int, sources: int) -> SourceAdversary | None:
    """Build the adversary of a phase with random weights; None if the recipe asks for none.

    Args:
        recipe: the recipe.
        phase: number of the phase in the recipe, from 0.
        sources: number of sources to guess from.
    """
    if not recipe.loss.sources:
        return None
    # A phase that is started again after an interruption must start with the same weights.
    seed_phase(recipe.seed, phase)
    return SourceAdversary(recipe.network.width, sources)


class TumorModule(lightning.LightningModule):  # type: ignore[misc]
    """One phase of a training.

    Args:
        network: trained in place.
        recipe, phase: the recipe, and the phase of it to train.
        draws: the batches. It is told the epoch, so that a resumed run draws the same ones.
        teachers: models whose outputs the network also learns, if there are any.
        adversary: network that guesses the source, if the recipe asks for one.
    """

    def __init__(
        self,
        network: TumorNetwork,
        recipe: Recipe,
        phase: Phase,
        draws: Draws,
        *,
        teachers: Teachers | None = None,
        adversary: SourceAdversary | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.phase = phase
        self.draws = draws
        self.teachers = teachers
        self.adversary = adversary
        self.number = recipe.phases.index(phase)
        past = recipe.phases[: self.number + 1]
        # Batch statistics that a phase with a frozen backbone kept are not learned again: batches
        # are small, and the statistics of few images are poor.
        self.keep_backbone_in_eval = any(one.backbone_learning_rate == 0 for one in past)

    def setup(self, stage: str) -> None:
        """Divide the batches among the processes before Lightning asks how long an epoch is."""
        self.draws.share(self.global_rank, self.trainer.world_size)

    def on_train_epoch_start(self) -> None:
        """Seed the epoch, so that a resumed run draws what an uninterrupted run draws."""
        seed_epoch(self.recipe.seed, self.number, self.current_epoch)
        self.network.train()
        if self.keep_backbone_in_eval:
            self.network.backbone.eval()

    def train_dataloader(self) -> _Epochs:
        """Batches of the epoch that the module is in when the first batch is asked for."""
        return _Epochs(self.draws, self)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Log each term of the loss of a batch; gives their weighted sum."""
        losses = (
            self._compute_mixup_loss(batch)
            if self.recipe.augmentation.mixup
            else self._compute_loss(batch)
        )
        for name in LOSS_NAMES:
            self.log(
                f"train_{name}", getattr(losses, name), on_step=False, on_epoch=True,
                batch_size=len(batch.tumor), prog_bar=name == "total", sync_dist=True,
            )  # fmt: skip
        return losses.total

    def validation_step(self, batch: Batch, _: int) -> Tensor:
        """Log the loss of a validation batch; gives the (N,) logits of its images."""
        raw = self.network(_arrange(batch.images))
        losses = self._compare_outputs(raw, batch)
        size = len(batch.tumor)
        self.log("validation_total", losses.total, batch_size=size, prog_bar=True, sync_dist=True)
        self.log("validation_picture", losses.picture, batch_size=size, sync_dist=True)
        return raw.picture  # type: ignore[no-any-return]

    def configure_optimizers(self) -> Any:
        """AdamW. The backbone has its own learning rate; batch norms and biases have no decay."""
        phase = self.phase
        parts: list[tuple[nn.Module, float]] = [(self.network.head, phase.learning_rate)]
        if self.adversary is not None:
            parts.append((self.adversary, phase.learning_rate))
        if phase.backbone_learning_rate:
            parts.append((self.network.backbone, phase.backbone_learning_rate))
        groups = [
            {"params": list(parameters), "lr": rate, "weight_decay": decay}
            for part, rate in parts
            for parameters, decay in (
                (_matrices(part), self.recipe.weight_decay),
                (_vectors(part), 0.0),
            )
        ]
        optimizer = torch.optim.AdamW(groups)
        if phase.schedule == "constant":
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self._schedule(optimizer)}

    def _schedule(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        phase = self.phase
        if phase.schedule == "plateau":
            plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=phase.plateau_factor, patience=phase.plateau_patience
            )
            return {"scheduler": plateau, "monitor": "validation_total"}
        steps = phase.epochs * len(self.draws) + 1
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=steps,
            pct_start=max(0.2, 2 / steps),  # at least one step up: it divides by their number
        )
        return {"scheduler": cycle, "interval": "step"}

    def _compute_loss(self, batch: Batch) -> Losses:
        return self._compute_losses(batch.images, [batch])[0]

    def _compute_mixup_loss(self, batch: Batch) -> Losses:
        """Blend the images in pairs, and weigh the losses against both labels by their shares."""
        alpha = self.recipe.augmentation.mixup
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        other = batch.take(torch.randperm(len(batch.tumor)).to(batch.images.device))
        images = share * batch.images + (1 - share) * other.images
        first, second = self._compute_losses(images, [batch, other])
        return blend_losses(first, second, share)

    def _compute_losses(self, images: Tensor, batches: list[Batch]) -> list[Losses]:
        """Run the network once, and compare its outputs with the labels of each batch."""
        pyramid = self.network.features(_arrange(images))
        raw = self.network.head(pyramid)
        taught = None if self.teachers is None else self.teachers.predict(images)
        losses = []
        for batch in batches:
            guesses = None if self.adversary is None else self.adversary(pyramid, batch.tumor)
            losses.append(self._compare_outputs(raw, batch, guesses, taught))
        return losses

    def _compare_outputs(
        self,
        raw: Raw,
        batch: Batch,
        guesses: Tensor | None = None,
        taught: TeacherOutputs | None = None,
    ) -> Losses:
        cells = (raw.cells.shape[1], raw.cells.shape[2])
        targets = find_cell_targets(batch.annotation, cells, self.recipe.loss.boxes)
        return sum_losses(
            raw, batch, targets, self.recipe.loss, guesses=guesses, teacher_outputs=taught
        )


class MovingAverage(WeightAveraging):  # type: ignore[misc]
    """An exponential moving average of the weights, used for validation and at the end."""

    def __init__(self, decay: float) -> None:
        super().__init__(avg_fn=partial(_move_average, decay=decay), use_buffers=True)

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """A resumed phase without an epoch left has no `on_train_end`: do its work here."""
        self.on_train_end(trainer, pl_module)


class _Epochs:
    """The batches of the epoch that the module is in."""

    def __init__(self, draws: Draws, module: TumorModule) -> None:
        self.draws, self.module = draws, module

    def __len__(self) -> int:
        return len(self.draws)

    def __iter__(self) -> Iterator[Batch]:
        # Lightning may ask for an iterator before a resumed run knows its epoch: read it with the
        # first batch.
        self.draws.epoch = self.module.current_epoch
        yield from self.draws


def _move_average(average: Tensor, value: Tensor, count: Tensor, *, decay: float) -> Tensor:
    """PyTorch's average as a named function: its own is a closure, which cannot be pickled."""
    move = get_ema_avg_fn(decay)  # type: ignore[no-untyped-call]
    moved: Tensor = move(average, value, count)
    return moved


def _arrange(images: Tensor) -> Tensor:
    """Channels last: nearly twice as fast on a CPU."""
    return images.contiguous(memory_format=torch.channels_last)


def _matrices(part: nn.Module) -> Iterator[nn.Parameter]:
    return (value for value in part.parameters() if value.ndim > 1 and value.requires_grad)


def _vectors(part: nn.Module) -> Iterator[nn.Parameter]:
    return (value for value in part.parameters() if value.ndim <= 1 and value.requires_grad)
