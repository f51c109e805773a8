"""`info`: what is installed here. Loads no network."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tumorlens.model.registry import MODELS, ModelEntry
from tumorlens.optional import installed_extras
from tumorlens.version import __version__

__all__ = ["BundledModel", "Installation", "info"]


@dataclass(frozen=True, slots=True)
class BundledModel:
    """A model that tumorlens brings.

    Attributes:
        name: as every verb takes it.
        file: where it lies.
        bytes: size of the file; 0 if it is missing.
        sha256: that the file should have.
        intact: whether it has that hash.
        license, terms, summary: of the model.
    """

    name: str
    file: str
    bytes: int
    sha256: str
    intact: bool
    license: str
    terms: str
    summary: str

    @classmethod
    def of(cls, entry: ModelEntry) -> BundledModel:
        """The model of an entry of the registry, with what its file is like now."""
        data = entry.path.read_bytes() if entry.path.is_file() else b""
        return cls(
            entry.name,
            str(entry.path),
            len(data),
            entry.sha256,
            hashlib.sha256(data).hexdigest() == entry.sha256,
            entry.license,
            entry.terms,
            entry.summary,
        )


@dataclass(frozen=True, slots=True)
class Installation:
    """What is installed here.

    Attributes:
        version: of tumorlens.
        python: version of Python.
        models: that are bundled.
        extras: name -> whether all libraries of the extra are there.
    """

    version: str
    python: str
    models: tuple[BundledModel, ...]
    extras: Mapping[str, bool]

    def to_record(self) -> dict[str, Any]:
        """What ``tumorlens info --json`` prints."""
        return {
            "schema": 1,
            "version": self.version,
            "python": self.python,
            "models": [asdict(one) for one in self.models],
            "extras": dict(self.extras),
        }


def info() -> Installation:
    """Version, bundled models with hash, licence and terms, and extras that are installed."""
    return Installation(
        __version__,
        platform.python_version(),
        tuple(map(BundledModel.of, MODELS.values())),
        installed_extras(),
    )
