"""`Batch`: the images of one training step and their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Batch"]


@dataclass(frozen=True, slots=True)
class Batch:
    """The images of one training step and their labels.

    Attributes:
        images: (N, 1, S, S) float32 in [0, 1].
        annotation: (N, 1, S, S) float32, codes of the annotation.
        tumor: (N,) float32.
        kinds: (N,) int64; -1 where unknown or none.
        weights: (N,) float32.
        sources: (N,) int64, number of the source.
        brain: (N, 1, S, S) float32, codes of the brain.
        looks: (N, 3) int64, numbers of plane, sequence and skull; -1 where unknown.
    """

    images: Tensor
    annotation: Tensor
    tumor: Tensor
    kinds: Tensor
    weights: Tensor
    sources: Tensor
    brain: Tensor
    looks: Tensor

    def take(self, order: Tensor) -> Batch:
        """The images at these indices, in this order."""
        return Batch(*(getattr(self, name)[order] for name in self.__slots__))

    def to(self, device: torch.device | str, **options: Any) -> Batch:
        """A copy on another device. Lightning calls this method by its name."""
        return Batch(*(getattr(self, name).to(device, **options) for name in self.__slots__))
