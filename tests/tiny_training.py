"""Small recipes and random weights: what a test can train in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from safetensors.torch import save_file

from tumorlens.data.manifest import read_data
from tumorlens.data.rows import Manifest
from tumorlens.network.mobilenet import MobileNetV2
from tumorlens.training.hardware import Hardware
from tumorlens.training.learning.module import build_network
from tumorlens.training.learning.phases import run_phases
from tumorlens.training.recipe import Recipe
from tumorlens.training.request import Request
from tumorlens.training.rows.prepared_rows import PreparedRows
from tumorlens.training.rows.sides import Sides

TINY: dict[str, Any] = {
    "name": "tiny",
    "batch": 8,
    "average": 0.9,
    "input": {"size": 64},
    "network": {
        "width": 0.35, "hidden": 16, "dropout": 0.1, "stochastic_depth": 0.1, "style_mixing": 0.1,
    },
    "data": {"validation": 0.25, "sampling": "balanced"},
    "augmentation": {
        "rotation": 10, "mirror": 0.5, "gamma": 0.3, "noise": 0.02, "erase": 0.2, "mixup": 0.4,
    },
    "edits": {"heal": 0.3, "paste": 0.3, "decoy": 0.3},
    "loss": {"cells": 0.5, "sources": 0.1},
    "phases": [
        {"name": "head", "epochs": 1, "draws": 16, "learning_rate": 1e-3},
        {
            "name": "all", "epochs": 2, "draws": 16, "learning_rate": 1e-3,
            "backbone_learning_rate": 1e-4, "schedule": "one_cycle",
        },
    ],
}  # fmt: skip

ONE_PHASE = [
    {
        "name": "short", "epochs": 1, "draws": 8, "learning_rate": 1e-3,
        "backbone_learning_rate": 1e-4,
    }
]  # fmt: skip


def make_recipe(**changes: Any) -> Recipe:
    """`TINY` with other values; a table among ``changes`` is merged into that of `TINY`."""
    values = dict(TINY)
    for key, value in changes.items():
        values[key] = {**TINY.get(key, {}), **value} if isinstance(value, dict) else value
    return msgspec.convert(values, Recipe)


def write_weights(path: Path, width: float = 0.35, seed: int = 1) -> Path:
    """Random weights under torchvision's names."""
    torch.manual_seed(seed)
    save_file(MobileNetV2(width).state_dict(), path)
    return path


def make_request(
    data: Path | Manifest,
    folder: Path,
    weights: Path | None,
    recipe: Recipe | None = None,
    **more: Any,
) -> Request:
    """A training of `ONE_PHASE` that says nothing, on one thread; ``more`` of the `Request`."""
    manifest = data if isinstance(data, Manifest) else read_data(data)
    recipe = recipe or make_recipe(phases=ONE_PHASE)
    more = {"notice": lambda words: None, "hardware": Hardware(threads=1), **more}
    return Request(recipe=recipe, manifest=manifest, folder=folder, weights=(weights,), **more)


def stop_after(said: list[str], words: str) -> Callable[[str], None]:
    """A notice that keeps what is said, and breaks the training after a line that begins so."""

    def notice(one: str) -> None:
        said.append(one)
        if one.startswith(words):
            raise KeyboardInterrupt

    return notice


def train_phases(
    prepared: PreparedRows, folder: Path, recipe: Recipe | None = None, **options: Any
) -> dict[str, torch.Tensor]:
    """Weights after all phases of a recipe, trained on 16 rows and watched on 8 others.

    Args:
        prepared: at least 24 rows.
        folder: of the run; made if missing.
        recipe: another one than `TINY`.
        options: of the `Request`.
    """
    recipe = recipe or make_recipe()
    folder.mkdir(exist_ok=True)
    manifest = Manifest(tuple(prepared.rows), "tiny", folder)
    request = Request(recipe, manifest, folder, **{"hardware": Hardware(threads=1), **options})
    torch.manual_seed(recipe.seed)
    network = build_network(recipe)
    run_phases(
        network, request, prepared=prepared, sides=Sides(np.arange(16), np.arange(16, 24), {})
    )
    return network.state_dict()
