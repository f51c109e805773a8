"""What can run a model here: one line a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from tumorlens.exporting.targets import TARGETS
from tumorlens.model.session import Outputs, Session

__all__ = ["BACKENDS", "Backend", "Runner", "find_backends"]


class Runner(Protocol):
    """A loaded model."""

    def run(self, images: npt.NDArray[np.float32]) -> Outputs:
        """(N, 1, S, S) in [0, 1] -> what the network says."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    """A library that runs models.

    Attributes:
        module: that must be installed.
        open: opens a file for a number of threads.
        target: what a model is exported to first; empty where an ``.onnx`` file runs as it is.
        obedient: whether it takes a number of threads; else it takes all cores.
    """

    module: str
    open: Callable[[Path, int], Runner]
    target: str = ""
    obedient: bool = True

    def lay(self, path: Path, folder: Path) -> Path:
        """The file to open for a model: itself, or an export of it in ``folder``, made once.

        Raises:
            UsageError: the model cannot be exported.
        """
        if not self.target:
            return path
        target = TARGETS[self.target]
        output = folder / f"{path.stem}{target.suffix}"
        if not output.exists():
            target.find_convert()(path, output, ())
        return output


def _open_onnxruntime(path: Path, threads: int) -> Runner:
    return Session(path, threads=threads)


def _open_openvino(path: Path, threads: int) -> Runner:
    from tumorlens.exporting.formats.openvino_format import open_onnx

    return open_onnx(path, threads)


def _open_target(name: str) -> Callable[[Path, int], Runner]:
    return lambda path, threads: cast("Runner", TARGETS[name].open(path, threads))


BACKENDS = {
    "onnxruntime": Backend("onnxruntime", _open_onnxruntime),
    "openvino": Backend("openvino", _open_openvino),
    "litert": Backend("litert_torch", _open_target("litert"), "litert"),
    "executorch": Backend("executorch", _open_target("executorch"), "executorch", obedient=False),
}
"""Name -> what runs a file of the contract."""


def find_backends() -> list[str]:
    """The backends that are installed; imports none of them."""
    return [name for name, one in BACKENDS.items() if find_spec(one.module) is not None]
