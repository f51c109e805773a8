"""What can run a model here: one line a runtime."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tumorlens.model.session import Outputs, Session

__all__ = ["RUNTIMES", "Runner", "find_runtimes"]


class Runner(Protocol):
    """A loaded model."""

    def run(self, images: npt.NDArray[np.float32]) -> Outputs:
        """(N, 1, S, S) in [0, 1] -> what the network says."""
        ...


def _open_onnxruntime(path: Path, threads: int) -> Runner:
    return Session(path, threads=threads)


def _open_openvino(path: Path, threads: int) -> Runner:
    from tumorlens.exporting.openvino_format import open_onnx

    return open_onnx(path, threads)


RUNTIMES: dict[str, tuple[str, Callable[[Path, int], Runner]]] = {
    "onnxruntime": ("onnxruntime", _open_onnxruntime),
    "openvino": ("openvino", _open_openvino),
}
"""Name -> the module that it needs, and what opens a file of the contract for some threads."""


def find_runtimes() -> list[str]:
    """The runtimes that are installed; imports none of them."""
    return [name for name, (module, _) in RUNTIMES.items() if find_spec(module) is not None]
