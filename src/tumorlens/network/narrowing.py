"""Weights of a wide MobileNetV2 for a narrower one: the channels that speak loudest are kept."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tumorlens.network.mobilenet import ConvBnRelu, InvertedResidual, MobileNetV2

__all__ = ["narrow_weights"]

_NORM = ("weight", "bias", "running_mean", "running_var")


def narrow_weights(wide: Mapping[str, Tensor], backbone: MobileNetV2) -> dict[str, Tensor]:
    """Weights for ``backbone``, cut out of those of a wider one with the same names.

    Of each layer the channels with the largest scales of batch norm are kept (Liu et al. 2017,
    arXiv:1708.06519), in their order; blocks that add to one another keep the same ones. What
    the channels left out had added is missing, so the result wants training.

    Args:
        wide: torchvision's names -> tensors, those of a wider `MobileNetV2`.
        backbone: tells the shapes.
    """
    cut = _Cutter(wide, backbone.state_dict())
    blocks = list(backbone.features)
    streams = [_projection(place, block) for place, block in enumerate(blocks)]
    seen = torch.arange(3)
    for place, block in enumerate(blocks):
        prefix = f"features.{place}"
        if isinstance(block, ConvBnRelu):
            kept = cut.loudest([f"{prefix}.1"])
            cut.layer(f"{prefix}.0", f"{prefix}.1", kept, seen)
            seen = kept
            continue
        hidden = seen
        if not isinstance(block, InvertedResidual):
            raise TypeError(f"{prefix}: a layer of another kind")
        depthwise = len(block.conv) - 3
        if depthwise:
            hidden = cut.loudest([f"{prefix}.conv.0.1", f"{prefix}.conv.1.1"])
            cut.layer(f"{prefix}.conv.0.0", f"{prefix}.conv.0.1", hidden, seen)
        filtered = f"{prefix}.conv.{depthwise}"
        cut.layer(f"{filtered}.0", f"{filtered}.1", hidden, torch.arange(1))
        if not cut.tied(streams[place - 1], streams[place], block):
            last = place + 1
            while last < len(blocks) and cut.tied(streams[last - 1], streams[last], blocks[last]):
                last += 1
            seen = cut.loudest(streams[place:last])
        cut.layer(f"{prefix}.conv.{depthwise + 1}", streams[place], seen, hidden)
    return cut.taken


def _projection(place: int, block: object) -> str:
    """Name of the batch norm through which a block adds to what follows."""
    if not isinstance(block, InvertedResidual):
        return ""
    return f"features.{place}.conv.{len(block.conv) - 1}"


class _Cutter:
    """Takes layers out of wide weights, one after the other."""

    def __init__(self, wide: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
        self.wide, self.wanted = wide, wanted
        self.taken: dict[str, Tensor] = {}

    def loudest(self, norms: list[str]) -> Tensor:
        """The channels to keep of layers that must keep the same ones."""
        count = len(self.wanted[f"{norms[0]}.weight"])
        scale = sum(self.wide[f"{name}.weight"].abs() for name in norms)
        return torch.as_tensor(scale).topk(count).indices.sort().values

    def tied(self, before: str, norm: str, block: object) -> bool:
        """Whether a block adds to what it reads, in the wide network too, by the same channels."""
        if not (isinstance(block, InvertedResidual) and block.residual and before):
            return False
        return self.wide[f"{before}.weight"].shape == self.wide[f"{norm}.weight"].shape

    def layer(self, convolution: str, norm: str, outputs: Tensor, inputs: Tensor) -> None:
        """A convolution and the batch norm behind it."""
        self.taken[f"{convolution}.weight"] = self.wide[f"{convolution}.weight"][outputs][:, inputs]
        for part in _NORM:
            self.taken[f"{norm}.{part}"] = self.wide[f"{norm}.{part}"][outputs]
