"""``openvino``: OpenVINO's two files, and the session that runs them; door of openvino.

The runtime computes in float32: left to itself it takes bfloat16 where the processor has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.errors import ModelFileError
from tumorlens.exporting.graphs import load_graph
from tumorlens.model.card import Card, parse_card
from tumorlens.model.contract import CARD_KEY
from tumorlens.model.session import Session
from tumorlens.optional import load

__all__ = ["OpenvinoSession", "card_path", "convert", "open_session"]

Array = npt.NDArray[np.float32]


def card_path(path: Path) -> Path:
    """``NAME.card.json`` beside a file of a format that carries no metadata."""
    return path.with_suffix(".card.json")


def convert(source: Path, output: Path, images: Iterable[Array] = ()) -> None:
    """Write ``NAME.xml`` and ``NAME.bin`` in float32, and the card beside them.

    Args:
        source: the model file.
        output: ``NAME.xml``.
        images: not needed.
    """
    openvino = load("openvino", "an export to openvino")
    model = load_graph(source)
    card = next(entry.value for entry in model.metadata_props if entry.key == CARD_KEY)
    del model.metadata_props[:]  # they would be copied into the .xml
    network = openvino.Core().read_model(model.SerializeToString())
    openvino.save_model(network, str(output), compress_to_fp16=False)
    card_path(output).write_text(card, encoding="utf-8")


class OpenvinoSession(Session):
    """A model in OpenVINO, in float32.

    Args:
        path: ``NAME.xml`` with its ``.bin``, or an ``.onnx`` file.
        card: of the model.
        threads: inside one run; None leaves the choice to OpenVINO.

    Raises:
        ModelFileError: OpenVINO cannot read the file.
        MissingExtra: openvino is not installed.
    """

    def __init__(self, path: Path, card: Card, *, threads: int | None = None) -> None:
        self.path, self.card = path, card
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self._seen = None
        self._runtime = _Compiled(path, threads)


class _Compiled:
    """What ONNX Runtime's session offers, by OpenVINO."""

    def __init__(self, path: Path, threads: int | None) -> None:
        openvino = load("openvino", "the runtime openvino")
        hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            hints["INFERENCE_NUM_THREADS"] = threads
        try:
            self._network = openvino.Core().compile_model(str(path), "CPU", hints)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ModelFileError(f"{path}: OpenVINO cannot read it ({reason})") from None

    def get_providers(self) -> list[str]:
        return ["OpenVINO CPU"]

    def run(self, names: Sequence[str], given: Mapping[str, Array]) -> list[Array]:
        request = self._network.create_infer_request()  # one a call: threads share the network
        results = request.infer(dict(given))
        return [np.array(results[name]) for name in names]


def open_session(path: Path, threads: int | None = None) -> OpenvinoSession:
    """The session of an export, with the card that lies beside it.

    Raises:
        ModelFileError: a file is missing or damaged.
    """
    beside = card_path(path)
    if not beside.is_file():
        raise ModelFileError(f"{path}: its card {beside.name} is missing; export the model again")
    return OpenvinoSession(path, parse_card(beside.read_bytes(), str(beside)), threads=threads)
