"""What folder names mean: classes, splits and sequences that people use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tumorlens.errors import UsageError

__all__ = ["SKIP", "TUMOR_CLASSES", "ClassNames", "find_split", "parse_map", "squeeze"]

TUMOR_CLASSES = ("glioma", "meningioma", "pituitary", "metastasis", "schwannoma", "lymphoma")
SKIP = "skip"
"""The meaning of a folder that holds no slices to learn from: masks, drawings."""

_KNOWN = {
    "yes": "tumor",
    "tumor": "tumor",
    "tumour": "tumor",
    "no": "no_tumor",
    "notumor": "no_tumor",
    "notumour": "no_tumor",
    "glioma": "glioma",
    "gliomatumor": "glioma",
    "meningioma": "meningioma",
    "meningiomatumor": "meningioma",
    "pituitary": "pituitary",
    "pituitarytumor": "pituitary",
}

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def squeeze(name: str) -> str:
    """``No_Tumor`` -> ``notumor``: lower case, letters and digits alone."""
    return re.sub(r"[\W_]+", "", name.casefold())


def find_split(name: str) -> str | None:
    """The split that a folder's name stands for, if any."""
    return _SPLITS.get(squeeze(name))


def parse_map(items: Iterable[str]) -> dict[str, str]:
    """Read ``NAME=MEANING`` as given to ``--map``.

    Raises:
        UsageError: not of this form, or a name is given twice.
    """
    meanings: dict[str, str] = {}
    for item in items:
        name, sign, meaning = item.partition("=")
        if not (name and sign and meaning):
            raise UsageError(f"--map {item}: expected NAME=MEANING, e.g. --map healthy=no_tumor")
        if meanings.setdefault(name, meaning) != meaning:
            raise UsageError(f"--map {item}: {name} is mapped to {meanings[name]} already")
    return meanings


class ClassNames:
    """What class folders mean: the known names, and those of the caller.

    Args:
        given: folder name -> tumor, no_tumor, a tumor class, ``tumor:NAME`` for a class that
            tumorlens does not know, or ``skip``.

    Raises:
        UsageError: a meaning that is none of these.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        meanings = {name: _check_meaning(name, meaning) for name, meaning in given.items()}
        self._meanings = _KNOWN | {squeeze(name): value for name, value in meanings.items()}

    def find(self, name: str) -> str | None:
        """The meaning of a folder's name; None if it has none."""
        return self._meanings.get(squeeze(name))

    @staticmethod
    def label(meaning: str) -> tuple[str, str]:
        """(label, tumor class) of a meaning."""
        if meaning in ("tumor", "no_tumor"):
            return meaning, ""
        return "tumor", meaning.removeprefix("tumor:")


def _check_meaning(name: str, meaning: str) -> str:
    known = _KNOWN.get(squeeze(meaning), meaning)
    if known in ("tumor", "no_tumor", SKIP, *TUMOR_CLASSES) or re.match(r"tumor:\w", known):
        return known
    raise UsageError(
        f"--map {name}={meaning}: expected tumor, no_tumor, a tumor class "
        f"({', '.join(TUMOR_CLASSES)}), tumor:NAME for another class, or {SKIP}"
    )
