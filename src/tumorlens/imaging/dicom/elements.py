"""Elements of a DICOM data set, read by keyword. A value that makes no sense counts as absent.

Real files break every rule of the standard. Nothing here loads pydicom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tumorlens.imaging.files.refusal import tell

__all__ = [
    "LONGEST_TEXT",
    "DataSet",
    "Key",
    "count_items",
    "read_floats",
    "read_item",
    "read_text",
    "read_words",
]

DataSet = Any
Key = str | tuple[int, int]

_BROKEN = "a number in the header cannot be read: it is ignored"
_COMMAS = "numbers in the header have a decimal comma: read as a point"
LONGEST_TEXT = 64  # characters of a UID, and of most other texts: PS3.5, 6.2


def read_floats(dataset: DataSet, keyword: Key, count: int) -> tuple[float, ...] | None:
    """``count`` finite numbers, or all of them for 0."""
    try:
        listed = _list(_value(dataset, keyword))
        if not listed:
            return None
        values = tuple(map(float, listed[: count or None]))
    except Exception:  # a broken value may fail in any converter
        values = _read_commas(dataset, keyword)[: count or None]
    if len(values) < max(1, count) or not all(map(math.isfinite, values)):
        tell(_BROKEN)
        return None
    return values


def _read_commas(dataset: DataSet, keyword: Key) -> tuple[float, ...]:
    """Numbers with a decimal comma, which no number of the standard has (PS3.5, 6.2); or none."""
    try:
        words = map(str, _list(_value(dataset, keyword)))
        values = tuple(float(word.replace(",", ".")) for word in words)
    except Exception:  # broken in another way
        return ()
    tell(_COMMAS)
    return values


def read_text(dataset: DataSet, keyword: Key) -> str:
    """A value as text on one line, empty if there is none."""
    try:
        return " ".join(str(_value(dataset, keyword) or "").split())[:LONGEST_TEXT]
    except Exception:  # a broken value may fail in any converter
        return ""


def _list(value: Any) -> Sequence[Any]:
    """The values of an element of one or several; none where it is empty."""
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return value
    return () if value is None or (isinstance(value, str) and not value.strip()) else (value,)


def _value(dataset: DataSet, keyword: Key) -> Any:
    """The value of an element by keyword or, of a private one, by tag."""
    found = dataset.get(keyword)
    return getattr(found, "value", None) if isinstance(keyword, tuple) else found


def read_item(dataset: DataSet, keyword: str, index: int) -> list[DataSet]:
    """Item ``index`` of a sequence, if there is one. The others are not looked at."""
    try:
        return [dataset.get(keyword)[index]]
    except Exception:  # absent, too short or broken
        return []


def read_words(dataset: DataSet, keyword: Key) -> list[str]:
    """Words of an element of several values."""
    try:
        value = _value(dataset, keyword)
        return [value] if isinstance(value, str) else [str(word) for word in value or ()]
    except Exception:  # a broken value may fail in any converter
        return []


def count_items(dataset: DataSet, keyword: str) -> int:
    """Items of a sequence, 0 without one."""
    try:
        return len(dataset.get(keyword) or ())
    except Exception:  # a broken sequence may fail in any converter
        return 0
