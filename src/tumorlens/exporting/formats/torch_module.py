"""The graph of a model file as a torch module, for toolchains that start from torch.

Runs node by node whatever model of the contract it is given, so that neither the recipe nor the
network's own code is needed; tracing the module gives back the same graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tumorlens.errors import UsageError
from tumorlens.exporting.graphs import load_graph
from tumorlens.model.contract import INPUT, order_outputs
from tumorlens.optional import load

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

__all__ = ["GraphModule"]

Options = dict[str, Any]
Operation = Callable[..., Tensor | tuple[Tensor, ...]]


class GraphModule(nn.Module):
    """A model in float32 as it stands in its file.

    Args:
        path: of the model file.

    Attributes:
        outputs: names of all outputs that the model has, in the contract's order.

    Raises:
        ModelFileError: the file is no ONNX model.
        UsageError: the graph has a node that is not known here, such as those of other exports.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        onnx = load("onnx")
        graph = load_graph(path).graph
        self.places: dict[str, str] = {}
        self.numbers: dict[str, Any] = {}
        factors = {node.input[2] for node in graph.node if node.op_type == "Resize"}
        for number, one in enumerate(graph.initializer):
            value = torch.tensor(onnx.numpy_helper.to_array(one))
            if value.is_floating_point() and value.ndim and one.name not in factors:
                self.places[one.name] = f"constant_{number}"
                self.register_buffer(f"constant_{number}", value)
            else:
                self.numbers[one.name] = value.tolist()
        self.outputs = order_outputs({value.name for value in graph.output})
        self.steps: list[tuple[Operation, list[str], list[str], Options]] = []
        for node in _find_needed(graph, self.outputs):
            if node.op_type not in _OPERATIONS:
                raise UsageError(
                    f"{path}: a node {node.op_type} cannot be converted; give a model that "
                    "tumorlens trained, no export of one"
                )
            options = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            self.steps.append(
                (_OPERATIONS[node.op_type], list(node.input), list(node.output), options)
            )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(1, 1, S, S) -> the outputs under their names, in the order of `outputs`."""
        known: dict[str, Any] = dict(self.numbers)
        known |= {name: getattr(self, place) for name, place in self.places.items()}
        known |= {INPUT: image, "": None}
        for run, inputs, outputs, options in self.steps:
            result = run(*(known[name] for name in inputs), **options)
            parts = result if isinstance(result, tuple) else (result,)
            known |= zip(outputs, parts, strict=True)
        return {name: known[name] for name in self.outputs}


def _find_needed(graph: GraphProto, outputs: Iterable[str]) -> list[NodeProto]:
    """The nodes that these outputs come from."""
    wanted, needed = set(outputs), []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            needed.append(node)
    return needed[::-1]


def _pool_largest(
    x: Tensor, *, kernel_shape: Any, strides: Any = (1, 1), pads: Any = (0, 0, 0, 0), **_: Any
) -> Tensor:
    return functional.max_pool2d(x, tuple(kernel_shape), tuple(strides), tuple(pads[:2]))


def _convolve(
    x: Tensor, weight: Tensor, bias: Tensor, *, pads: Any = (0, 0, 0, 0), strides: Any = (1, 1),
    group: int = 1, **_: Any
) -> Tensor:  # fmt: skip
    top, left, bottom, right = pads
    if (top, left) != (bottom, right):
        x = functional.pad(x, (left, right, top, bottom))
        top = left = 0
    return functional.conv2d(x, weight, bias, tuple(strides), (top, left), groups=group)


def _reduce(reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(x: Tensor, axes: Any, *, keepdims: int = 1, **_: Any) -> Tensor:
        return reduce(x, tuple(_listed(axes)), bool(keepdims))

    return run


def _squeeze(x: Tensor, axes: Any) -> Tensor:
    return x.squeeze(tuple(_listed(axes)))


def _unsqueeze(x: Tensor, axes: Any) -> Tensor:
    for axis in sorted(_listed(axes)):
        x = x.unsqueeze(axis)
    return x


def _resize(x: Tensor, _roi: Any, scales: Any, *_: Any, mode: bytes, **__: Any) -> Tensor:
    factors = tuple(scales[2:])
    if mode == b"linear":  # with the coordinates of half pixels, as torch writes it
        return functional.interpolate(x, scale_factor=factors, mode="bilinear", align_corners=False)
    return functional.interpolate(x, scale_factor=factors, mode="nearest")


def _reshape(x: Tensor, shape: Any, **_: Any) -> Tensor:
    return x.reshape([x.shape[place] if size == 0 else size for place, size in enumerate(shape)])


def _multiply(
    x: Tensor, y: Tensor, bias: Tensor, *, transB: int = 0, **_: Any
) -> Tensor:  # fmt: skip
    return functional.linear(x, y if transB else y.T, bias)


def _listed(axes: Any) -> list[int]:
    return axes if isinstance(axes, list) else [axes]


_OPERATIONS: dict[str, Operation] = {
    "Add": lambda x, y: x + y,
    "Clip": lambda x, low, high: x.clamp(low, high),
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Conv": _convolve,
    "Div": lambda x, y: x / y,
    "Exp": torch.exp,
    "Gemm": _multiply,
    "Log": torch.log,
    "MatMul": lambda x, y: x @ y,
    "Max": lambda x, y: torch.clamp(x, min=y),
    "MaxPool": _pool_largest,
    "Mul": lambda x, y: x * y,
    "ReduceLogSumExp": _reduce(torch.logsumexp),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": torch.relu,
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": torch.sigmoid,
    "Softmax": lambda x, axis=-1: torch.softmax(x, axis),
    "Split": lambda x, sizes, *, axis: x.split(sizes, axis),
    "Sqrt": torch.sqrt,
    "Squeeze": _squeeze,
    "Sub": lambda x, y: x - y,
    "Unsqueeze": _unsqueeze,
}
