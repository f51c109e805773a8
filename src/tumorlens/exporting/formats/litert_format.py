"""``litert``: a .tflite file, and the session that runs it; door of litert_torch and its backend.

litert-torch brings jax and 2 GB, so it wants an environment of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.errors import ModelFileError
from tumorlens.exporting.beside import BesideSession, open_beside, run_singly, write_card
from tumorlens.model.contract import INPUT, OUTPUTS, order_outputs
from tumorlens.model.session import Session
from tumorlens.optional import load

__all__ = ["PURPOSE", "convert", "open_session", "write_tflite"]

Array = npt.NDArray[np.float32]

PURPOSE = "an export to litert (in an environment of its own, since it brings jax and 2 GB)"


def convert(source: Path, output: Path, images: Iterable[Array] = ()) -> None:
    """Write ``NAME.tflite`` in float32, batch 1, and the card beside it.

    Args:
        source: the model file.
        output: ``NAME.tflite``.
        images: not needed.
    """
    write_tflite(source, output, Session(source, threads=1).card.preprocess.size)
    write_card(source, output)


def write_tflite(source: Path, output: Path, size: int) -> None:
    """Convert a graph alone, for images of ``size``."""
    litert, torch = load("litert_torch", PURPOSE), load("torch")
    from tumorlens.exporting.formats.torch_module import GraphModule

    example = {INPUT: torch.zeros(1, 1, size, size)}
    with redirect_stdout(sys.stderr):  # its progress is no result
        litert.convert(GraphModule(source).eval(), (), example).export(str(output))


class _Interpreter:
    """One interpreter, used by one thread at a time."""

    def __init__(self, path: Path, threads: int | None) -> None:
        interpreter: Any = load("ai_edge_litert.interpreter", "the backend litert").Interpreter
        try:
            self._interpreter = interpreter(str(path), num_threads=threads)
            self._runner = self._interpreter.get_signature_runner()
        except (RuntimeError, ValueError) as error:
            raise ModelFileError(f"{path}: LiteRT cannot read it ({error})") from None
        (self._input,) = self._runner.get_input_details()
        found = self._runner.get_output_details().keys()
        if not found >= set(OUTPUTS):
            raise ModelFileError(
                f"{path}: does not name its outputs (found {', '.join(found)}); export the model "
                "again"
            )
        self.outputs = order_outputs(found)
        self._lock = Lock()

    def get_providers(self) -> list[str]:
        return ["LiteRT CPU"]

    def run(self, names: Sequence[str], given: Mapping[str, Array]) -> list[Array]:
        return run_singly(lambda image: self._run(names, image), given)

    def _run(self, names: Sequence[str], image: Array) -> list[Array]:
        with self._lock:
            results = self._runner(**{self._input: image})
            return [np.array(results[name]) for name in names]


def open_session(path: Path, threads: int | None = None) -> BesideSession:
    """The session of ``NAME.tflite``, with the card that lies beside it.

    Raises:
        ModelFileError: a file is missing or damaged.
        MissingExtra: ai-edge-litert is not installed.
    """
    return open_beside(path, lambda file: _Interpreter(file, threads))
