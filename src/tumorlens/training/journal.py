"""The folder of a run: its description, and whether a run may be resumed in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from tumorlens.errors import DataError, TumorlensError
from tumorlens.opening import read_text
from tumorlens.training.recipe import Recipe
from tumorlens.writing import write_text

__all__ = ["CURVES", "open_folder", "read_run", "undo_refusal"]

CURVES = "curves.csv"
"""File of a run with losses and learning rates, one line per epoch."""
LENIENCY = "leniency"
"""Key of the faults that a run may ignore. A refused run may be resumed with more of them."""


def open_folder(folder: Path, description: dict[str, Any]) -> None:
    """Make a run's folder with its ``run.json``, or check that it holds the same run.

    Args:
        folder: of the run.
        description: recipe and data, as they go into ``run.json``.

    Raises:
        DataError: the folder holds something else, or cannot be written.
    """
    file = folder / "run.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if file.exists() and not _is_same(file, description):
            raise DataError(
                f"{folder}: holds a run with another recipe or other data; "
                "choose another `output=`, or remove the folder"
            )
        if not file.exists() and any(folder.iterdir()):
            raise DataError(f"{folder}: is not empty and holds no run; choose another `output=`")
        write_text(file, json.dumps(description, indent=1) + "\n", overwrite=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror})") from None


@contextmanager
def undo_refusal(folder: Path) -> Iterator[None]:
    """Remove the folders that the block made if it ends with a refusal.

    Args:
        folder: folder of the run. If it existed before, it stays with its content.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    empty = folder.is_dir() and not any(folder.iterdir())
    try:
        yield
    except TumorlensError:
        made = missing[-1:] or (list(folder.iterdir()) if empty else [])
        for one in made:
            shutil.rmtree(one) if one.is_dir() else one.unlink(missing_ok=True)
        raise


def read_run(folder: Path) -> dict[str, Any]:
    """Read the description of a run, its recipe and its data, from its folder.

    Raises:
        DataError: the folder holds no run.
    """
    try:
        described: dict[str, Any] = json.loads(read_text(folder / "run.json"))
    except FileNotFoundError:
        raise DataError(f"{folder}: holds no run (run.json is missing)") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{folder}: run.json cannot be read ({error})") from None
    return described


def _is_same(file: Path, description: dict[str, Any]) -> bool:
    try:
        found = json.loads(read_text(file))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and _compare(found) == _compare(description)


def _compare(described: dict[str, Any]) -> dict[str, Any]:
    """Compare two descriptions; recipe keys that are newer than the run count as their defaults."""
    filled = {**described, LENIENCY: None}
    with suppress(msgspec.MsgspecError, ValueError):  # a recipe of a later tumorlens, or none
        filled["recipe"] = msgspec.convert(described.get("recipe"), Recipe).to_record()
    return filled
