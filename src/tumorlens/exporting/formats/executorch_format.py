"""``executorch``: a .pte file for XNNPACK, and the session that runs it; door of executorch.

executorch pins its own torch, so it wants an environment of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from tumorlens.errors import ModelFileError
from tumorlens.exporting.beside import BesideSession, open_beside, run_singly, write_card
from tumorlens.model.session import Session
from tumorlens.optional import load

__all__ = ["convert", "open_session"]

Array = npt.NDArray[np.float32]

PURPOSE = "an export to executorch (in an environment of its own, since it pins its torch)"

_NAMES = "outputs"
"""Method of the file that gives the names of what ``forward`` gives, in its order."""

_PARTITIONER = "executorch.backends.xnnpack.partition.xnnpack_partitioner"


def convert(source: Path, output: Path, images: Iterable[Array] = ()) -> None:
    """Write ``NAME.pte`` in float32, batch 1, for XNNPACK, and the card beside it.

    Args:
        source: the model file.
        output: ``NAME.pte``.
        images: not needed.
    """
    exir, torch = load("executorch.exir", PURPOSE), load("torch")
    from tumorlens.exporting.formats.torch_module import GraphModule

    size = Session(source, threads=1).card.preprocess.size
    module = GraphModule(source).eval()
    traced = torch.export.export(module, (torch.zeros(1, 1, size, size),))
    lowered = exir.to_edge_transform_and_lower(
        traced,
        partitioner=[load(_PARTITIONER).XnnpackPartitioner()],
        constant_methods={_NAMES: list(module.outputs)},  # the format itself names none
    )
    output.write_bytes(lowered.to_executorch().buffer)
    write_card(source, output)


class _Method:
    """One loaded method, used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        runtime = load("executorch.runtime", "the backend executorch").Runtime.get()
        try:
            self._program = runtime.load_program(path)
            self._method = self._program.load_method("forward")
        except RuntimeError as error:
            raise ModelFileError(f"{path}: ExecuTorch cannot read it ({error})") from None
        if _NAMES not in self._program.method_names:
            raise ModelFileError(f"{path}: does not name its outputs; export the model again")
        self.outputs = tuple(self._program.load_method(_NAMES).execute([]))
        self._tensor = load("torch").from_numpy
        self._lock = Lock()

    def get_providers(self) -> list[str]:
        return ["ExecuTorch XNNPACK"]

    def run(self, names: Sequence[str], given: Mapping[str, Array]) -> list[Array]:
        return run_singly(lambda image: self._run(names, image), given)

    def _run(self, names: Sequence[str], image: Array) -> list[Array]:
        with self._lock:
            results = self._method.execute([self._tensor(np.ascontiguousarray(image))])
            known = dict(zip(self.outputs, results, strict=True))
            return [known[name].numpy().copy() for name in names]


def open_session(path: Path, threads: int | None = None) -> BesideSession:
    """The session of ``NAME.pte``, with the card that lies beside it; it chooses its threads.

    Raises:
        ModelFileError: a file is missing or damaged.
        MissingExtra: executorch is not installed.
    """
    return open_beside(path, _Method)
