"""From torch to the one ONNX file of the contract."""

from __future__ import annotations

import logging
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tumorlens.model.card import Card
from tumorlens.model.contract import CARD_KEY, INPUT, SEEN_KEY
from tumorlens.network.assembly import Deployed
from tumorlens.network.mobilenet import pair_norms
from tumorlens.optional import load
from tumorlens.writing import check_writable, replace_when_done

__all__ = ["export_onnx"]

OPSET = 18

_PLACEHOLDERS = {"scale": 0.6875, "offset": 0.5625, "unfamiliarity": 0.8125}
"""Stand for the calibration while the graph is traced. The exporter folds a factor of 1 or a term
of 0 away and merges equal numbers, and then nobody could calibrate the model any more."""


def export_onnx(
    deployed: Deployed, card: Card, path: Path, *, seen: str | None = None, overwrite: bool = False
) -> None:
    """Write the model file.

    Args:
        deployed: network with its familiarity and calibration; moved to the CPU.
        card: goes into the metadata.
        path: of the file.
        seen: fingerprints of the training pictures, if they shall travel along.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    onnx = load("onnx", "exporting a model")
    check_writable(path, overwrite=overwrite)  # tracing takes seconds
    model = _trace(deployed.eval().cpu(), card.preprocess.size)
    metadata = {CARD_KEY: card.to_json()}
    if seen is not None:
        metadata[SEEN_KEY] = seen
    graph = model.graph
    for entry in [graph, *graph.node, *graph.input, *graph.output, *graph.value_info]:
        entry.ClearField("metadata_props")  # traces of the exporter, with paths of this computer
        entry.ClearField("doc_string")
    load("onnx.helper").set_model_props(model, metadata)
    onnx.checker.check_model(model)
    with replace_when_done(path, overwrite=overwrite) as partial:
        partial.write_bytes(model.SerializeToString())


def _trace(deployed: Deployed, size: int) -> Any:
    """The graph, its calibration still in initializers of its own."""
    values = {name: value.clone() for name, value in deployed.calibration.items()}
    for name, placeholder in _PLACEHOLDERS.items():
        deployed.calibration[name].data.fill_(placeholder)
    try:
        model = _run_exporter(deployed, size)
    finally:
        for name, value in values.items():
            deployed.calibration[name].data.copy_(value)
    by_name = {initializer.name: initializer for initializer in model.graph.initializer}
    for name, value in values.items():
        array = value.detach().numpy()
        tensor = load("onnx.numpy_helper").from_array(array, f"calibration.{name}")
        by_name[f"calibration.{name}"].CopyFrom(tensor)
    return model


def _run_exporter(deployed: Deployed, size: int) -> Any:
    example = torch.rand(2, 1, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            _ease_tracing(deployed),
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(deployed.network.outputs),
            dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
            optimize=True,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return program.model_proto


def _ease_tracing(deployed: Deployed) -> Deployed:
    """A copy that computes the same, and takes less time to trace.

    Each batch norm is folded into its convolution, and no activation works in place. The exporter
    does both by itself, but in many steps.
    """
    copy = deepcopy(deployed)
    for layers, place, norm in pair_norms(copy):
        convolution = layers[place]
        assert isinstance(convolution, nn.Conv2d)
        layers[place] = fuse_conv_bn_eval(convolution, norm)
        layers[place + 1] = nn.Identity()
    for layer in copy.modules():
        if isinstance(layer, nn.ReLU6):
            layer.inplace = False
    return copy
