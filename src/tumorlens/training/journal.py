"""The folder of a run: what it says of itself, and whether another start may go on there."""

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
"""File of a run: losses and learning rates, a line an epoch."""
LENIENCY = "leniency"
"""Key of what a run was asked to overlook: what was refused may be asked for more leniently."""


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
    """Where what is done inside is refused, the folders that it made go again.

    Args:
        folder: of the run; if it is there already, it stays, and what it holds.
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
    """What a run's folder says of itself: its recipe and its data.

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
    """What makes a run the same: keys that a recipe gained since have their defaults."""
    filled = {**described, LENIENCY: None}
    with suppress(msgspec.MsgspecError, ValueError):  # a recipe of a later tumorlens, or none
        filled["recipe"] = msgspec.convert(described.get("recipe"), Recipe).to_record()
    return filled
