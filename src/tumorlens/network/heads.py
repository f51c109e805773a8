"""Heads of the network: tumor logits of each cell, and tumor and type logits of the image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from tumorlens.network.mobilenet import channels_at

__all__ = [
    "HEADS",
    "CellHead",
    "DeepCellHead",
    "FineCellHead",
    "PooledHead",
    "Raw",
    "pool_evidence",
]

Pyramid = tuple[Tensor, Tensor, Tensor]


_LEAST_SHARP = 0.5
"""Of the pooling: with less, many weak cells outvote a strong one."""


class Outputs(TypedDict, total=False):
    """Which outputs a `CellHead` has besides the tumor."""

    brain: bool
    looks: int


@dataclass(frozen=True, slots=True)
class Raw:
    """Outputs of a head before calibration.

    Attributes:
        cells: (N, h, w) tumor logit of each cell.
        picture: (N,) tumor logit of the image.
        types: (N, T) logits of the types of tumor, on the condition that there is a tumor.
        sharpness: scalar, the parameter of `pool_evidence`.
        brain: (N, h, w) logit that a cell shows brain; None if the head has no such output.
        looks: (N, L) logits of plane, sequence and skull, one after the other, in the order of
            `contract.LOOKS`; None if the head has no such output.
    """

    cells: Tensor
    picture: Tensor
    types: Tensor
    sharpness: Tensor
    brain: Tensor | None = None
    looks: Tensor | None = None

    def without_outside(self) -> Raw:
        """Remove the evidence outside of the brain, if the brain is known.

        A cell next to the brain still counts: meninges, pituitary and orbits lie there.
        """
        if self.brain is None:
            return self
        near = functional.max_pool2d(self.brain.unsqueeze(1), 3, 1, 1).squeeze(1)
        cells = self.cells + functional.logsigmoid(near)
        return replace(self, cells=cells, picture=pool_evidence(cells, self.sharpness))


def pool_evidence(cells: Tensor, sharpness: Tensor, where: Tensor | None = None) -> Tensor:
    """log(mean(exp(t * cells))) / t (Pinheiro & Collobert 2015, arXiv:1411.6228).

    Args:
        cells: (N, h, w) logits.
        sharpness: t > 0. A small t gives the mean of the cells, a large t their maximum.
        where: (N, h, w) bool, the cells that count, at least one for each image; None for all.

    Returns:
        (N,) logit of the image.
    """
    flat = sharpness * cells.flatten(1)
    if where is None:
        return (torch.logsumexp(flat, 1) - _log_of(flat.shape[1])) / sharpness
    flat = flat.masked_fill(~where.flatten(1), -torch.inf)
    return (torch.logsumexp(flat, 1) - where.flatten(1).sum(1).log()) / sharpness


class PooledHead(nn.Module):
    """The head of the usual recipe: pool the last features, then one hidden layer, then decide.

    Its cells form a class activation map (Zhou et al. 2016, arXiv:1512.04150): the same layers
    are applied to the features of each cell at stride 32.
    """

    def __init__(self, width: float, hidden: int, types: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(channels_at(width)[2], hidden)
        self.dropout = nn.Dropout(dropout)
        self.tumor = nn.Linear(hidden, 1)
        self.types = nn.Linear(hidden, types)

    def forward(self, pyramid: Pyramid) -> Raw:
        """Features at strides 8, 16, 32 -> logits; cells at stride 32."""
        last = pyramid[2]
        pooled = self.dropout(functional.relu(self.hidden(last.mean(dim=(2, 3)))))
        cells = self.tumor(functional.relu(self.hidden(last.permute(0, 2, 3, 1))))
        tumor = self.tumor(pooled).squeeze(-1)
        return Raw(cells.squeeze(-1), tumor, self.types(pooled), tumor.new_ones(()))


class CellHead(nn.Module):
    """A logit for each cell, pooled by log-sum-exp with a learned temperature.

    The logit of the image is `pool_evidence` of its cells. So an image gets a high logit only
    because of a place in it. The types are decided on the features of the cells with the highest
    logits.

    Args:
        width: of the backbone.
        hidden: channels of the features of a cell.
        types: number of types of tumor.
        dropout: share of these channels dropped in training.
        brain: whether it has an output for cells that show brain.
        looks: number of logits for plane, sequence and skull; 0 for none.
        wide: channels of a cell in ``hidden``.
    """

    def __init__(
        self,
        width: float,
        hidden: int,
        types: int,
        dropout: float,
        *,
        brain: bool = False,
        looks: int = 0,
        wide: int = 1,
    ) -> None:
        super().__init__()
        _, middle, coarse = channels_at(width)
        self.dropout = nn.Dropout2d(dropout)
        self.tumor = nn.Conv2d(wide * hidden, 1, 1)
        self.sharpness = nn.Parameter(torch.tensor(1.0))
        self.types = nn.Linear((wide + 1) * hidden, types)
        nn.init.constant_(self.tumor.bias, -2.0)  # type: ignore[arg-type]
        self.brain = nn.Conv2d(wide * hidden, 1, 1) if brain else None
        self.looks = nn.Linear(middle + coarse, looks) if looks else None

    def forward(self, pyramid: Pyramid) -> Raw:
        """Features at strides 8, 16, 32 -> logits."""
        features, coarse = self._gather(pyramid)
        features = self.dropout(features)
        cells = self.tumor(features).squeeze(1)
        sharpness = functional.softplus(self.sharpness) + _LEAST_SHARP
        picture = pool_evidence(cells, sharpness)
        attention = torch.softmax(cells.flatten(1), 1).unsqueeze(2)
        where = torch.bmm(features.flatten(2), attention).squeeze(2)
        types = self.types(torch.cat([where, coarse.mean(dim=(2, 3))], 1))
        brain = None if self.brain is None else self.brain(features).squeeze(1)
        return Raw(cells, picture, types, sharpness, brain, self._look(pyramid))

    @torch.no_grad()
    def sharpen(self, sharpness: float) -> None:
        """Pool with this sharpness, more than `_LEAST_SHARP`."""
        self.sharpness.copy_(torch.tensor(sharpness - _LEAST_SHARP).expm1().log())

    def _gather(self, pyramid: Pyramid) -> tuple[Tensor, Tensor]:
        """The features of the cells, and those at stride 32, which describe the whole image."""
        raise NotImplementedError

    def _look(self, pyramid: Pyramid) -> Tensor | None:
        if self.looks is None:
            return None
        pooled = [features.mean(dim=(2, 3)) for features in pyramid[1:]]
        looks: Tensor = self.looks(torch.cat(pooled, 1))
        return looks


class FineCellHead(CellHead):
    """Cells at stride 8.

    A feature pyramid (Lin et al. 2017, arXiv:1612.03144) adds the features of coarse layers to
    those of the fine cells.
    """

    def __init__(
        self, width: float, hidden: int, types: int, dropout: float, **outputs: Unpack[Outputs]
    ) -> None:
        super().__init__(width, hidden, types, dropout, **outputs)
        fine, middle, coarse = channels_at(width)
        self.fine = nn.Conv2d(fine, hidden, 1)
        self.middle = nn.Conv2d(middle, hidden, 1)
        self.coarse = nn.Conv2d(coarse, hidden, 1)
        self.mix_middle = _mix(hidden)
        self.mix_fine = _mix(hidden)

    def _gather(self, pyramid: Pyramid) -> tuple[Tensor, Tensor]:
        coarse = self.coarse(pyramid[2])
        middle = self.mix_middle(self.middle(pyramid[1]) + _double(coarse))
        return self.mix_fine(self.fine(pyramid[0]) + _double(middle)), coarse


class DeepCellHead(CellHead):
    """Cells at stride 16, a quarter as many. Each has the features of strides 16 and 32.

    Both are joined as in a fully convolutional network (Long et al. 2015, arXiv:1411.4038). So a
    cell reads the deepest features directly, not through the narrow layers of a pyramid.
    """

    def __init__(
        self, width: float, hidden: int, types: int, dropout: float, **outputs: Unpack[Outputs]
    ) -> None:
        super().__init__(width, hidden, types, dropout, wide=2, **outputs)
        _, middle, coarse = channels_at(width)
        self.middle = _narrow(middle, hidden)
        self.coarse = _narrow(coarse, hidden)

    def _gather(self, pyramid: Pyramid) -> tuple[Tensor, Tensor]:
        coarse = self.coarse(pyramid[2])
        wide = functional.interpolate(
            coarse, scale_factor=2.0, mode="bilinear", align_corners=False
        )
        return torch.cat([self.middle(pyramid[1]), wide], 1), coarse


def _narrow(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6()
    )


def _mix(channels: int) -> nn.Sequential:
    """A depthwise-separable 3 x 3 layer."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(),
    )


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def _log_of(count: int) -> float:
    return float(torch.tensor(float(count)).log())


HEADS: dict[str, type[CellHead]] = {"cells": FineCellHead, "deep": DeepCellHead}
"""Names of heads in a recipe; each decides cell by cell."""
