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
from tumorlens.model.contract import INPUT

__all__ = ["convert"]

Images = Iterable[npt.NDArray[np.float32]]

FIRST_FLOAT = 6
"""Convolutions at the input that stay in single precision: MobileNetV2's first and its first two
blocks. The ranges of their channels differ most, every later layer inherits their rounding, and
they hold 0.5 % of the weights (benchmarks/integers.py compares)."""

CORRECTED = 64
"""Images that biases are corrected on; their means need no more."""

_OPERATIONS = ("Conv", "Clip", "Add", "Resize")


def convert(source: Path, output: Path, images: Images) -> None:
    """Write the 8-bit twin of a model; inputs and outputs stay float32.

    Weights are unsigned: with signed ones x86 without VNNI multiplies into 16 bits that
    overflow, and the answers of one file would depend on the processor.

    Args:
        source: the model file.
        output: the file to write.
        images: (1, 1, S, S) float32 each; ranges of values are the least and largest on them.
    """
    from onnxruntime import quantization as q

    model, seen = load_graph(source), list(images)
    kept = find_float_nodes(model) + convolutions(model)[:FIRST_FLOAT]
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
            extra_options={"WeightSymmetric": True},
        )
    finally:
        root.level = level
    integers = load_graph(output)
    correct_biases(integers, model, seen[:: max(1, len(seen) // CORRECTED)][:CORRECTED])
    save_graph(integers, model, output)


class _Reader:
    """Hands calibration images over, one after the other."""

    def __init__(self, images: Images) -> None:
        self._images: Iterator[npt.NDArray[np.float32]] = iter(images)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image}
