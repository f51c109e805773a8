"""Exports to formats without metadata: the card and the numbers for studies lie beside the file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
import numpy.typing as npt

from tumorlens.errors import ModelFileError
from tumorlens.exporting.graphs import load_graph
from tumorlens.model.card import Card, parse_card
from tumorlens.model.contract import CARD_KEY, INPUT, STUDIES_KEY
from tumorlens.model.session import Session

__all__ = [
    "BackendSession",
    "BesideSession",
    "card_path",
    "open_beside",
    "run_singly",
    "studies_path",
    "write_card",
]

Array = npt.NDArray[np.float32]


class BackendSession(Protocol):
    """What ONNX Runtime's session offers, by another library.

    Attributes:
        outputs: names of the outputs that the conversion kept.
    """

    outputs: tuple[str, ...]

    def get_providers(self) -> list[str]:
        """What computes."""
        ...

    def run(self, names: Sequence[str], given: Mapping[str, Array]) -> list[Array]:
        """The named outputs."""
        ...


class BesideSession(Session):
    """A model in another backend.

    Args:
        path: of its file.
        card: of the model.
        backend: that has loaded it.
    """

    def __init__(self, path: Path, card: Card, backend: BackendSession) -> None:
        self.path, self.card = path, card
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self._seen = None
        beside = studies_path(path)
        self._studies = beside.read_text(encoding="utf-8") if beside.is_file() else None
        self._outputs = backend.outputs
        self._runtime = backend

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self.path}: a session of another backend cannot be sent to another process; open it "
            "there"
        )


def card_path(path: Path) -> Path:
    """``NAME.card.json`` beside a file of a format that carries no metadata."""
    return path.with_suffix(".card.json")


def studies_path(path: Path) -> Path:
    """``NAME.studies.json`` beside it, where the model has numbers for series and studies."""
    return path.with_suffix(".studies.json")


def write_card(source: Path, output: Path) -> None:
    """Put the card of an ``.onnx`` file, and its numbers for studies, beside its export."""
    metadata = {entry.key: entry.value for entry in load_graph(source).metadata_props}
    card_path(output).write_text(metadata[CARD_KEY], encoding="utf-8")
    if STUDIES_KEY in metadata:
        studies_path(output).write_text(metadata[STUDIES_KEY], encoding="utf-8")


def open_beside(path: Path, backend: Callable[[Path], BackendSession]) -> BesideSession:
    """The session of an export, with the card that lies beside it.

    Raises:
        ModelFileError: a file is missing or damaged.
    """
    beside = card_path(path)
    if not beside.is_file():
        raise ModelFileError(f"{path}: its card {beside.name} is missing; export the model again")
    card = parse_card(beside.read_bytes(), str(beside))
    return BesideSession(path, card, backend(path))


def run_singly(run: Callable[[Array], Sequence[Any]], given: Mapping[str, Array]) -> list[Array]:
    """One image after the other, for backends whose batch is 1; the outputs side by side."""
    parts = [run(given[INPUT][place : place + 1]) for place in range(len(given[INPUT]))]
    return [
        np.concatenate([np.asarray(one) for one in column]) for column in zip(*parts, strict=True)
    ]
