"""``openvino``: OpenVINO's two files, and the session that runs them; door of openvino.

The backend computes in float32: left to itself it takes bfloat16 where the processor has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.errors import ModelFileError
from tumorlens.exporting.beside import BesideSession, open_beside, write_card
from tumorlens.exporting.graphs import load_graph
from tumorlens.model.contract import order_outputs
from tumorlens.model.session import Session
from tumorlens.optional import load

__all__ = ["convert", "open_onnx", "open_session"]

Array = npt.NDArray[np.float32]


def convert(source: Path, output: Path, images: Iterable[Array] = ()) -> None:
    """Write ``NAME.xml`` and ``NAME.bin`` in float32, and the card beside them.

    Args:
        source: the model file.
        output: ``NAME.xml``.
        images: not needed.
    """
    openvino = load("openvino", "an export to openvino")
    model = load_graph(source)
    del model.metadata_props[:]  # they would be copied into the .xml
    network = openvino.Core().read_model(model.SerializeToString())
    openvino.save_model(network, str(output), compress_to_fp16=False)
    write_card(source, output)


class _Compiled:
    """What ONNX Runtime's session offers, by OpenVINO."""

    def __init__(self, path: Path, threads: int | None) -> None:
        openvino = load("openvino", "the backend openvino")
        hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            hints["INFERENCE_NUM_THREADS"] = threads
        try:
            self._network = openvino.Core().compile_model(str(path), "CPU", hints)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ModelFileError(f"{path}: OpenVINO cannot read it ({reason})") from None
        self.outputs = order_outputs({one.any_name for one in self._network.outputs})

    def get_providers(self) -> list[str]:
        return ["OpenVINO CPU"]

    def run(self, names: Sequence[str], given: Mapping[str, Array]) -> list[Array]:
        request = self._network.create_infer_request()  # one a call: threads share the network
        results = request.infer(dict(given))
        return [np.array(results[name]) for name in names]


def open_session(path: Path, threads: int | None = None) -> BesideSession:
    """The session of ``NAME.xml`` with its ``.bin``, and the card that lies beside them.

    Raises:
        ModelFileError: a file is missing, or OpenVINO cannot read it.
        MissingExtra: openvino is not installed.
    """
    return open_beside(path, lambda file: _Compiled(file, threads))


def open_onnx(path: Path, threads: int) -> BesideSession:
    """An ``.onnx`` file of the contract in OpenVINO."""
    return BesideSession(path, Session(path, threads=1).card, _Compiled(path, threads))
