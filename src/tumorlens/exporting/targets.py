"""The targets of an export: pure data, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from tumorlens.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    import numpy.typing as npt

    Convert = Callable[[Path, Path, Iterable[npt.NDArray[np.float32]]], None]

__all__ = ["TARGETS", "Kind", "Target", "find_target"]

Kind = Literal["float32", "float16", "int8"]
"""The numbers that an export computes with; sets the bars of its parity."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a model can be exported to.

    Attributes:
        name: word of ``--to``.
        kind: its numbers.
        suffix: of its file's name.
        summary: what it is for, in a phrase.
        module: of this room, whose ``convert(source, output, images)`` makes it; empty where this
            version cannot.
        environment: what to install, and where, in case it cannot stand beside the others.
    """

    name: str
    kind: Kind
    suffix: str
    summary: str
    module: str = ""
    environment: str = ""

    @property
    def calibrated(self) -> bool:
        """Whether converting needs slices to see ranges of values on."""
        return self.kind == "int8"

    def find_convert(self) -> Convert:
        """The function ``convert(source, output, images)``: file, file, (1, 1, S, S) images.

        Raises:
            UsageError: this version cannot write the target; says what can.
        """
        if not self.module:
            raise UsageError(
                f"--to {self.name}: this version cannot write it ({self.summary}); "
                f"{self.environment}"
            )
        module = import_module(f"tumorlens.exporting.{self.module}")
        return cast("Convert", module.convert)


_CHOICES = (
    Target(
        "onnx-fp16", "float16", ".onnx", "half the size, for GPUs and browsers", "half_precision"
    ),
    Target("onnx-int8", "int8", ".onnx", "a third of the size, for CPUs", "integers"),
    Target("openvino", "float32", ".xml", "for Intel's CPUs and GPUs", "openvino_format"),
    Target(
        "litert",
        "float32",
        ".tflite",
        "for Android",
        environment="convert the .onnx with litert-torch, which brings jax and 2 GB, in an "
        "environment of its own: python -m venv litert, then litert/bin/pip install litert-torch",
    ),
    Target(
        "executorch",
        "float32",
        ".pte",
        "for iOS and Android",
        environment="convert the .onnx with executorch, which pins its own torch, in an "
        "environment of its own: python -m venv edge, then edge/bin/pip install executorch",
    ),
)

TARGETS: dict[str, Target] = {one.name: one for one in _CHOICES}
"""Word of ``--to`` -> target."""


def find_target(name: str) -> Target:
    """The target of that name.

    Raises:
        UsageError: there is none; lists those that there are.
    """
    if name not in TARGETS:
        raise UsageError(f"--to {name}: unknown target; known are {', '.join(TARGETS)}")
    return TARGETS[name]
