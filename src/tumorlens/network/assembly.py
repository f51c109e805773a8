"""`TumorNetwork`: backbone, head, calibration and familiarity in one module.

Its `forward` is what training uses; `Deployed` wraps it into the outputs of the model file.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from tumorlens.model.contract import LOOKS, OUTPUTS, Calibration
from tumorlens.network.heads import HEADS, CellHead, PooledHead, Raw
from tumorlens.network.mobilenet import MobileNetV2, Padding, channels_at

__all__ = ["Deployed", "Familiarity", "TumorNetwork"]

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class TumorNetwork(nn.Module):
    """MobileNetV2 and a head, on grey images.

    Args:
        types: number of types of tumor; 1 where tumor is one class.
        head: ``picture``, ``cells`` or ``deep``.
        width: multiplier of the backbone.
        hidden: channels of the head.
        dropout: in the head.
        brain: whether cells tell if they show brain; not with ``picture``.
        looks: whether plane, sequence and skull are told; not with ``picture``.
        normalization: what the backbone's weights expect of their input.
        padding: how the backbone's weights pad at stride 2.
    """

    def __init__(
        self,
        *,
        types: int,
        head: Literal["picture", "cells", "deep"],
        width: float = 1.0,
        hidden: int = 96,
        dropout: float = 0.0,
        brain: bool = False,
        looks: bool = False,
        normalization: Literal["tensorflow", "torchvision"] = "tensorflow",
        padding: Padding = "same",
    ) -> None:
        super().__init__()
        self.backbone = MobileNetV2(width, padding)
        count = sum(map(len, LOOKS.values())) if looks else 0
        self.head: CellHead | PooledHead = (
            PooledHead(width, hidden, types, dropout)
            if head == "picture"
            else HEADS[head](width, hidden, types, dropout, brain=brain, looks=count)
        )
        mean, deviation = (
            (_IMAGENET_MEAN, _IMAGENET_DEVIATION)
            if normalization == "torchvision"
            else ((0.5,) * 3, (0.5,) * 3)
        )
        # No buffers: a moving average of the weights takes buffers along, and rounds them.
        self.mean = torch.tensor(mean).view(1, 3, 1, 1)
        self.deviation = torch.tensor(deviation).view(1, 3, 1, 1)
        self.embedding = 2 * channels_at(width)[1]

    def forward(self, image: Tensor) -> Raw:
        """(N, 1, S, S) in [0, 1] -> logits."""
        return self.head(self.features(image))  # type: ignore[no-any-return]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what `Deployed` gives, in order."""
        brain = ("brain",) if getattr(self.head, "brain", None) is not None else ()
        looks = tuple(LOOKS) if getattr(self.head, "looks", None) is not None else ()
        return (*OUTPUTS, *brain, *looks)

    def features(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 8, 16 and 32."""
        mean, deviation = self.mean.to(image.device), self.deviation.to(image.device)
        return self.backbone.pyramid((image - mean) / deviation)

    @staticmethod
    def embed(pyramid: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """(N, E) features that familiarity is judged by: means and deviations at stride 16.

        Deeper features are blind to what is no brain: they were trained to see tumors alone.
        """
        mean = pyramid[1].mean(dim=(2, 3))
        square = (pyramid[1] * pyramid[1]).mean(dim=(2, 3))
        return torch.cat([mean, (square - mean * mean).clamp(min=0).sqrt()], 1)


class Familiarity(nn.Module):
    """Distance from the training pictures, in a whitened projection (Mahalanobis 1936).

    Args:
        mean: (E,) of the training embeddings.
        projection: (E, P) to whitened principal components.
    """

    mean: Tensor
    projection: Tensor

    def __init__(self, mean: Tensor, projection: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("projection", projection)

    @classmethod
    def empty(cls, embedding: int) -> Familiarity:
        """One that finds everything typical."""
        return cls(torch.zeros(embedding), torch.zeros(embedding, 1))

    def forward(self, embedding: Tensor) -> Tensor:
        """(N, E) -> (N,) root mean square distance a component, before scaling."""
        projected = (embedding - self.mean) @ self.projection
        distance: Tensor = (projected * projected).mean(dim=1).sqrt()
        return distance


class Deployed(nn.Module):
    """The outputs of the model file: calibrated probabilities, activation, unfamiliarity, …."""

    def __init__(
        self, network: TumorNetwork, familiarity: Familiarity, calibration: Calibration
    ) -> None:
        super().__init__()
        self.network = network
        self.familiarity = familiarity
        self.calibration = nn.ParameterDict(
            {
                "scale": _number(calibration.scale),
                "offset": _number(calibration.offset),
                "unfamiliarity": _number(calibration.unfamiliarity),
            }
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(N, 1, S, S) -> (N, K) probabilities, (N, h, w) activation, (N,) unfamiliarity.

        Then, where the network tells them, (N, h, w) brain and (N, …) plane, sequence, skull.
        """
        pyramid = self.network.features(image)
        raw: Raw = self.network.head(pyramid).without_outside()
        logit = raw.picture * self.calibration["scale"] + self.calibration["offset"]
        tumor = torch.sigmoid(logit).unsqueeze(1)
        probabilities = torch.cat([1 - tumor, tumor * torch.softmax(raw.types, 1)], 1)
        distance = self.familiarity(self.network.embed(pyramid))
        return (
            probabilities,
            torch.sigmoid(raw.cells),
            distance * self.calibration["unfamiliarity"],
            *(() if raw.brain is None else (torch.sigmoid(raw.brain),)),
            *(() if raw.looks is None else _part_looks(raw.looks)),
        )


def _part_looks(logits: Tensor) -> list[Tensor]:
    """Probabilities of each question's words."""
    parts = torch.split(logits, [len(words) for words in LOOKS.values()], 1)
    return [torch.softmax(part, 1) for part in parts]


def _number(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value], dtype=torch.float32), requires_grad=False)
