"""Initial weights from model files: an ONNX graph back into a network that can be trained.

In the file each batch norm is folded into its convolution. A network with folded norms would be
destroyed by its first batch in training, so the norms are unfolded again: with the statistics of
some pictures, and with the scale and shift that leave the function as it was.

Several models give the mean of their weights, a model soup (Wortsman et al. 2022,
arXiv:2203.05482). It serves models that were trained from one start: others lie in valleys of
their own, and the mean of them is no model at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tumorlens.errors import DataError, ModelFileError
from tumorlens.model.graph import read_layers
from tumorlens.network.assembly import TumorNetwork
from tumorlens.network.heads import CellHead
from tumorlens.network.mobilenet import pair_norms

__all__ = ["load_models"]

_ROOT = "network."


def load_models(network: TumorNetwork, paths: Sequence[Path], images: Tensor) -> str:
    """Fill backbone and head with what a model of tumorlens has learned, or with a mean of models.

    Args:
        network: of the same width and head.
        paths: of the model files, one or more.
        images: (N, 1, S, S) in [0, 1], some dozens, typical of what will be trained on.

    Returns:
        Where the weights came from, for the record.

    Raises:
        DataError: a file is no such model, or its network has another shape.
    """
    norms = {layers[place]: norm for layers, place, norm in pair_norms(network)}
    models = [_read(path) for path in paths]
    for layers, path in zip(models, paths, strict=True):  # each must fit, and says so itself
        _fill_all(network, norms, layers, path)
    if len(models) > 1:
        mean = {name: torch.stack([one[name] for one in models]).mean(0) for name in models[0]}
        _fill_all(network, norms, mean, paths[0])
    _unfold(network, list(norms.values()), images)
    names = ", ".join(path.name for path in paths)
    return names if len(models) == 1 else f"the mean of {len(models)} models: {names}"


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return {name: torch.tensor(value) for name, value in read_layers(path).items()}
    except ModelFileError as error:
        raise DataError(f"{error}; give initial weights as .safetensors, .pth or .onnx") from None


def _fill_all(
    network: TumorNetwork,
    norms: Mapping[nn.Module, nn.BatchNorm2d],
    layers: Mapping[str, Tensor],
    path: Path,
) -> None:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            _fill(module.weight, layers.get(f"{_ROOT}{name}.weight"), name, path)
            bias = norms[module].bias if module in norms else module.bias
            if bias is not None:
                _fill(bias, layers.get(f"{_ROOT}{name}.bias"), name, path)
    if isinstance(network.head, CellHead):
        pooled = layers.get(f"{_ROOT}head.sharpness")
        if pooled is not None:
            network.head.sharpen(float(pooled))


@torch.no_grad()
def _fill(target: Tensor, value: Tensor | None, name: str, path: Path) -> None:
    if value is None or value.shape != target.shape:
        found = "is missing" if value is None else f"has the shape {tuple(value.shape)}"
        raise DataError(
            f"{path}: {name} {found}, expected {tuple(target.shape)}; start from a model with the "
            "recipe's network.width, network.head, network.hidden and network.classes"
        )
    target.copy_(value)


@torch.no_grad()
def _unfold(network: TumorNetwork, norms: list[nn.BatchNorm2d], images: Tensor) -> None:
    """Give each norm the statistics of what reaches it, and undo them in its scale and shift."""

    def settle(norm: nn.Module, inputs: tuple[Any, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None and norm.running_var is not None
        mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)

    hooks = [norm.register_forward_pre_hook(settle) for norm in norms]
    was_training = network.training
    network.eval()
    network(images)
    network.train(was_training)
    for hook in hooks:
        hook.remove()
