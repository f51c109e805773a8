"""``onnx-fp16``: weights and convolutions in half precision, decisions in single."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tumorlens.exporting.graphs import find_float_nodes, load_graph, save_graph

if TYPE_CHECKING:
    from onnx import GraphProto

__all__ = ["convert"]


def convert(source: Path, output: Path, images: Iterable[npt.NDArray[np.float32]] = ()) -> None:
    """Write the half-precision version of a model; inputs and outputs stay float32.

    Args:
        source: the model file.
        output: the file to write.
        images: not needed.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = load_graph(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # weights too small for half precision become its smallest
        half = convert_float_to_float16(
            load_graph(source), keep_io_types=True, node_block_list=find_float_nodes(model)
        )
    _drop_detours(half.graph)
    save_graph(half, model, output)


def _drop_detours(graph: GraphProto) -> None:
    """Let nodes that stay in single precision hand over to one another without a rounding.

    The converter wraps each of them in casts, so that what one gives to the next would pass
    through half precision.
    """
    maker = {output: node for node in graph.node for output in node.output}
    results = {value.name for value in graph.output}
    name_of: dict[str, str] = {}  # what is read now -> what is read then
    ends = []
    for node in graph.node:
        before = maker.get(node.input[0]) if node.op_type == "Cast" else None
        if before is not None and before.op_type == "Cast":
            ends.append(node)
            if node.output[0] in results:
                name_of[before.input[0]] = node.output[0]
            else:
                name_of[node.output[0]] = before.input[0]
    for node in ends:
        graph.node.remove(node)
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                first = name_of.get(name, name)
                names[place] = name_of.get(first, first)
    _drop_unread(graph, results)


def _drop_unread(graph: GraphProto, results: set[str]) -> None:
    read = {name for node in graph.node for name in node.input} | results
    for node in [node for node in graph.node if read.isdisjoint(node.output)]:
        graph.node.remove(node)
