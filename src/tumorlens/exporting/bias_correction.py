"""Take back the shift that 8-bit weights and ranges give the channels of a network.

Rounding moves the mean of a convolution's outputs, channel by channel, and the shifts add up from
layer to layer. Each bias is corrected by the difference of the means on real slices, from the first
layer to the last, so that a layer is judged on inputs that were corrected before (Nagel et al.
2019, arXiv:1906.04721, section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.exporting.graphs import open_at
from tumorlens.model.contract import INPUT
from tumorlens.optional import load

__all__ = ["correct_biases"]

Array = npt.NDArray[np.float32]
Means = npt.NDArray[np.float64]

BATCH = 8
LEAST_OPEN = 0.25
"""A channel that ReLU6 mostly cuts off answers little to its bias; the correction is divided by the
open share, or by this."""


def correct_biases(integers: Any, original: Any, images: Sequence[Array]) -> None:
    """Rewrite the 32-bit biases of a quantised graph in place.

    Args:
        integers: QDQ model.
        original: the model in float32 that it was made from, nodes of the same names.
        images: (1, 1, S, S) float32 each.
    """
    batch = [
        np.concatenate(images[start : start + BATCH]) for start in range(0, len(images), BATCH)
    ]
    maker = {output: node for node in integers.graph.node for output in node.output}
    values = {one.name: one for one in integers.graph.initializer}
    arrays = load("onnx.numpy_helper")
    layers = list(_find_layers(integers, original, maker))
    wanted = _average(original, [result for _, result in layers], batch)
    for (node, result), (mean, _) in zip(layers, wanted, strict=True):
        ((found, open_),) = _average(integers, [f"{result}_DequantizeLinear_Output"], batch)
        bias = values[maker[node.input[2]].input[0]]
        step = arrays.to_array(values[maker[node.input[2]].input[1]])
        shift = (mean - found) / np.maximum(open_, LEAST_OPEN)
        corrected = arrays.to_array(bias) + np.round(shift / step)
        bias.CopyFrom(arrays.from_array(corrected.astype(np.int32), bias.name))


def _find_layers(integers: Any, original: Any, maker: dict[str, Any]) -> Iterator[tuple[Any, str]]:
    """Quantised convolutions, in order, and the tensor that each leads to behind its ReLU6."""
    readers: dict[str, list[Any]] = {}
    for node in original.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    quantised = {node.name: node for node in integers.graph.node if node.op_type == "Conv"}
    for node in original.graph.node:
        if node.op_type != "Conv":
            continue
        following = readers.get(node.output[0], [])
        clipped = len(following) == 1 and following[0].op_type == "Clip"
        result = following[0].output[0] if clipped else node.output[0]
        bias = maker.get(quantised[node.name].input[2])
        if bias is not None and f"{result}_DequantizeLinear_Output" in maker:
            yield quantised[node.name], result


def _average(model: Any, names: list[str], batches: list[Array]) -> list[tuple[Means, Means]]:
    """For each tensor: mean of each channel, and the share of values strictly between 0 and 6.

    A tensor with negative values passed no ReLU6: all of its values are open.
    """
    session = open_at(model, names)
    sums: list[Any] = [0.0] * len(names)
    open_: list[Any] = [0.0] * len(names)
    lowest = [0.0] * len(names)
    for batch in batches:
        for place, values in enumerate(session.run(names, {INPUT: batch})):
            sums[place] += values.mean((2, 3), dtype=np.float64).sum(0)
            open_[place] += ((values > 0) & (values < 6)).mean((2, 3)).sum(0)
            lowest[place] = min(lowest[place], float(values.min()))
    count = sum(map(len, batches))
    return [
        (total / count, np.ones_like(total) if low < 0 else share / count)
        for total, share, low in zip(sums, open_, lowest, strict=True)
    ]
