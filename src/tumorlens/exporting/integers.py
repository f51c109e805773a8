"""``onnx-int8``: convolutions in 8-bit integers, decisions in single precision.

Static quantisation, QDQ, a scale for each channel of a weight (Krishnamoorthi 2018,
arXiv:1806.08342): never dynamic, which destroys depthwise layers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.exporting.bias_correction import correct_biases
from tumorlens.exporting.graphs import convolutions, find_float_nodes, load_graph, save_graph
from tumorlens.exporting.ranges import choose_ranges
from tumorlens.model.contract import INPUT

__all__ = ["convert"]

Images = Iterable[npt.NDArray[np.float32]]

FIRST_FLOAT = 9
"""Convolutions at the input that stay in single precision: MobileNetV2's first and its first three
blocks. The ranges of their channels differ most, every later layer inherits their rounding, and
they hold 1 % of the weights."""

CORRECTED = 64
"""Images that ranges are chosen and biases corrected on, of those given."""

_OPERATIONS = ("Conv", "Clip", "Add", "Resize")


def convert(source: Path, output: Path, images: Images) -> None:
    """Write the 8-bit twin of a model; inputs and outputs stay float32.

    Weights are unsigned: with signed ones x86 without VNNI multiplies into 16 bits that
    overflow, and the answers of one file would depend on the processor.

    Args:
        source: the model file.
        output: the file to write.
        images: (1, 1, S, S) float32 each, on which ranges of values are seen.
    """
    from onnxruntime import quantization as q

    model, seen = load_graph(source), list(images)
    kept = find_float_nodes(model) + convolutions(model)[:FIRST_FLOAT]
    chosen = seen[:: max(1, len(seen) // CORRECTED)][:CORRECTED]
    ranges = {
        name: [{"rmin": np.float32(low), "rmax": np.float32(high)}]
        for name, (low, high) in choose_ranges(model, _find_tensors(model, kept), chosen).items()
    }
    root = logging.getLogger()
    level, root.level = root.level, logging.ERROR  # it advises a step that is not needed here
    try:
        q.quantize_static(
            load_graph(source),
            str(output),
            _Reader(seen),
            quant_format=q.QuantFormat.QDQ,
            calibrate_method=q.CalibrationMethod.MinMax,
            per_channel=True,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QUInt8,
            op_types_to_quantize=list(_OPERATIONS),
            nodes_to_exclude=kept,
            extra_options={"WeightSymmetric": True, "TensorQuantOverrides": ranges},
        )
    finally:
        root.level = level
    integers = load_graph(output)
    correct_biases(integers, model, chosen)
    save_graph(integers, model, output)


def _find_tensors(model: Any, kept: list[str]) -> list[str]:
    """Tensors that become integers: what quantised nodes read and give, weights apart."""
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
    """Hands calibration images over, one after the other."""

    def __init__(self, images: Images) -> None:
        self._images: Iterator[npt.NDArray[np.float32]] = iter(images)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image}
