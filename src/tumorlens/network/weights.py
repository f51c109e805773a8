"""Where initial weights come from: a file, the environment, or torchvision's published file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor

from tumorlens.errors import DataError
from tumorlens.model.registry import find_entry
from tumorlens.network.mobilenet import MobileNetV2
from tumorlens.network.narrowing import narrow_weights
from tumorlens.optional import load

__all__ = ["ENVIRONMENT", "find_weights", "load_backbone"]

ENVIRONMENT = "TUMORLENS_WEIGHTS"
"""Names a file of weights, or a folder that holds ``mobilenet_v2_<width>.safetensors``, of the
recipe's width or a larger one."""

_COUNTER = "num_batches_tracked"
_WIDTHS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
"""Of published weights."""

_TORCHVISION = "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"


def find_weights(weights: str | Path | None, width: float) -> Path | None:
    """The file of initial weights: as given, else from the environment; None if neither is set.

    A name of the registry, such as ``default``, is the file of that model.

    Raises:
        DataError: a name that leads to no file.
    """
    named = weights if weights is not None else os.environ.get(ENVIRONMENT) or None
    if named is None:
        return None
    entry = find_entry(named)
    path = Path(named) if entry is None else entry.path
    if path.is_dir():
        path = _find_in(path, width)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file of weights; give a file as `weights=` (a model of tumorlens as "
            "its name or its .onnx, or .safetensors or .pth "
            f"with torchvision's names; a wider one is narrowed) or set {ENVIRONMENT}"
        )
    return path


def _find_in(folder: Path, width: float) -> Path:
    """The file of that width, else of the next wider one, else the name that was looked for."""
    named = folder / f"mobilenet_v2_{float(width)}.safetensors"
    wider = [folder / f"mobilenet_v2_{one}.safetensors" for one in _WIDTHS if one > width]
    return next((path for path in (named, *wider) if path.is_file()), named)


def load_backbone(backbone: MobileNetV2, path: Path | None, *, frozen: int = 0) -> str:
    """Fill a backbone with ImageNet weights; those of a wider one are narrowed.

    Args:
        backbone: to fill.
        path: of the weights; None: torchvision's published file, from its cache or the network.
        frozen: first layers that training will leave as they are.

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
    _check_tensors(origin, found, wanted)
    if _shapes(found) != _shapes(wanted):
        width = _find_width(found)
        if width is None or width < backbone.width:
            raise DataError(
                f"{origin}: its tensors are of another shape, those of "
                f"{'no usual width' if width is None else f'the width {width}'}, and the recipe's "
                f"network.width is {backbone.width}, which must not be larger; give others as "
                "`weights=`"
            )
        if frozen:
            raise DataError(
                f"{origin}: weights of a wider network lose channels and must be trained, but the "
                f"first {frozen} layers are frozen; give `settings='network.frozen=0'`"
            )
        found = narrow_weights(found, backbone)
        origin += ", narrowed"
    backbone.load_state_dict(found, strict=False)
    return origin


def _check_tensors(origin: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    missing = [name for name in _shapes(wanted) if not isinstance(found.get(name), Tensor)]
    if missing:
        raise DataError(
            f"{origin}: {len(missing)} of {len(_shapes(wanted))} tensors are missing, {missing[0]} "
            "first; a MobileNetV2 with torchvision's names is expected"
        )
    broken = next((name for name, value in found.items() if not value.isfinite().all()), None)
    if broken:
        raise DataError(f"{origin}: {broken} holds numbers that are not finite; get it again")


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """By name, but for counters, which older files lack."""
    return {name: value.shape for name, value in state.items() if not name.endswith(_COUNTER)}


def _find_width(found: Mapping[str, Tensor]) -> float | None:
    """The usual width whose shapes these are."""
    with torch.device("meta"):
        for width in _WIDTHS:
            if _shapes(MobileNetV2(width).state_dict()) == _shapes(found):
                return width
    return None


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            loaded = load("safetensors.torch").load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has errors of its own
        kind = type(error).__name__
        reason = f"{kind}: {(str(error).splitlines() or [''])[0]}"
        if kind == "UnpicklingError":  # torch advises to run whatever code the file holds
            reason = "it is no file of PyTorch, or holds more than tensors"
        raise DataError(
            f"{path}: cannot be read as weights ({reason}); a .safetensors or .pth with "
            "torchvision's names is expected, such as torch.save(model.state_dict(), FILE) writes"
        ) from None
    if not isinstance(loaded, Mapping):
        raise DataError(
            f"{path}: cannot be read as weights, it holds a {type(loaded).__name__}; a "
            ".safetensors or .pth with torchvision's names is expected"
        )
    return loaded


def _fetch() -> Mapping[str, Tensor]:
    try:
        fetched: Mapping[str, Tensor] = torch.hub.load_state_dict_from_url(
            _TORCHVISION, map_location="cpu", check_hash=True, progress=False
        )
    except (URLError, OSError, RuntimeError) as error:
        raise DataError(
            f"no ImageNet weights: {_TORCHVISION} cannot be reached ({error}); offline, copy the "
            f"file here and name it in `weights=`, or set {ENVIRONMENT}; or start from the bundled "
            "model: `weights='default'` with `recipe='release'`"
        ) from None
    return fetched
