"""The bundled models: pure data, and the way from a name to a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from tumorlens.errors import ModelFileError

__all__ = ["DEFAULT", "MODELS", "ModelEntry", "find_entry", "find_model"]

BUNDLED = Path(__file__).with_name("bundled")
DEFAULT = "default"
"""Name that stands for the model that ``predict`` takes when none is named."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One bundled model.

    Attributes:
        name: as the command line takes it.
        file: inside the package's ``bundled`` folder.
        sha256: of that file; checked whenever it is loaded.
        license: of the weights, in a phrase.
        terms: what that means for a user, in a sentence.
        summary: what it is, in a sentence.
    """

    name: str
    file: str
    sha256: str
    license: str
    terms: str
    summary: str

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return BUNDLED / self.file


def _read_registry() -> dict[str, ModelEntry]:
    """The records that release/bundle_model.py writes beside the models."""
    file = BUNDLED / "models.json"
    if not file.exists():
        return {}
    records = json.loads(file.read_text(encoding="utf-8"))
    return {name: ModelEntry(name=name, **record) for name, record in records.items()}


MODELS: dict[str, ModelEntry] = _read_registry()


def find_entry(model: str | Path) -> ModelEntry | None:
    """The registry's record of that name, or None where ``model`` is a file's path."""
    return MODELS.get(str(model))


def find_model(model: str | Path) -> Path:
    """The file of a name or a path.

    Raises:
        ModelFileError: no such name and no such file; names what comes close.
    """
    entry = find_entry(model)
    if entry is not None:
        return entry.path
    path = Path(model)
    if path.exists():
        return path
    close = get_close_matches(str(model), MODELS, n=2)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known names: {', '.join(MODELS)}"
    raise ModelFileError(f"{model}: neither a file nor a bundled model; {hint}")
