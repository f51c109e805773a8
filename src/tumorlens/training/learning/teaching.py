"""Teachers: models whose judgement a network in training learns to repeat."""

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

__all__ = ["Lesson", "Teachers", "learn_from"]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the teachers say of N pictures.

    Attributes:
        tumor: (N,) probability.
        types: (N, T) probability of each type, times that of a tumor.
        activation: (N, h, w).
    """

    tumor: Tensor
    types: Tensor
    activation: Tensor


class Teachers:
    """The mean judgement of one model or several.

    Args:
        models: names or files.
        classes: of the network that learns.
        threads: to work with.

    Raises:
        DataError: a teacher knows other classes.
        ModelFileError: it cannot be loaded.
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
        """A moving average copies what is trained; teachers are not, and cannot be copied."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process loads the files itself."""
        return Teachers, self._made_of

    def judge(self, images: Tensor) -> Lesson:
        """(N, 1, S, S) in [0, 1], of any size: each teacher sees them at its own."""
        said = [self._ask(session, images) for session in self.sessions]
        probabilities = torch.stack([one for one, _ in said]).mean(0)
        activation = torch.stack([cells for _, cells in said]).mean(0)
        return Lesson(1 - probabilities[:, 0], probabilities[:, 1:], activation)

    @staticmethod
    def _ask(session: Session, images: Tensor) -> tuple[Tensor, Tensor]:
        size = session.card.preprocess.size
        device, images = images.device, images.cpu().float()
        if images.shape[-1] != size:
            images = functional.interpolate(images, (size, size), mode="bilinear", antialias=True)
        outputs = session.run(images.contiguous().numpy())
        probabilities = torch.from_numpy(outputs.probabilities).to(device)
        return probabilities, torch.from_numpy(outputs.activation).to(device)


def learn_from(lesson: Lesson, raw: Raw) -> Tensor:
    """Cross-entropy against the teachers (Hinton et al. 2015, arXiv:1503.02531).

    ByteImage, cells and, as far as there is a tumor, its type.
    """
    size = (raw.cells.shape[1], raw.cells.shape[2])
    activation = functional.adaptive_avg_pool2d(lesson.activation.unsqueeze(1), size).squeeze(1)
    picture = functional.binary_cross_entropy_with_logits(raw.picture, lesson.tumor)
    cells = functional.binary_cross_entropy_with_logits(raw.cells, activation)
    types = -(lesson.types * functional.log_softmax(raw.types, 1)).sum(1).mean()
    return picture + cells + types
