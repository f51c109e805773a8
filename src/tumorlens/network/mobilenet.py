"""MobileNetV2 with torchvision's parameter names (Sandler et al. 2018, arXiv:1801.04381)."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "LAST_CHANNELS",
    "MobileNetV2",
    "Padding",
    "channels_at",
    "mix_styles",
    "pair_norms",
    "scale_channels",
]

Padding = Literal["symmetric", "same"]
"""``symmetric``: torchvision's weights. ``same``: weights from TensorFlow, (0, 1) at stride 2."""

_STAGES = (  # expansion, channels, blocks, stride: table 2 of the paper
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
LAST_CHANNELS = 1280


def scale_channels(channels: int, width: float) -> int:
    """Channels at a width multiplier, rounded to 8 and never below 90 % (the paper's rule)."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class ConvBnRelu(nn.Sequential):
    """Convolution, batch norm, ReLU6; pads the TensorFlow way at stride 2 if asked."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        padding: Padding,
    ) -> None:
        self.same = padding == "same" and stride == 2
        edge = 0 if self.same else (kernel - 1) // 2
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, edge, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU6(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        if self.same:
            x = functional.pad(x, (0, 1, 0, 1))
        for layer in self:
            x = layer(x)
        return x


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; add the input where shapes allow."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, expansion: int, padding: Padding
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvBnRelu(inputs, hidden, padding=padding))
        layers += [
            ConvBnRelu(hidden, hidden, kernel=3, stride=stride, groups=hidden, padding=padding),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs
        self.survival = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Stochastic depth (Huang et al. 2016) drops the branch a picture at a time in training."""
        if not self.residual:
            return self.conv(x)  # type: ignore[no-any-return]
        branch = self.conv(x)
        if self.training and self.survival < 1.0:
            keep = torch.rand(x.shape[0], 1, 1, 1, device=x.device) < self.survival
            branch = branch * (keep.to(x.dtype) / self.survival)
        return x + branch  # type: ignore[no-any-return]


class MobileNetV2(nn.Module):
    """The backbone without a classifier.

    Args:
        width: width multiplier (1.0, 0.5, 0.35, ...).
        padding: how stride-2 layers pad; it belongs to the weights.
    """

    def __init__(self, width: float = 1.0, padding: Padding = "symmetric") -> None:
        super().__init__()
        self.width = width
        channels = scale_channels(32, width)
        layers: list[nn.Module] = [ConvBnRelu(3, channels, kernel=3, stride=2, padding=padding)]
        for expansion, outputs, blocks, stride in _STAGES:
            for block in range(blocks):
                inputs, channels = channels, scale_channels(outputs, width)
                step = stride if block == 0 else 1
                layers.append(InvertedResidual(inputs, channels, step, expansion, padding))
        layers.append(ConvBnRelu(channels, last_channels(width), padding=padding))
        self.features = nn.Sequential(*layers)
        self.frozen = 0
        self.style_mixing = 0.0

    def freeze(self, layers: int) -> None:
        """Keep the first ``layers`` as they are for good: no gradient, no new statistics."""
        self.frozen = layers
        self.features[:layers].requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> MobileNetV2:
        """As of any module; frozen layers stay in evaluation."""
        super().train(mode)
        self.features[: self.frozen].eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, 1280, S / 32, S / 32)."""
        return self.features(x)  # type: ignore[no-any-return]

    def pyramid(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 8, 16 and 32: 32, 96 and 1,280 channels at width 1."""
        kept = []
        with torch.no_grad():
            x = self.features[: self.frozen](x)
        if self.training and self.style_mixing:
            x = mix_styles(x, self.style_mixing)
        for index in range(self.frozen, len(self.features)):
            x = self.features[index](x)
            if index in PYRAMID_LAYERS:
                kept.append(x)
        return kept[0], kept[1], x

    def set_stochastic_depth(self, drop: float) -> None:
        """Survival falls linearly from 1 at the first block to ``1 - drop`` at the last."""
        blocks = [layer for layer in self.features if isinstance(layer, InvertedResidual)]
        for index, block in enumerate(blocks):
            block.survival = 1.0 - drop * (index + 1) / len(blocks)


def mix_styles(x: Tensor, alpha: float) -> Tensor:
    """Give each picture's channels a mean and deviation between its own and another picture's.

    MixStyle (Zhou et al. 2021, arXiv:2104.02008): what a scanner does to all of a picture sits in
    these two. The share of its own is drawn from Beta(alpha, alpha).
    """
    mean = x.mean((2, 3), keepdim=True).detach()
    deviation = (x.var((2, 3), keepdim=True) + 1e-6).sqrt().detach()
    order = torch.randperm(x.shape[0], device=x.device)
    share = torch.distributions.Beta(alpha, alpha).sample(torch.Size((x.shape[0], 1, 1, 1)))
    own = share.to(x.device, x.dtype)
    new_mean = own * mean + (1 - own) * mean[order]
    new_deviation = own * deviation + (1 - own) * deviation[order]
    return (x - mean) / deviation * new_deviation + new_mean


def pair_norms(network: nn.Module) -> list[tuple[nn.Sequential, int, nn.BatchNorm2d]]:
    """Batch norms behind convolutions: what holds both, the convolution's place, and the norm."""
    return [
        (layers, place, second)
        for layers in network.modules()
        if isinstance(layers, nn.Sequential)
        for place, (first, second) in enumerate(pairwise(layers))
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d)
    ]


PYRAMID_LAYERS = (6, 13)
"""Last layers at stride 8 and at stride 16."""


def last_channels(width: float) -> int:
    """Channels of the last layer: never fewer than 1,280."""
    return scale_channels(LAST_CHANNELS, max(1.0, width))


def channels_at(width: float) -> tuple[int, int, int]:
    """Channels of `MobileNetV2.pyramid` at strides 8, 16 and 32."""
    return scale_channels(32, width), scale_channels(96, width), last_channels(width)
