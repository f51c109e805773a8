"""Give the channels of a tensor one common range, so that eight bits serve all of them alike.

The tensors that carry features from block to block have no ReLU6. The ranges of their channels
differ tenfold, so that a channel with a small range has only a few steps of the 256. A channel is
therefore scaled up where it is computed and scaled back where it is read. In float32 this changes
nothing (Nagel et al. 2019, arXiv:1906.04721, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tumorlens.exporting.graphs import find_float_nodes, open_at
from tumorlens.model.contract import INPUT
from tumorlens.optional import load

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

__all__ = ["equalize"]

Array = npt.NDArray[np.float32]

LARGEST_GAIN = 50.0
"""Largest gain of a channel: one that is nearly zero on these slices may not be on others."""


def equalize(model: ModelProto, images: Sequence[Array]) -> None:
    """Scale, in place, the channels of each output of a convolution that no ReLU6 limits.

    Args:
        model: in float32.
        images: (1, 1, S, S) float32 each; the ranges are measured on them.
    """
    streams = list(_find_streams(model))
    largest = _find_largest(model, [name for stream in streams for name in stream], images)
    values = {one.name: one for one in model.graph.initializer}
    for stream in streams:
        reach = np.maximum(np.max([largest[name] for name in stream], axis=0), 1e-9)
        gain = np.clip(reach.max() / reach, 1, LARGEST_GAIN).astype(np.float32)
        for node in list(model.graph.node):
            if node.op_type == "Conv" and node.output[0] in stream:
                _scale(values[node.input[1]], gain, axis=0)
                _scale(values[node.input[2]], gain, axis=0)
            elif node.op_type == "Conv" and node.input[0] in stream:
                depthwise = values[node.input[1]].dims[1] == 1 < len(gain)
                _scale(values[node.input[1]], 1 / gain, axis=0 if depthwise else 1)
            elif stream.isdisjoint(node.output):
                _undo(model.graph, node, stream, gain)


def _find_streams(model: ModelProto) -> Iterator[set[str]]:
    """Sets of tensors that must share their scales, because sums and resizing join them."""
    last = set(find_float_nodes(model))
    streams: list[set[str]] = []
    for node in model.graph.node:
        if node.op_type == "Conv" and node.name not in last:
            streams.append({node.output[0]})
        elif node.op_type in ("Add", "Resize", "Clip") and node.name not in last:
            joined = [one for one in streams if not one.isdisjoint(node.input)]
            streams = [one for one in streams if one.isdisjoint(node.input)]
            streams.append({*node.output}.union(*joined))
    clipped = {name for node in model.graph.node if node.op_type == "Clip" for name in node.output}
    yield from (one for one in streams if one.isdisjoint(clipped))


def _find_largest(model: ModelProto, names: list[str], images: Sequence[Array]) -> dict[str, Array]:
    """Largest magnitude of each tensor's channels."""
    if not names:
        return {}
    session = open_at(model, names)
    largest: dict[str, Array] = {}
    for image in images:
        for name, values in zip(names, session.run(names, {INPUT: image}), strict=True):
            reach = np.abs(values).max((0, 2, 3))
            largest[name] = np.maximum(largest.get(name, reach), reach)
    return largest


def _scale(tensor: TensorProto, factors: Array, *, axis: int) -> None:
    arrays = load("onnx.numpy_helper")
    values = arrays.to_array(tensor)
    shape = [-1 if place == axis else 1 for place in range(values.ndim)]
    tensor.CopyFrom(arrays.from_array(values * factors.reshape(shape), tensor.name))


def _undo(graph: GraphProto, node: NodeProto, stream: set[str], gain: Array) -> None:
    """Give a node that is no convolution the unscaled values that it read before."""
    helper, arrays = load("onnx.helper"), load("onnx.numpy_helper")
    for place, name in enumerate(node.input):
        if name not in stream:
            continue
        plain = f"{name}_plain"
        if all(plain not in other.output for other in graph.node):
            factor = arrays.from_array((1 / gain).reshape(1, -1, 1, 1), f"{plain}_factor")
            graph.initializer.append(factor)
            made = helper.make_node("Mul", [name, factor.name], [plain], name=f"{plain}_mul")
            graph.node.insert(list(graph.node).index(node), made)
        node.input[place] = plain
