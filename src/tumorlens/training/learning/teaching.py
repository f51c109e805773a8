"""Teachers: trained models whose outputs a network in training learns to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tumorlens.errors import DataError
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session
from tumorlens.network.heads import Raw

__all__ = ["TeacherOutputs", "Teachers", "distillation_loss"]


@dataclass(frozen=True, slots=True)
class TeacherOutputs:
    """What the teachers answer to N images, averaged over the teachers and the mirror images.

    Attributes:
        tumor: (N,) tumor probability.
        types: (N, T) probability of each tumor type. A row adds up to ``tumor``.
        activation: (N, h, w) probability of tumor in each cell.
    """

    tumor: Tensor
    types: Tensor
    activation: Tensor


class Teachers:
    """One or more trained models whose mean outputs the network in training learns to repeat.

    They judge each image and its mirror image, so the network learns in one pass what they need
    two for.

    Args:
        models: names or files of the teachers.
        classes: classes of the network in training.
        threads: threads that each teacher uses.

    Raises:
        DataError: a teacher has other classes than the network in training.
        ModelFileError: a teacher cannot be loaded.
    """

    def __init__(
        self, models: Sequence[str | Path], classes: Sequence[str], threads: int | None = None
    ) -> None:
        self._made_of = (tuple(models), tuple(classes), threads)
        self.sessions = [Session(find_model(model), threads=threads) for model in models]
        for session in self.sessions:
            if session.card.classes != list(classes):
                raise DataError(
                    f"{session.path}: a teacher of the classes {', '.join(session.card.classes)}, "
                    f"expected network.classes = {', '.join(classes)}"
                )

    def __deepcopy__(self, memo: dict[int, Any]) -> Teachers:
        """The moving average copies the module. Teachers do not change, so they are shared."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """A session cannot be pickled, so another process loads the files again."""
        return Teachers, self._made_of

    def predict(self, images: Tensor) -> TeacherOutputs:
        """Mean outputs for (N, 1, S, S) images in [0, 1]; each is resized to a teacher's size."""
        outputs = [self._run(session, images) for session in self.sessions]
        mirrored = [self._run(session, images.flip(-1)) for session in self.sessions]
        probabilities = torch.stack([one for one, _ in outputs + mirrored]).mean(0)
        activation = torch.stack(
            [cells for _, cells in outputs] + [cells.flip(-1) for _, cells in mirrored]
        ).mean(0)
        return TeacherOutputs(1 - probabilities[:, 0], probabilities[:, 1:], activation)

    @staticmethod
    def _run(session: Session, images: Tensor) -> tuple[Tensor, Tensor]:
        size = session.card.preprocess.size
        device, images = images.device, images.cpu().float()
        if images.shape[-1] != size:
            images = functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
        outputs = session.run(images.contiguous().numpy())
        probabilities = torch.from_numpy(outputs.probabilities).to(device)
        return probabilities, torch.from_numpy(outputs.activation).to(device)


def distillation_loss(outputs: TeacherOutputs, raw: Raw) -> Tensor:
    """Cross-entropy against the teachers (Hinton et al. 2015, arXiv:1503.02531).

    Sum over the image, its cells and, weighted by the teachers' tumor probability, its type.
    """
    size = (raw.cells.shape[1], raw.cells.shape[2])
    activation = functional.adaptive_avg_pool2d(outputs.activation.unsqueeze(1), size).squeeze(1)
    picture = functional.binary_cross_entropy_with_logits(raw.picture, outputs.tumor)
    cells = functional.binary_cross_entropy_with_logits(raw.cells, activation)
    types = -(outputs.types * functional.log_softmax(raw.types, 1)).sum(1).mean()
    return picture + cells + types
