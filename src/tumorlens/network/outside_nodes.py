"""Features of a model file that tell what is no MRI of the brain, and the output made of them.

Both are nodes of the graph, so that whatever runs the model file gets the output with the others.
The features are means and deviations of the channels at five depths. Deep layers alone would not
do: they were trained to see tumors, and are blind to much that is neither brain nor tumor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from tumorlens.errors import ModelFileError
from tumorlens.model.contract import INPUT, OUTSIDE
from tumorlens.model.graph import parse_model
from tumorlens.model.onnx_runtime import load_onnxruntime
from tumorlens.optional import load
from tumorlens.writing import replace_when_done

if TYPE_CHECKING:
    from onnx import GraphProto

__all__ = ["Answer", "add_outside", "measure_features", "weigh_features"]

Array = npt.NDArray[np.float32]

DEPTHS = {4: 0.1, 7: 0.2, 11: 0.1, 14: 0.2, 17: 0.1}
"""Block of the backbone whose input is read -> weight of its features in the distance."""
_FEATURES = "outside.features"


class Answer(Protocol):
    """The numbers of `training.outside.OutsideFit`."""

    @property
    def projection(self) -> Array:
        """(F, P) from features to components."""
        ...

    @property
    def shift(self) -> Array:
        """(P,) added to them."""
        ...

    @property
    def centers(self) -> Array:
        """(M, P) of the kernel."""
        ...

    @property
    def weights(self) -> Array:
        """(M,) of the centres."""
        ...

    @property
    def offset(self) -> float:
        """Added to the weighted sum."""
        ...


def measure_features(path: Path, batches: Iterable[Array]) -> Array:
    """The features of images, as the model file computes them.

    Args:
        path: of the model file.
        batches: of (N, 1, S, S) float32 images, as `prepare` gives them.

    Returns:
        (n, F) float32.

    Raises:
        ModelFileError: the file has no backbone whose features could be read.
    """
    onnx = load("onnx")
    model = parse_model(path)
    _remove(model.graph)
    del model.graph.output[:]
    model.graph.node.extend(_make_features(model.graph, path))
    kind = onnx.TensorProto.FLOAT
    model.graph.output.append(onnx.helper.make_tensor_value_info(_FEATURES, kind, None))
    options = load_onnxruntime().SessionOptions()
    options.log_severity_level = 4
    runtime = load_onnxruntime().InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.concatenate([runtime.run([_FEATURES], {INPUT: batch})[0] for batch in batches])


def weigh_features(path: Path) -> Array:
    """(F,) factor of each feature, so that a depth counts alike however many channels it has."""
    graph = parse_model(path).graph
    return np.concatenate(
        [
            np.full(2 * channels, np.sqrt(weight / (2 * channels)), np.float32)
            for weight, (_, channels) in zip(
                DEPTHS.values(), _find_depths(graph, path), strict=True
            )
        ]
    )


def add_outside(source: Path, output: Path, answer: Answer, *, overwrite: bool = False) -> None:
    """Copy a model file, with the output ``outside`` in its graph; one that it had is replaced.

    Raises:
        ModelFileError: ``source`` has no backbone whose features could be read.
        UsageError: ``output`` exists, or cannot be written.
    """
    onnx = load("onnx")
    model = parse_model(source)
    _remove(model.graph)
    nodes = [*_make_features(model.graph, source), *_make_answer(model.graph, answer)]
    model.graph.node.extend(nodes)
    value = onnx.helper.make_tensor_value_info(OUTSIDE, onnx.TensorProto.FLOAT, ["N"])
    model.graph.output.append(value)
    onnx.checker.check_model(model)
    with replace_when_done(output, overwrite=overwrite) as partial:
        partial.write_bytes(model.SerializeToString())


def _remove(graph: GraphProto) -> None:
    """Take the output away, with all that serves it alone."""
    for field in (graph.node, graph.initializer):
        for one in [one for one in field if one.name.startswith(f"{OUTSIDE}.")]:
            field.remove(one)
    for value in [value for value in graph.output if value.name == OUTSIDE]:
        graph.output.remove(value)


def _find_depths(graph: GraphProto, path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of channels of the tensor at each depth."""
    channels = {one.name: one.dims[1] for one in graph.initializer if len(one.dims) == 4}
    inputs = {node.input[1]: node.input[0] for node in graph.node if node.op_type == "Conv"}
    for block in DEPTHS:
        weight = f"network.backbone.features.{block}.conv.0.0.weight"
        if weight not in inputs or weight not in channels:
            raise ModelFileError(
                f"{path}: has no layer {weight!r}, so it cannot learn what is no MRI of the brain; "
                "give a model as tumorlens train wrote it, not an export"
            )
        yield inputs[weight], channels[weight]


