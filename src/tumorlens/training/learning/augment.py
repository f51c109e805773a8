"""Random changes of prepared images, in two steps: draw the parameters, then apply them.

A draw depends only on its random generator, so it can be recorded and repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tumorlens.training.choices import AugmentationChoice

__all__ = ["Augmentation", "apply_augmentations", "draw_augmentation"]

_FIELD = 4  # control points a side of the bias field


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The parameters of one draw.

    Attributes:
        affine: (2, 3) from output to input coordinates, both in [-1, 1].
        exponent: of the gamma curve.
        gain, lift: of contrast and brightness.
        bias: (4, 4) log of a smooth field.
        noise: standard deviation.
        noise_seed: of the noise's own generator.
        shrink: factor of a lower resolution; 1: none.
        invert: whether the contrast inside the head is inverted.
        erased: (x0, y0, x1, y1, value) of an overwritten rectangle, in shares of the side.
    """

    affine: npt.NDArray[np.float32]
    exponent: float
    gain: float
    lift: float
    bias: npt.NDArray[np.float32]
    noise: float
    noise_seed: int
    shrink: float
    invert: bool
    erased: tuple[float, float, float, float, float] | None


def draw_augmentation(rng: np.random.Generator, choice: AugmentationChoice) -> Augmentation:
    """Draw the parameters of one picture."""
    return Augmentation(
        affine=_draw_affine(rng, choice),
        exponent=float(2.0 ** _within(rng, choice.gamma)),
        gain=1.0 + _within(rng, choice.contrast),
        lift=_within(rng, choice.brightness),
        bias=(rng.uniform(-1, 1, (_FIELD, _FIELD)) * choice.bias_field * rng.random()).astype(
            np.float32
        ),
        noise=choice.noise * rng.random() ** 2,
        noise_seed=int(rng.integers(2**31)),
        shrink=float(rng.uniform(0.4, 0.9)) if rng.random() < choice.blur else 1.0,
        invert=bool(rng.random() < choice.invert),
        erased=_draw_rectangle(rng) if rng.random() < choice.erase else None,
    )


def apply_augmentations(
    images: Tensor, annotation: Tensor, drawn: Sequence[Augmentation], size: int | None = None
) -> tuple[Tensor, Tensor]:
    """Apply one augmentation to each image.

    Args:
        images: (N, 1, S, S) float32 in [0, 1].
        annotation: (N, C, S, S) float32, codes of the annotation; moved, never mixed.
        drawn: N draws.
        size: side of the pictures made; None: as they are.

    Returns:
        Changed images in [0, 1], (N, 1, size, size), and annotation, (N, C, size, size).
    """
    theta = torch.from_numpy(np.stack([augmentation.affine for augmentation in drawn]))
    size = size or images.shape[-1]
    grid = functional.affine_grid(theta, [len(images), 1, size, size], align_corners=False)
    images = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    annotation = functional.grid_sample(annotation, grid, mode="nearest", align_corners=False)
    images = images.clamp(0, 1)
    head = images > 0.02
    exponent, gain, lift = (
        torch.tensor([getattr(augmentation, name) for augmentation in drawn]).view(-1, 1, 1, 1)
        for name in ("exponent", "gain", "lift")
    )
    bias = torch.from_numpy(np.stack([augmentation.bias for augmentation in drawn])).unsqueeze(1)
    field = functional.interpolate(bias, images.shape[2:], mode="bicubic", align_corners=True)
    changed = images.clamp(min=1e-6).pow(exponent).mul_(field.exp_())
    changed = (changed - 0.5).mul_(gain).add_(0.5).add_(lift)
    images = torch.where(head, changed, images)
    for index, augmentation in enumerate(drawn):
        images[index] = _finish(images[index], augmentation)
    return images.clamp_(0, 1), annotation


def _within(rng: np.random.Generator, most: float) -> float:
    return float(rng.uniform(-most, most))


def _draw_affine(rng: np.random.Generator, choice: AugmentationChoice) -> npt.NDArray[np.float32]:
    angle = np.deg2rad(_within(rng, choice.rotation))
    size = np.exp(_within(rng, float(np.log1p(choice.scale))))
    aspect = np.exp(_within(rng, float(np.log1p(choice.stretch))) / 2)
    mirror = -1.0 if rng.random() < choice.mirror else 1.0
    flip = -1.0 if rng.random() < choice.upside_down else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([mirror * size * aspect, flip * size / aspect])
    shift = 2 * np.array([_within(rng, choice.shift), _within(rng, choice.shift)])
    return np.concatenate([linear, shift[:, None]], axis=1).astype(np.float32)


def _draw_rectangle(rng: np.random.Generator) -> tuple[float, float, float, float, float]:
    """A strip along one of the four edges, or a corner's label."""
    value = float(rng.choice([0.0, 0.0, 1.0, rng.random()]))
    depth, first, length = rng.uniform(0.01, 0.12), rng.random(), rng.uniform(0.1, 1.0)
    start, end = first * (1 - length), first * (1 - length) + length
    strips = (
        (start, 0.0, end, depth),
        (start, 1 - depth, end, 1.0),
        (0.0, start, depth, end),
        (1 - depth, start, 1.0, end),
    )
    x0, y0, x1, y1 = strips[int(rng.integers(4))]
    return float(x0), float(y0), float(x1), float(y1), value


def _finish(image: Tensor, augmentation: Augmentation) -> Tensor:
    """Apply the rarer changes: (1, S, S) -> (1, S, S)."""
    if augmentation.invert:
        image = torch.where(image > 0.05, 1.05 - image, image)
    if augmentation.shrink < 1:
        image = _lower_resolution(image, augmentation.shrink)
    if augmentation.noise > 0.002:
        generator = torch.Generator().manual_seed(augmentation.noise_seed)
        image = image + augmentation.noise * torch.randn(image.shape, generator=generator)
    if augmentation.erased is not None:
        side = image.shape[-1]
        x0, y0, x1, y1 = (round(edge * side) for edge in augmentation.erased[:4])
        image[:, y0:y1, x0:x1] = augmentation.erased[4]
    return image


def _lower_resolution(image: Tensor, factor: float) -> Tensor:
    small = functional.interpolate(
        image.unsqueeze(0), scale_factor=factor, mode="bilinear", antialias=True
    )
    return functional.interpolate(small, image.shape[1:], mode="bilinear").squeeze(0)
