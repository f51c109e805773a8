"""Where initial weights come from: a file, the environment, or torchvision's published file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from operator import ge
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor

from tumorlens.errors import DataError
from tumorlens.network.mobilenet import MobileNetV2
from tumorlens.network.narrowing import narrow_weights
from tumorlens.optional import load

__all__ = ["ENVIRONMENT", "find_weights", "load_backbone"]

ENVIRONMENT = "TUMORLENS_WEIGHTS"
"""Names a file of weights, or a folder that holds ``mobilenet_v2_<width>.safetensors``."""

_TORCHVISION = "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"


def find_weights(weights: str | Path | None, width: float) -> Path | None:
    """The file of initial weights: as given, else from the environment; None if neither is set.

    Raises:
        DataError: a name that leads to no file.
    """
    named = weights if weights is not None else os.environ.get(ENVIRONMENT) or None
    if named is None:
        return None
    path = Path(named)
    if path.is_dir():
        path = path / f"mobilenet_v2_{float(width)}.safetensors"
    if not path.is_file():
        raise DataError(
            f"{path}: no such file of weights; give --weights FILE (.safetensors or .pth with "
            f"torchvision's names) or set {ENVIRONMENT}"
        )
    return path


def load_backbone(backbone: MobileNetV2, path: Path | None) -> str:
    """Fill a backbone with ImageNet weights; those of a wider one are narrowed.

    Args:
        backbone: to fill.
        path: of the weights; None: torchvision's published file, from its cache or the network.

    Returns:
        Where the weights came from, for the record.

    Raises:
        DataError: the file cannot be read, fits a smaller width, or cannot be fetched; or it is
            wider, and layers are frozen.
    """
    state = _fetch() if path is None else _read(path)
    origin = _TORCHVISION if path is None else path.name
    wanted = backbone.state_dict()
    found = {name: value for name, value in state.items() if name in wanted}
    if _is_wider(found, wanted):
        if backbone.frozen:
            raise DataError(
                f"{origin}: weights of a wider network lose channels and want training, but the "
                f"first {backbone.frozen} layers are frozen; add --set network.frozen=0"
            )
        found = narrow_weights(found, backbone)
        origin += ", narrowed"
    wrong = sorted(
        name
        for name, value in wanted.items()
        if not name.endswith("num_batches_tracked")
        and (name not in found or found[name].shape != value.shape)
    )
    if wrong:
        raise DataError(
            f"{path}: {len(wrong)} of {len(wanted)} tensors are missing or of another shape, "
            f"{wrong[0]} first; the recipe's network.width must not be larger than theirs"
        )
    backbone.load_state_dict(found, strict=False)
    return origin


def _is_wider(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    """Whether no tensor is smaller than is wanted, and one is larger."""
    if not all(name in found or name.endswith("num_batches_tracked") for name in wanted):
        return False
    sizes = [(value.shape, wanted[name].shape) for name, value in found.items()]
    fits = all(len(given) == len(need) and all(map(ge, given, need)) for given, need in sizes)
    return fits and any(given != need for given, need in sizes)


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            loaded: Mapping[str, Tensor] = load("safetensors.torch").load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has errors of its own
        raise DataError(f"{path}: cannot be read as weights ({error})") from None
    return loaded


def _fetch() -> Mapping[str, Tensor]:
    try:
        fetched: Mapping[str, Tensor] = torch.hub.load_state_dict_from_url(
            _TORCHVISION, map_location="cpu", check_hash=True, progress=False
        )
    except (URLError, OSError, RuntimeError) as error:
        raise DataError(
            f"no ImageNet weights: {_TORCHVISION} cannot be reached ({error}); offline, copy the "
            f"file here and give --weights FILE, or set {ENVIRONMENT}"
        ) from None
    return fetched
