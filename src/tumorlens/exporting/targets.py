"""The targets of an export: pure data, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from tumorlens.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    import numpy as np
    import numpy.typing as npt

    from tumorlens.model.session import Session

    Convert = Callable[[Path, Path, Iterable[npt.NDArray[np.float32]]], None]

__all__ = ["TARGETS", "Kind", "Target", "find_target"]

Kind = Literal["float32", "float16", "int8"]
"""The numbers that an export computes with; they decide the bars of its parity."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a model can be exported to.

    Attributes:
        name: as a caller gives it.
        kind: its numbers.
        suffix: of its file's name.
        summary: what it is for, in a phrase.
        module: of this room, whose ``convert(source, output, images)`` makes it, and whose
            ``open_session(path, threads)`` runs it unless it is an ``.onnx`` file.
    """

    name: str
    kind: Kind
    suffix: str
    summary: str
    module: str

    @property
    def calibrated(self) -> bool:
        """Whether converting needs slices, to measure the ranges of values on."""
        return self.kind == "int8"

    def find_convert(self) -> Convert:
        """The function ``convert(source, output, images)``: file, file, (1, 1, S, S) images."""
        return cast("Convert", self._load().convert)

    def open(self, path: Path, threads: int = 1) -> Session | Path:
        """A session for a file of this target, or the path of an ``.onnx`` file."""
        if self.suffix == ".onnx":
            return path
        return cast("Session", self._load().open_session(path, threads))

    def _load(self) -> ModuleType:
        return import_module(f"tumorlens.exporting.{self.module}")


_CHOICES = (
    Target(
        "onnx-fp16",
        "float16",
        ".onnx",
        "half the size, for GPUs and browsers",
        "formats.half_precision",
    ),
    Target("onnx-int8", "int8", ".onnx", "a third of the size, for CPUs", "int8.integers"),
    Target("openvino", "float32", ".xml", "for Intel's CPUs and GPUs", "formats.openvino_format"),
    Target("litert", "float32", ".tflite", "for Android", "formats.litert_format"),
    Target(
        "litert-int8", "int8", ".tflite", "a third of the size, for Android", "int8.litert_integers"
    ),
    Target("executorch", "float32", ".pte", "for iOS and Android", "formats.executorch_format"),
)

TARGETS: dict[str, Target] = {one.name: one for one in _CHOICES}
"""Name -> target."""


def find_target(name: str) -> Target:
    """The target of that name.

    Raises:
        UsageError: there is none; lists those that there are.
    """
    if name not in TARGETS:
        raise UsageError(f"`target={name}`: unknown target; expected one of {', '.join(TARGETS)}")
    return TARGETS[name]
