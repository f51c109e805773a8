"""How many multiply-adds a network needs for one slice, by the numbers it computes with."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from tumorlens.exporting.graphs import load_graph
from tumorlens.model.contract import INPUT
from tumorlens.optional import load

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["count_multiply_adds"]


def count_multiply_adds(path: Path) -> Counter[str]:
    """``float32`` and ``int8`` -> multiply-adds of convolutions and matrix products, batch 1.

    Half precision counts as float32: ONNX Runtime computes it so on CPUs.

    Raises:
        ModelFileError: the file is no ONNX model.
    """
    model = load_graph(path)
    graph = model.graph
    image = next(value for value in graph.input if value.name == INPUT)
    image.type.tensor_type.shape.dim[0].dim_value = 1
    inferred = load("onnx.shape_inference").infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    shapes |= {one.name: list(one.dims) for one in graph.initializer}
    maker = {output: node for node in graph.node for output in node.output}
    counted: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            feeder = maker.get(node.input[1])
            integers = feeder is not None and feeder.op_type == "DequantizeLinear"
            counted["int8" if integers else "float32"] += _count(node, shapes)
    return counted


def _count(node: NodeProto, shapes: dict[str, list[int]]) -> int:
    """Outputs, times the products that each of them sums up."""
    first, second = (shapes.get(name, [0]) for name in node.input[:2])
    outputs = prod(max(size, 1) for size in shapes.get(node.output[0], [0]))
    summed = prod(second[1:]) if node.op_type == "Conv" else first[-1]
    return outputs * summed
