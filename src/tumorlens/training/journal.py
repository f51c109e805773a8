"""The folder of a run: its description, and whether a run may be resumed in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from tumorlens.errors import DataError, TumorlensError
from tumorlens.opening import read_text
from tumorlens.training.recipe import Recipe
from tumorlens.writing import lock_file, write_text

__all__ = ["CURVES", "hold_folder", "open_folder", "read_run", "undo_refusal"]

CURVES = "curves.csv"
"""File of a run with losses and learning rates, one line per epoch."""
RUN = "run.json"
_LOCK = "run.lock"
"""File that the training which is at work in a folder holds."""
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
    file = folder / RUN
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if file.exists() and not _is_same(file, description):
            raise DataError(
                f"{folder}: holds a run with another recipe or other data; "
                "choose another `output=`, or remove the folder"
            )
        if not file.exists() and _list_content(folder):
            raise DataError(f"{folder}: is not empty and holds no run; choose another `output=`")
        write_text(file, json.dumps(description, indent=1) + "\n", overwrite=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror})") from None


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Make a run's folder, and be the only training that is at work in it.

    Of two at once, one would change the prepared pictures under the other. Folders that were made
    and are empty at the end are removed.

    Raises:
        DataError: another training is at work in the folder, or it cannot be written.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    lock = _claim(folder)
    try:
        yield
    finally:
        (folder / _LOCK).unlink(missing_ok=True)
        lock.close()
        with suppress(OSError):
            for one in missing:
                one.rmdir()


@contextmanager
def undo_refusal(folder: Path) -> Iterator[None]:
    """Empty a folder again that was empty before, if the block ends with a refusal."""
    empty = not _list_content(folder)
    try:
        yield
    except TumorlensError:
        for one in _list_content(folder) if empty else ():
            shutil.rmtree(one) if one.is_dir() else one.unlink(missing_ok=True)
        raise


def _claim(folder: Path) -> IO[str]:
    """The open lock file of a run that nobody else is at work on."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / _LOCK).open("a", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror})") from None
    free = True
    with suppress(OSError):  # disks of a network without locks
        free = lock_file(stream)
    if not free:
        stream.close()
        raise DataError(
            f"{folder}: another training is at work in it; wait until it ends, or choose another "
            "`output=`"
        )
    return stream


def _list_content(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if one.name != _LOCK]


def read_run(folder: Path) -> dict[str, Any]:
    """Read the description of a run, its recipe and its data, from its folder.

    Raises:
        DataError: the folder holds no run.
    """
    try:
        described: dict[str, Any] = json.loads(read_text(folder / RUN))
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
