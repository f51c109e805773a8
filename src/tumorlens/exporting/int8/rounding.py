"""Round the weights of a network to 8 bits so that its outputs change as little as possible.

If a weight was rounded up, the weights after it are lowered a little. How much depends on how
strongly their inputs agree on real slices (GPTQ: Frantar et al. 2022, arXiv:2210.17323). Layers are
rounded from the first to the last. Each layer reads the outputs of the rounded layers before it and
aims at its own output in float32. So it corrects a part of their error. Its bias corrects the shift
of the means of its channels (Nagel et al. 2019, arXiv:1906.04721, section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tumorlens.exporting.graphs import open_at, trace_back
from tumorlens.model.contract import INPUT
from tumorlens.optional import load

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

__all__ = ["Layer", "compensate", "round_weights", "take_over"]

Array = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

BATCH = 8
DAMPING = 0.01
"""Added to the variances of the inputs, as a share of their mean: there are few slices."""
POSITIONS, POSITIONS_APART = 36, 9
"""Positions that are read in each image. Fewer are read where each channel has its own kernel,
because there are few weights to find."""
MIDDLE, LARGEST = 128, 127
"""Unsigned weights around their middle, as many steps up as down."""


@dataclass(frozen=True)
class Layer:
    """A convolution in both graphs.

    Attributes:
        original: node in float32.
        integers: node of the same name with inputs and outputs in 8 bits.
    """

    original: ModelProto
    integers: ModelProto

    def read(self, name: str, default: list[int]) -> list[int]:
        """An attribute that holds whole numbers."""
        return next((list(a.ints) for a in self.original.attribute if a.name == name), default)

    def sample(self, values: Array, weight: Array) -> Array:
        """The inputs of the kernel at some positions.

        Args:
            values: (N, C, H, W), the layer's input.
            weight: (R, C, k, k), or (C, 1, k, k) where each channel has a kernel of its own.

        Returns:
            (1, n, C · k²), or (C, n, k²).
        """
        side = weight.shape[-1]
        top, left, bottom, right = self.read("pads", [0, 0, 0, 0])
        wide = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(wide, (side, side), axis=(2, 3))
        down, across = self.read("strides", [1, 1])
        windows = windows[:, :, ::down, ::across]
        rows, columns = windows.shape[2:4]
        apart = weight.shape[1] < values.shape[1]
        count = min(POSITIONS_APART if apart else POSITIONS, rows * columns)
        places = np.linspace(0, rows * columns - 1, count)
        y, x = np.divmod(places.round().astype(int), columns)
        taken = windows[:, :, y, x]  # (N, C, n, k, k)
        if apart:
            return taken.transpose(1, 0, 2, 3, 4).reshape(len(weight), -1, side * side)
        taken = taken.transpose(0, 2, 1, 3, 4)
        return taken.reshape(1, len(taken) * len(places), -1)


def round_weights(integers: ModelProto, original: ModelProto, images: Sequence[Array]) -> None:
    """Rewrite the 8-bit weights and 32-bit biases of a quantised graph in place.

    Args:
        integers: QDQ model with a scale for each channel of a weight.
        original: the same model in float32; its nodes have the same names.
        images: (1, 1, S, S) float32 each.
    """
    arrays = load("onnx.numpy_helper")
    values = {one.name: one for one in (*integers.graph.initializer, *original.graph.initializer)}
    maker = {output: node for node in integers.graph.node for output in node.output}
    layers = list(_find_layers(integers, original, maker))
    weights = [arrays.to_array(values[one.original.input[1]]) for one in layers]
    wanted = _sample_all(original, layers, weights, images)
    stream = _Stream(integers, [one.integers.input[0] for one in layers], images)
    for layer, weight, before in zip(layers, weights, wanted, strict=True):
        now = layer.sample(stream.read(layer.integers.input[0]), weight)
        bias = arrays.to_array(values[layer.original.input[2]])
        weight_of, bias_of = (maker[name] for name in layer.integers.input[1:3])
        steps = arrays.to_array(values[weight_of.input[1]])
        rows = weight.reshape(len(now), -1, now.shape[-1])
        whole, shift = compensate(rows, steps.reshape(rows.shape[:2]), before, now)
        _write(values[weight_of.input[0]], (whole + MIDDLE).reshape(weight.shape), np.uint8)
        bias_steps = arrays.to_array(values[bias_of.input[1]])
        _write(values[bias_of.input[0]], np.round((bias + shift.ravel()) / bias_steps), np.int32)


def take_over(model: ModelProto, integers: ModelProto) -> list[str]:
    """Give a graph in float32 the rounded weights and biases of its 8-bit version.

    Returns:
        Names of the convolutions that were rounded.
    """
    arrays = load("onnx.numpy_helper")
    values = {one.name: one for one in integers.graph.initializer}
    ours = {one.name: one for one in model.graph.initializer}
    maker = {output: node for node in integers.graph.node for output in node.output}
    layers = list(_find_layers(integers, model, maker))
    for layer in layers:
        for place in (1, 2):
            whole, step, zero = (
                arrays.to_array(values[name])
                for name in maker[layer.integers.input[place]].input[:3]
            )
            shape = [-1] + [1] * (whole.ndim - 1)
            exact = (whole.astype(np.float32) - zero.reshape(shape)) * step.reshape(shape)
            name = layer.original.input[place]
            ours[name].CopyFrom(arrays.from_array(exact.astype(np.float32), name))
    return [layer.original.name for layer in layers]


def _find_layers(
    integers: ModelProto, original: ModelProto, maker: dict[str, NodeProto]
) -> Iterator[Layer]:
    """Convolutions with quantised weights, in the order in which they run."""
    quantised = {node.name: node for node in integers.graph.node if node.op_type == "Conv"}
    for node in original.graph.node:
        if node.op_type == "Conv":
            ours = quantised[node.name]
            if ours.input[1] in maker:
                yield Layer(node, ours)


def _sample_all(
    model: ModelProto, layers: list[Layer], weights: list[Array], images: Sequence[Array]
) -> list[Array]:
    """The inputs of each layer, at some positions of all images."""
    names = list(dict.fromkeys(layer.original.input[0] for layer in layers))
    session = open_at(model, names)
    taken: list[list[Array]] = [[] for _ in layers]
    for image in images:
        tensors = dict(zip(names, session.run(names, {INPUT: image}), strict=True))
        for parts, layer, weight in zip(taken, layers, weights, strict=True):
            parts.append(layer.sample(tensors[layer.original.input[0]], weight))
    return [np.concatenate(parts, axis=1) for parts in taken]


class _Stream:
    """Tensors of a graph. Its layers change from first to last; each tensor is computed once."""

    def __init__(self, model: ModelProto, names: list[str], images: Sequence[Array]) -> None:
        self._model, self._wanted = model, names
        self._known = {INPUT: np.concatenate(images)}

    def read(self, name: str) -> Array:
        """The tensor, (N, C, H, W). All layers before it must be final."""
        if name not in self._known:
            session = open_at(self._model, [name], self._known)
            given = [self._known[value.name] for value in session.get_inputs()]
            names = [value.name for value in session.get_inputs()]
            parts = [
                session.run(
                    [name], {n: v[at : at + BATCH] for n, v in zip(names, given, strict=True)}
                )[0]
                for at in range(0, len(given[0]), BATCH)
            ]
            self._known[name] = np.concatenate(parts)
        found = self._known[name]
        self._wanted = self._wanted[self._wanted.index(name) + 1 :]
        needed, _ = trace_back(self._model.graph, self._wanted, self._known)
        self._known = {name: self._known[name] for name in needed}
        return found


def compensate(weights: Array, steps: Array, before: Array, now: Array) -> tuple[Matrix, Matrix]:
    """Round weights so that the layer gives on ``now`` what it gave on ``before``.

    Args:
        weights: (G, R, K): G groups of R outputs that read the same K inputs.
        steps: (G, R), the size of one step of the rounded weights.
        before, now: (G, n, K) inputs in float32, and inputs after earlier layers were rounded.

    Returns:
        (G, R, K) whole numbers of steps, and the (G, R) shift to add to the bias.
    """
    start, end = before.mean(1, dtype=np.float64), now.mean(1, dtype=np.float64)
    old, new = before - start[:, None], now - end[:, None]
    moments = new.transpose(0, 2, 1) @ new / new.shape[1]
    mixed = old.transpose(0, 2, 1) @ new / new.shape[1]
    size = moments.shape[-1]
    level = DAMPING * np.trace(moments, axis1=1, axis2=2) / size + 1e-9
    damping = level[:, None, None] * np.eye(size)
    exact = weights.astype(np.float64)
    aim = exact @ (mixed + damping) @ np.linalg.inv(moments + damping)
    whole = _round_in_turn(aim / steps[..., None], moments + damping)
    shift = exact @ start[..., None] - (whole * steps[..., None]) @ end[..., None]
    return whole, shift[..., 0]


def _round_in_turn(aim: Matrix, moments: Matrix) -> Matrix:
    """Round the weights of one input after the other; the rest make up for the error."""
    upper = np.linalg.cholesky(np.linalg.inv(moments)).transpose(0, 2, 1)
    left, whole = aim.copy(), np.empty_like(aim)
    for place in range(aim.shape[-1]):
        whole[..., place] = np.clip(np.round(left[..., place]), -LARGEST, LARGEST)
        error = (left[..., place] - whole[..., place]) / upper[:, place, place, None]
        left[..., place:] -= error[..., None] * upper[:, None, place, place:]
    return whole


def _write(tensor: TensorProto, values: Matrix, kind: type[np.generic]) -> None:
    tensor.CopyFrom(load("onnx.numpy_helper").from_array(values.astype(kind), tensor.name))
