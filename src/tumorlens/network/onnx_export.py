"""From torch to the one ONNX file of the contract."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from tumorlens.model.card import Card
from tumorlens.model.contract import (
    CARD_KEY,
    INPUT,
    OFFSET,
    OUTPUTS,
    SCALE,
    SEEN_KEY,
    UNFAMILIARITY,
)
from tumorlens.network.assembly import Deployed
from tumorlens.optional import load
from tumorlens.writing import replace_when_done

__all__ = ["export_onnx"]

OPSET = 18


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
    model = _trace(deployed.eval().cpu(), card.preprocess.size)
    _name_calibration(model)
    metadata = {CARD_KEY: card.to_json()}
    if seen is not None:
        metadata[SEEN_KEY] = seen
    for entry in [*model.graph.node, *model.graph.input, *model.graph.output]:
        entry.ClearField("metadata_props")  # traces of the exporter, with paths of this computer
        entry.ClearField("doc_string")
    load("onnx.helper").set_model_props(model, metadata)
    onnx.checker.check_model(model)
    with replace_when_done(path, overwrite=overwrite) as partial:
        partial.write_bytes(model.SerializeToString())


def _trace(deployed: Deployed, size: int) -> Any:
    example = torch.rand(2, 1, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            deployed,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
            optimize=True,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return program.model_proto


def _name_calibration(model: Any) -> None:
    """Every number of the calibration must have survived under its own name."""
    names = {initializer.name for initializer in model.graph.initializer}
    missing = {SCALE, OFFSET, UNFAMILIARITY} - names
    if missing:
        raise RuntimeError(f"the exporter folded {sorted(missing)} away")
