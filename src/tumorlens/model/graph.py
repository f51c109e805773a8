"""Reading and rewriting a model file: calibration, card, layers, fingerprints; door of onnx."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tumorlens.errors import ModelFileError
from tumorlens.model.card import Card
from tumorlens.model.contract import (
    CARD_KEY,
    OFFSET,
    SCALE,
    SEEN_KEY,
    STUDIES_KEY,
    UNFAMILIARITY,
    Calibration,
)
from tumorlens.model.inspection import read_model
from tumorlens.optional import load
from tumorlens.writing import replace_when_done

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto

__all__ = ["parse_model", "read_calibration", "read_layers", "write_model"]

_HALF = ".half"  # ends the name of a weight that is stored in half precision
_FLOAT = 1  # TensorProto.FLOAT


def parse_model(path: Path) -> ModelProto:
    """The model of a file as the onnx package holds it, its weights in single precision.

    Raises:
        ModelFileError: it is no ONNX model, or does not stand for itself; see `read_model`.
    """
    model = _parse_stored(path)
    _widen(model.graph)
    return model


def read_calibration(path: str | Path) -> Calibration:
    """The calibration that stands in a model's initializers.

    Raises:
        ModelFileError: the file is no ONNX model, or lacks an initializer of the contract.
    """
    graph = parse_model(Path(path)).graph
    scale, offset, unfamiliarity = (
        float(_array(graph, name, path).item()) for name in (SCALE, OFFSET, UNFAMILIARITY)
    )
    try:
        return Calibration(scale, offset, unfamiliarity)
    except ValueError as error:
        raise ModelFileError(f"{path}: {error}; get the model again") from None


def read_layers(path: str | Path) -> dict[str, npt.NDArray[np.float32]]:
    """Weights and biases of a model's layers, under the names that they have in training.

    Returns:
        ``NAME.weight`` and, where the graph adds one, ``NAME.bias``; a batch norm that followed a
        convolution is folded into both. ``network.head.sharpness``, if cells are pooled: the t of
        ``log(mean(exp(t x))) / t``.

    Raises:
        ModelFileError: the file is no ONNX model.
    """
    graph = parse_model(Path(path)).graph
    to_array = load("onnx.numpy_helper").to_array
    values = {one.name: to_array(one) for one in graph.initializer}
    layers = {name: value for name, value in values.items() if name.endswith(".weight")}
    for node in graph.node:
        weight, bias = [*node.input, "", "", ""][1:3]
        if weight in layers and bias in values:
            layers[f"{weight.removesuffix('.weight')}.bias"] = values[bias]
    pooling = _find_sharpness(graph, values)
    return layers if pooling is None else {**layers, "network.head.sharpness": pooling}


def _find_sharpness(
    graph: GraphProto, values: Mapping[str, npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32] | None:
    """The exporter leaves it without a name: it is the number that multiplies and divides."""
    numbers = {name for name, value in values.items() if value.ndim == 0}
    used = {
        kind: {name for node in graph.node if node.op_type == kind for name in node.input}
        for kind in ("Mul", "Div")
    }
    found = sorted(numbers & used["Mul"] & used["Div"])
    return values[found[0]] if len(found) == 1 else None


def write_model(
    source: str | Path,
    output: Path,
    *,
    card: Card | None = None,
    calibration: Calibration | None = None,
    seen: str | None = None,
    studies: str | None = None,
    half: bool | None = None,
    overwrite: bool = False,
) -> None:
    """Copy a model with another card, calibration, list of fingerprints, numbers for studies.

    What is None stays as it was.

    Args:
        source: the model file to copy.
        output: the file to write.
        card: replaces the card.
        calibration: replaces scale, offset and the limit of familiarity.
        seen: replaces the list of fingerprints.
        studies: replaces the numbers for series and studies.
        half: store weights in half precision, at half the size, or in single precision. The
            network computes in single precision.
        overwrite: whether an existing file may be replaced.

    Raises:
        ModelFileError: ``source`` is no model of the contract.
        UsageError: ``output`` exists, or cannot be written.
    """
    model = _parse_stored(Path(source))
    was_half = _widen(model.graph)
    if calibration is not None:
        _set(model.graph, SCALE, calibration.scale, source)
        _set(model.graph, OFFSET, calibration.offset, source)
        _set(model.graph, UNFAMILIARITY, calibration.unfamiliarity, source)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if card is not None:
        metadata[CARD_KEY] = card.to_json()
    if seen is not None:
        metadata[SEEN_KEY] = seen
    if studies is not None:
        metadata[STUDIES_KEY] = studies
    load("onnx.helper").set_model_props(model, metadata)
    if was_half if half is None else half:
        _narrow(model.graph)
    with replace_when_done(output, overwrite=overwrite) as partial:
        partial.write_bytes(model.SerializeToString())


def _parse_stored(path: Path) -> ModelProto:
    """The model as it is in the file."""
    onnx = load("onnx", "rewriting a model file")
    data = read_model(path)
    try:
        model: ModelProto = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf raises its own
        raise ModelFileError(f"{path}: is no ONNX model ({error})") from None
    return model


def _find(graph: GraphProto, name: str, path: str | Path) -> TensorProto:
    found: TensorProto | None = next((one for one in graph.initializer if one.name == name), None)
    if found is not None:
        return found
    raise ModelFileError(
        f"{path}: has no initializer {name!r}, so it cannot be calibrated; "
        "models that tumorlens trains have it"
    )


def _array(graph: GraphProto, name: str, path: str | Path) -> npt.NDArray[np.float32]:
    values: npt.NDArray[np.float32] = load("onnx.numpy_helper").to_array(_find(graph, name, path))
    return values


def _set(graph: GraphProto, name: str, value: float, path: str | Path) -> None:
    old = _find(graph, name, path)
    shape = tuple(old.dims)
    new = load("onnx.numpy_helper").from_array(np.full(shape, value, np.float32), name)
    old.CopyFrom(new)


def _narrow(graph: GraphProto) -> None:
    """Store each weight in half precision, and widen it by a node when the model is opened."""
    helper, convert = load("onnx.helper"), load("onnx.numpy_helper")
    casts = []
    for tensor in graph.initializer:
        values = convert.to_array(tensor)
        if values.dtype == np.float32 and values.ndim > 1:
            name = tensor.name
            tensor.CopyFrom(convert.from_array(values.astype(np.float16), name + _HALF))
            casts.append(helper.make_node("Cast", [name + _HALF], [name], to=_FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _widen(graph: GraphProto) -> bool:
    """Undo `_narrow`, but for the rounding; whether there was something to undo."""
    convert = load("onnx.numpy_helper")
    halves = {one.name: one for one in graph.initializer if one.name.endswith(_HALF)}
    for node in list(graph.node):
        tensor = halves.get(node.input[0]) if node.op_type == "Cast" else None
        if tensor is not None:
            values = convert.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(convert.from_array(values, node.output[0]))
            graph.node.remove(node)
    return bool(halves)
