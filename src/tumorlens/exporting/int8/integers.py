"""``onnx-int8``: convolutions in 8-bit integers, decisions in single precision.

The quantisation is static, in the QDQ format, with one scale for each channel of a weight
(Krishnamoorthi 2018, arXiv:1806.08342). Dynamic quantisation would destroy depthwise layers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tumorlens.exporting.graphs import (
    convolutions,
    copy_graph,
    find_float_nodes,
    load_graph,
    save_graph,
)
from tumorlens.exporting.int8.equalization import equalize
from tumorlens.exporting.int8.ranges import choose_ranges
from tumorlens.exporting.int8.rounding import round_weights
from tumorlens.model.contract import INPUT
from tumorlens.optional import load

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

__all__ = ["convert", "fit_integers"]

Images = Iterable[npt.NDArray[np.float32]]
Ranges = dict[str, list[dict[str, np.float32]]]
"""Tensor -> its ``rmin`` and ``rmax``, as ONNX Runtime takes them."""

FIRST_FLOAT = 0.25
"""Share of the convolutions, counted from the input, that stay in single precision. In MobileNetV2
these are the first one and five blocks. Rounding up to stride 8 caused most of the error, because
all later layers inherit it; and these layers hold only 2 % of the weights."""

RANGED, ROUNDED = 64, 128
"""How many of the given images serve to choose ranges and to round weights."""

_FAINTEST = 1e-6
"""The largest weight of a channel is at least this share of the largest of its layer."""

_OPERATIONS = ("Conv", "Clip", "Add", "Resize")


def convert(source: Path, output: Path, images: Images) -> None:
    """Write the 8-bit version of a model; inputs and outputs stay float32.

    Weights are signed, because VNNI needs signed weights. An x86 processor without VNNI adds the
    products in 16 bits, which overflow. There a `Session` makes the weights unsigned, and the
    model is as slow as in float32.

    Args:
        source: the model file.
        output: the file to write.
        images: (1, 1, S, S) float32 each; ranges of values are measured on them.
    """

    model, integers = fit_integers(source, images)
    _sign_weights(integers.graph)
    _share_equal(integers.graph)
    save_graph(integers, model, output)


def fit_integers(source: Path, images: Images) -> tuple[ModelProto, ModelProto]:
    """Equalise the channels of the graph, and give it in float32 and in 8 bits.

    Args:
        source: the model file.
        images: (1, 1, S, S) float32 each.
    """
    model, seen = load_graph(source), list(images)
    few, many = _thin(seen, RANGED), _thin(seen, ROUNDED)
    equalize(model, few)
    kept = find_float_nodes(model) + _find_first(model)
    ranges = {
        name: [{"rmin": np.float32(low), "rmax": np.float32(high)}]
        for name, (low, high) in choose_ranges(model, _find_tensors(model, kept), few).items()
    }
    _wake_silent(model, kept, ranges)
    integers = _quantize(model, kept, ranges, seen[:1])
    round_weights(integers, model, many)
    return model, integers


def _find_first(model: ModelProto) -> list[str]:
    """All nodes before the first convolution in integers, including the sums among them."""
    names, layers = [node.name for node in model.graph.node], convolutions(model)
    return names[: names.index(layers[int(FIRST_FLOAT * len(layers))])]


def _wake_silent(model: ModelProto, kept: list[str], ranges: Ranges) -> None:
    """Give each channel whose weights are nearly zero one weight that is just large enough.

    The largest weight of a channel sets its scale, and the bias is a number of steps of that
    scale. With a tiny scale, 32 bits could not hold the bias. The new weight adds at most a
    ten-thousandth of the bias, or a millionth of what the largest weight of the layer adds.
    Without it, a channel of zeros would get a zero point that differs from all others.

    Args:
        model: in float32; changed in place.
        kept: names of nodes that stay in float32.
        ranges: of tensors that become integers.
    """
    arrays = load("onnx.numpy_helper")
    values = {one.name: one for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Conv" or node.name in kept:
            continue
        (span,) = ranges[node.input[0]]
        step = (max(float(span["rmax"]), 0.0) - min(float(span["rmin"]), 0.0)) / 255
        weight = arrays.to_array(values[node.input[1]]).copy()
        bias = arrays.to_array(values[node.input[2]])
        rows = weight.reshape(len(weight), -1)
        loudest = np.abs(rows).max(axis=1)
        least = 127 * np.abs(bias) / (2.0**30 * max(step, 1e-12))
        least = np.maximum(least, _FAINTEST * max(float(loudest.max()), 1e-6))
        silent = loudest < least
        rows[silent, 0] = least[silent]
        values[node.input[1]].CopyFrom(arrays.from_array(weight, node.input[1]))


def _thin(images: list[npt.NDArray[np.float32]], count: int) -> list[npt.NDArray[np.float32]]:
    """Some images, evenly spaced: images of one source follow each other."""
    places = np.linspace(0, len(images) - 1, min(count, len(images)))
    return [images[place] for place in places.round().astype(int)]


def _quantize(model: ModelProto, kept: list[str], ranges: Ranges, images: Images) -> ModelProto:
    """The QDQ graph. All ranges are given; the library still wants to run some images."""
    from onnxruntime import quantization as q

    root = logging.getLogger()
    level, root.level = root.level, logging.ERROR  # it would advise a step that is not needed here
    try:
        with TemporaryDirectory(prefix="tumorlens-") as folder:
            output = Path(folder) / "integers.onnx"
            q.quantize_static(
                copy_graph(model),
                str(output),
                _Reader(images),
                quant_format=q.QuantFormat.QDQ,
                calibrate_method=q.CalibrationMethod.MinMax,
                per_channel=True,
                activation_type=q.QuantType.QUInt8,
                weight_type=q.QuantType.QUInt8,
                op_types_to_quantize=list(_OPERATIONS),
                nodes_to_exclude=kept,
                extra_options={"WeightSymmetric": True, "TensorQuantOverrides": ranges},
            )
            return load_graph(output)
    finally:
        root.level = level


def _share_equal(graph: GraphProto) -> None:
    """Keep one of several equal initializers: each layer comes with zeros of its own."""
    arrays, signed = load("onnx.numpy_helper"), load("onnx").TensorProto.INT8
    first: dict[object, str] = {}
    name_of: dict[str, str] = {}
    for one in list(graph.initializer):
        content = (one.data_type, tuple(one.dims), arrays.to_array(one).tobytes())
        if one.name.startswith("calibration.") or one.data_type == signed:
            continue  # scales are rewritten later; with signed weights each layer needs its own
        name_of[one.name] = first.setdefault(content, one.name)
        if name_of[one.name] != one.name:
            graph.initializer.remove(one)
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = name_of.get(name, name)


def _sign_weights(graph: GraphProto) -> None:
    """Turn weights around 128 into weights around 0; their values stay the same."""
    arrays = load("onnx.numpy_helper")
    initializers = {one.name: one for one in graph.initializer}
    for node in graph.node:
        weight = initializers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if weight is None or len(weight.dims) < 2:
            continue
        values = arrays.to_array(weight)
        if values.dtype == np.uint8:
            signed = (values.astype(np.int16) - 128).astype(np.int8)
            weight.CopyFrom(arrays.from_array(signed, weight.name))
        del node.input[2:]  # no zero point: 0
    used = {name for node in graph.node for name in node.input}
    for one in [one for one in graph.initializer if one.name not in used]:
        graph.initializer.remove(one)


def _find_tensors(model: ModelProto, kept: list[str]) -> list[str]:
    """Tensors that become integers: inputs and outputs of quantised nodes, without weights."""
    weights = {one.name for one in model.graph.initializer}
    names = [
        name
        for node in model.graph.node
        if node.op_type in _OPERATIONS and node.name not in kept
        for name in (*node.input, *node.output)
        if name and name not in weights
    ]
    return list(dict.fromkeys(names))


class _Reader:
    """Gives calibration images, one after the other."""

    def __init__(self, images: Images) -> None:
        self._images: Iterator[npt.NDArray[np.float32]] = iter(images)

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image}
