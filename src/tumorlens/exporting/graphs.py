"""Which nodes of a model's graph may lose precision, and what its file keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from tumorlens.model.contract import SEEN_KEY
from tumorlens.model.graph import parse_model
from tumorlens.model.onnx_runtime import load_onnxruntime
from tumorlens.optional import load

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

__all__ = [
    "SubgraphSession",
    "convolutions",
    "copy_graph",
    "find_float_nodes",
    "load_graph",
    "open_at",
    "save_graph",
    "trace_back",
]


class Named(Protocol):
    """An input of a part of a graph."""

    name: str


class SubgraphSession(Protocol):
    """An open session of a part of a graph."""

    def run(
        self, names: Sequence[str], given: Mapping[str, npt.NDArray[np.float32]]
    ) -> list[npt.NDArray[np.float32]]:
        """The named tensors, for the given inputs."""
        ...

    def get_inputs(self) -> Sequence[Named]:
        """What the part takes."""
        ...


def load_graph(path: Path) -> ModelProto:
    """The model, every node with a name.

    Raises:
        ModelFileError: the file is no ONNX model.
    """
    model = parse_model(path)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    return model


def copy_graph(model: ModelProto) -> ModelProto:
    """A model of its own, to be changed."""
    copy: ModelProto = load("onnx").ModelProto.FromString(model.SerializeToString())
    return copy


def save_graph(model: ModelProto, like: ModelProto, path: Path) -> None:
    """Write ``model`` with the metadata of ``like``, but not the list of pictures it has seen."""
    from onnxruntime.quantization.onnx_model import ONNXModel

    ONNXModel(model).topological_sort()  # converters add nodes where they need them
    del model.graph.value_info[:]  # inferred by whoever loads it
    kept = {entry.key: entry.value for entry in like.metadata_props if entry.key != SEEN_KEY}
    load("onnx.helper").set_model_props(model, kept)
    load("onnx").checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def convolutions(model: ModelProto) -> list[str]:
    """Names of the convolutions, in the order in which they run."""
    return [node.name for node in model.graph.node if node.op_type == "Conv"]


def find_float_nodes(model: ModelProto) -> list[str]:
    """Nodes that stay in single precision: all that no convolution follows.

    These are the last convolution, whose outputs are the cells' logits, the pooling of evidence,
    the types, the calibration, and all of unfamiliarity: cheap to compute, and sums of
    exponentials and distances bear no rounding.
    """
    maker = {output: node for node in model.graph.node for output in node.output}
    before: set[str] = set()
    open_ = [name for node in model.graph.node if node.op_type == "Conv" for name in node.input]
    while open_:
        node = maker.get(open_.pop())
        if node is not None and node.name not in before:
            before.add(node.name)
            open_.extend(node.input)
    return [node.name for node in model.graph.node if node.name not in before]


def open_at(model: ModelProto, names: list[str], known: Collection[str] = ()) -> SubgraphSession:
    """A session of the part of the graph that leads to the named tensors.

    Args:
        model: the whole graph.
        names: of the tensors that it gives.
        known: tensors that need not be computed; those in the way are its inputs.
    """
    onnxruntime = load_onnxruntime()

    onnx = load("onnx")
    part = copy_graph(model)
    graph = part.graph
    given, needed = trace_back(graph, names, known)
    kept = {output for node in needed for output in node.output}
    read = {name for node in needed for name in node.input}
    for node in [node for node in graph.node if kept.isdisjoint(node.output)]:
        graph.node.remove(node)
    for value in [value for value in graph.initializer if value.name not in read]:
        graph.initializer.remove(value)
    del graph.value_info[:], graph.output[:], graph.input[:]
    kind = onnx.TensorProto.FLOAT
    graph.input.extend(onnx.helper.make_tensor_value_info(name, kind, None) for name in given)
    graph.output.extend(onnx.helper.make_tensor_value_info(name, kind, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session: SubgraphSession = onnxruntime.InferenceSession(
        part.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session


def trace_back(
    graph: GraphProto, names: Sequence[str], known: Collection[str]
) -> tuple[list[str], list[NodeProto]]:
    """Known tensors, the network's input among them, that lead to the named; nodes between."""
    maker = {output: node for node in graph.node for output in node.output}
    ends = {*known, *(value.name for value in graph.input)}
    given: dict[str, None] = {}
    needed: list[NodeProto] = []
    open_ = list(names)
    while open_:
        name = open_.pop()
        if name in ends:
            given[name] = None
        elif (node := maker.get(name)) is not None:
            needed.append(node)
            open_.extend(node.input)
            for output in node.output:
                del maker[output]
    return list(given), needed