def _make_features(graph: GraphProto, path: Path) -> Iterator[Any]:
    """Nodes from the tensors at all depths to (N, F)."""
    axes = _keep(graph, "axes", np.array([2, 3]))
    found = list(_find_depths(graph, path))
    for depth, (tensor, _) in enumerate(found):
        mean, deviation = f"mean.{depth}", f"deviation.{depth}"
        yield _node("ReduceMean", [tensor, axes], mean, keepdims=0)
        yield _node("Mul", [tensor, tensor], f"square.{depth}")
        yield _node("ReduceMean", [_own(f"square.{depth}"), axes], f"power.{depth}", keepdims=0)
        yield _node("Mul", [_own(mean), _own(mean)], f"mean_square.{depth}")
        yield _node("Sub", [_own(f"power.{depth}"), _own(f"mean_square.{depth}")], f"raw.{depth}")
        yield _node("Relu", [_own(f"raw.{depth}")], f"variance.{depth}")
        yield _node("Sqrt", [_own(f"variance.{depth}")], deviation)
    parts = [_own(f"{what}.{depth}") for depth in range(len(found)) for what in _MOMENTS]
    yield _node("Concat", parts, "features", axis=1)


_MOMENTS = ("mean", "deviation")


def _make_answer(graph: GraphProto, answer: Answer) -> Iterator[Any]:
    """Nodes from (N, F) to the output: ``offset + sum(weights * exp(-|x - center|^2))``."""
    squares = (answer.centers**2).sum(axis=1, keepdims=True).T
    projection = _keep(graph, "projection", answer.projection)
    shift = _keep(graph, "shift", answer.shift)
    yield _node("Gemm", [_FEATURES, projection, shift], "point")
    yield _node("Mul", [_own("point"), _own("point")], "point_squares")
    axis = _keep(graph, "axis", np.array([1]))
    yield _node("ReduceSum", [_own("point_squares"), axis], "length", keepdims=1)
    twice = _keep(graph, "centers", 2 * answer.centers.T)
    yield _node("MatMul", [_own("point"), twice], "product")
    yield _node("Sub", [_own("product"), _own("length")], "nearness")
    lengths = _keep(graph, "center_squares", squares)
    yield _node("Sub", [_own("nearness"), lengths], "exponent")
    yield _node("Exp", [_own("exponent")], "kernel")
    weights = _keep(graph, "weights", answer.weights[:, None])
    yield _node("MatMul", [_own("kernel"), weights], "sum")
    offset = _keep(graph, "offset", np.array([answer.offset], np.float32))
    yield _node("Add", [_own("sum"), offset], "column")
    yield load("onnx.helper").make_node(
        "Squeeze", [_own("column"), axis], [OUTSIDE], name=_own("squeeze")
    )


def _own(name: str) -> str:
    return f"{OUTSIDE}.{name}"


def _node(kind: str, inputs: list[str], name: str, **attributes: int) -> Any:
    helper = load("onnx.helper")
    return helper.make_node(kind, inputs, [_own(name)], name=_own(name), **attributes)


def _keep(graph: GraphProto, name: str, values: npt.NDArray[Any]) -> str:
    if values.dtype.kind == "f":
        values = values.astype(np.float32)
    graph.initializer.append(load("onnx.numpy_helper").from_array(values, _own(name)))
    return _own(name)
