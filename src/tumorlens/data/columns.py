"""The columns of a manifest: their names, the words that they take, how a cell is read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "COLUMNS",
    "LABELS",
    "PARSERS",
    "PLANES",
    "SEQUENCES",
    "SKULLS",
    "Edges",
    "absolute_path",
    "file_or_folder",
    "is_missing",
]

COLUMNS = (
    "path",
    "frame",
    "source",
    "group",
    "sequence",
    "label",
    "tumor_class",
    "split",
    "box",
    "mask",
    "position",
    "note",
    "plane",
    "skull",
    "brain",
)
"""The columns of a manifest, in the order in which they are written."""

LABELS = ("tumor", "no_tumor")
SEQUENCES = ("FLAIR", "T1", "T1c", "T2", "other")
PLANES = ("axial", "coronal", "sagittal", "unsure")
SKULLS = ("on", "off")

Edges = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of the slice, half-open, x = column, 0-based."""

_MISSING = frozenset({"nan", "na", "n/a", "<na>", "#n/a", "nat", "null"})
"""What pandas, R, databases and spreadsheets write for a value that is missing."""

_WHOLE = re.compile(r"(\d+)\.0+")
"""A whole number as pandas writes it where other cells of its column are empty."""

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
"""An absolute Windows path: drive letter or UNC share."""


def absolute_path(path: str | os.PathLike[str]) -> Path:
    """``path`` made absolute and free of ``..``, its symbolic links kept as they are."""
    return Path(os.path.normpath(Path(path).absolute()))


def is_missing(column: str, text: str) -> bool:
    """Whether a cell holds nothing, or a word that stands for nothing: a group `NA` is no patient.

    Args:
        column: whose name it has; a note is free text, and a label "none" may mean no tumor.
        text: the cell.
    """
    word = text.strip().casefold()
    if column == "note":
        return not word
    return not word or word in _MISSING or (word == "none" and column != "label")


def _text(text: str, _folder: Path) -> str:
    return text


def _name(text: str, _folder: Path) -> str:
    return _WHOLE.sub(r"\1", text) if _WHOLE.fullmatch(text) else text


def _file(text: str, folder: Path) -> Path:
    path = file_or_folder(text, folder)
    if path.is_dir():  # its first picture would be a slice that nobody named
        raise ValueError(f"expected a file, got a folder: {text!r}; give each of its files a row")
    return path


def file_or_folder(text: str, folder: Path) -> Path:
    """With a frame, the path may name a folder: the volume of the DICOM files in it."""
    path = absolute_path(folder / text)
    if os.sep != "/" or path.exists():
        return path
    if _DRIVE.match(text):
        raise ValueError(
            f"expected a path of this computer, got one of Windows: {text!r}; write paths "
            "relative to the manifest, with /"
        )
    return absolute_path(folder / text.replace("\\", "/")) if "\\" in text else path


def _frame(text: str, _folder: Path) -> int:
    whole = _WHOLE.fullmatch(text)
    number = whole[1] if whole else text
    if not number.isdecimal():
        raise ValueError(f"expected a whole number from 0, got {text!r}")
    return int(number)


def _number(text: str, _folder: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise ValueError(f"expected a number from 0 to 1, got {text!r}")
    return value


def _word(known: Sequence[str]) -> Callable[[str, Path], str]:
    spelled = {word.casefold(): word for word in known}

    def parse(text: str, _folder: Path) -> str:
        if text.casefold() not in spelled:
            raise ValueError(f"expected {', '.join(known)} or nothing, got {text!r}")
        return spelled[text.casefold()]

    return parse


def _boxes(text: str, _folder: Path) -> tuple[Edges, ...]:
    return tuple(_box(part) for part in text.split(";"))


def _box(text: str) -> Edges:
    try:
        x0, y0, x1, y1 = (float(edge) for edge in text.split())
    except ValueError:
        raise ValueError(
            f"expected boxes 'x0 y0 x1 y1' joined by ';', in pixels, got {text!r}"
        ) from None
    if not (0 <= x0 < x1 < float("inf") and 0 <= y0 < y1 < float("inf")):
        raise ValueError(f"expected 0 <= x0 < x1 and 0 <= y0 < y1, got {text!r}")
    if max(x1, y1) <= 1 and (x0, y0, x1, y1) != (0, 0, 1, 1):
        raise ValueError(f"expected pixels, got shares of the image: {text!r}")
    return x0, y0, x1, y1


PARSERS: dict[str, Callable[[str, Path], Any]] = {
    **dict.fromkeys(("source", "tumor_class", "note"), _text),
    **dict.fromkeys(("group", "split"), _name),
    "path": _file,
    "mask": _file,
    "brain": _file,
    "frame": _frame,
    "position": _number,
    "sequence": _word(SEQUENCES),
    "plane": _word(PLANES),
    "skull": _word(SKULLS),
    "box": _boxes,
}
"""Column -> what its cell is read with: the text, the folder of the manifest.

What a label or a split means is known to `tumorlens.data.manifest`.
"""
