"""The processor: its instruction sets, and how many multiply-adds a second it reaches."""

from __future__ import annotations

import platform
import re
from typing import Any

import msgspec
import numpy as np

from tumorlens.exporting.benchmarking.timing import time_calls
from tumorlens.model.instructions import find_instructions, read_cpuinfo
from tumorlens.model.onnx_runtime import load_onnxruntime
from tumorlens.optional import load
from tumorlens.workers import available_cores

__all__ = ["Machine", "describe_machine", "measure_peak"]

_FAST_INTEGERS = {"AVX-512 VNNI", "AVX VNNI", "AMX int8", "NEON dot product"}

_SIDE = 768
"""Side of the matrices that the peak is measured on: large enough to hide everything else."""


class Machine(msgspec.Struct, frozen=True):
    """What figures of speed were measured on.

    Attributes:
        processor: its name.
        system: operating system and architecture.
        cores: that this process may use.
        instructions: sets that matter to a network; empty where the system does not tell.
    """

    processor: str
    system: str
    cores: int
    instructions: list[str]

    @property
    def integers(self) -> str:
        """What to expect of int8 here, in a sentence."""
        fast = sorted(_FAST_INTEGERS & set(self.instructions))
        if fast:
            return f"It multiplies 8-bit integers by {', '.join(fast)}: int8 is fast here."
        if not self.instructions:
            return "Its instruction sets are unknown."
        return (
            "It has no VNNI, nor anything like it: int8 is smaller here, but hardly faster than "
            "float32."
        )


def describe_machine() -> Machine:
    """This machine."""
    text = read_cpuinfo()
    name = re.search(r"^(?:model name|Model|Hardware)\s*: (.+)$", text, re.MULTILINE)
    return Machine(
        name[1].strip() if name else platform.processor() or platform.machine(),
        f"{platform.system()} {platform.machine()}",
        available_cores(),
        find_instructions(text),
    )


def measure_peak(numbers: str, threads: int, *, seconds: float = 0.5) -> float:
    """Multiply-adds a second of a large matrix product: the roof over any network.

    Args:
        numbers: ``float32`` or ``int8``.
        threads: to compute with.
        seconds: to measure for.
    """
    onnxruntime = load_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    product = onnxruntime.InferenceSession(
        _build_product(numbers), options, providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    left = rng.integers(0, 255, (_SIDE, _SIDE)).astype(np.uint8)
    given = {"x": left if numbers == "int8" else left.astype(np.float32)}
    (timing,) = time_calls(lambda: product.run(None, given), seconds=seconds)
    return float(_SIDE**3 / timing.best)


def _build_product(numbers: str) -> bytes:
    """A graph that multiplies its input by a constant matrix, as a convolution's weight is."""
    onnx, helper = load("onnx", "a benchmark"), load("onnx.helper")
    integers = numbers == "int8"
    kinds = onnx.TensorProto
    given, made = (kinds.UINT8, kinds.INT32) if integers else (kinds.FLOAT, kinds.FLOAT)
    right = np.random.default_rng(1).integers(-127, 127, (_SIDE, _SIDE))
    weight: Any = right.astype(np.int8 if integers else np.float32)
    zeros = [load("onnx.numpy_helper").from_array(np.uint8(128), "zero")] if integers else []
    names = ["x", "w", "zero"] if integers else ["x", "w"]
    node = helper.make_node("MatMulInteger" if integers else "MatMul", names, ["y"])
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", given, [_SIDE, _SIDE])],
        [helper.make_tensor_value_info("y", made, [_SIDE, _SIDE])],
        [load("onnx.numpy_helper").from_array(weight, "w"), *zeros],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())
