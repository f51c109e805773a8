"""Which rows are trained on and which are the test; refuses data that cannot serve."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import Manifest, Row
from tumorlens.data.splits import hold_out_groups, hold_out_pictures
from tumorlens.errors import DataError
from tumorlens.training.choices import DataChoice
from tumorlens.training.recipe import Recipe
from tumorlens.training.rows.codes import TUMOR_MASK

if TYPE_CHECKING:  # it needs torch, and choosing rows does not
    from tumorlens.training.rows.prepared_rows import PreparedRows

__all__ = [
    "NO_LABEL",
    "Selection",
    "check_groups",
    "count_label_groups",
    "count_other_splits",
    "drop_conflicts",
    "find_large_enough",
    "hold_out_test",
    "select_rows",
]

SMALLEST_SETS = 10
"""Fewer slices of a class than this are refused: nothing can be learned or measured."""
LARGEST_TEST = 1 / 3
"""Share of the pictures that a test part grows to at most."""
NO_LABEL = "no label"
"""Reason for the removal of a row without a label."""
_STEP = 1.02
"""Factor by which a test part with too few groups grows, again and again."""

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows that may be trained on.

    Attributes:
        manifest: those rows.
        removed: reason -> number of rows removed for it.
    """

    manifest: Manifest
    removed: dict[str, int]


def select_rows(manifest: Manifest, recipe: Recipe) -> Selection:
    """Drop rows without a label and rows that the recipe excludes; check what is left.

    Raises:
        DataError: one label is missing or nearly so.
    """
    removed: Counter[str] = Counter()
    kept = []
    for row in manifest.rows:
        reason = _find_reason(row, recipe.data)
        if reason:
            removed[reason] += 1
        else:
            kept.append(row)
    selected = manifest.with_rows(kept)
    check_classes(selected)
    return Selection(selected, dict(removed))


def check_classes(manifest: Manifest) -> None:
    """Refuse data without enough slices of both labels.

    Raises:
        DataError: says which label, how many slices there are and how many are needed.
    """
    counts = Counter(row.label for row in manifest.rows)
    for label in ("tumor", "no_tumor"):
        if counts[label] < SMALLEST_SETS:
            found = f"{counts[label]} slices are" if counts[label] else "no slice is"
            raise DataError(
                f"{manifest.name}: {found} labelled {label}. Training needs at least "
                f"{SMALLEST_SETS} slices of each label: add pictures of that class, or check the "
                "names of the class folders"
            )


def check_groups(manifest: Manifest) -> None:
    """Refuse a manifest whose splits divide a group.

    Rows without a split, or with another word as split, are trained on.

    Raises:
        DataError: names a group and its splits.
    """
    sides: dict[str, set[str]] = defaultdict(set)
    for row in manifest.rows:
        sides[row.group_key].add(row.split if row.split in ("validation", "test") else "train")
    crossing = [(group, splits) for group, splits in sides.items() if len(splits) > 1]
    if crossing:
        group, splits = crossing[0]
        raise DataError(
            f"{manifest.name}: {len(crossing)} groups stand on two sides of its splits, "
            f"{group!r} in {' and '.join(sorted(splits))}; split it anew with tumorlens split"
        )


def hold_out_test(manifest: Manifest, recipe: Recipe) -> tuple[Manifest, Manifest]:
    """Divide a manifest into rows that may be trained on and rows for the test.

    The test has the rows of the split ``test``. If there are none, ``data.test`` of the recipe
    says how many are drawn.

    Raises:
        DataError: there are not as many pictures as ``data.test`` asks for.
    """
    if any(row.split == "test" for row in manifest.rows) or not recipe.data.test:
        return (
            manifest.where(lambda row: row.split != "test"),
            manifest.where(lambda row: row.split == "test"),
        )
    labelled = select_rows(manifest, recipe).manifest
    test, rows = recipe.data.test, labelled.rows
    if test >= len(rows):
        raise DataError(
            f"{manifest.name}: data.test asks for {test:g} of {len(rows)} pictures, and none would "
            "be left to train on; lower it in the recipe, or with `settings='data.test=…'`"
        )
    share = test / len(rows) if test >= 1 else test
    if recipe.data.test_by == "picture":
        _, held = hold_out_pictures(rows, share, recipe.seed)
    else:
        held = _hold_out_enough(rows, share, recipe)
    test_rows = {rows[index] for index in held}
    return (
        manifest.where(lambda row: row not in test_rows),
        labelled.with_rows(rows[index] for index in held),
    )


def count_label_groups(rows: Iterable[Row]) -> dict[str, int]:
    """Number of groups with a slice of each label."""
    held = {(row.label, row.group_key) for row in rows}
    counts = Counter(label for label, _ in held)
    return {label: counts[label] for label in ("tumor", "no_tumor")}


def count_other_splits(rows: Iterable[Row]) -> dict[str, int]:
    """Number of rows by the word of their split, if it is neither ``train`` nor a fold."""
    counts = Counter(row.split for row in rows)
    known = ("", "train")
    return {
        word: counts[word] for word in sorted(counts) if not (word in known or word.isdecimal())
    }


def _hold_out_enough(rows: tuple[Row, ...], share: float, recipe: Recipe) -> Indices:
    """Indices of a test part by groups that is as large as ``data.test_groups`` asks, if it can."""
    wanted = recipe.data.test_groups
    share = max(share, min(LARGEST_TEST, 2 / len({row.group_key for row in rows})))
    grown = max(share, wanted / max(1, min(count_label_groups(rows).values())))
    while wanted and grown <= LARGEST_TEST:
        _, held = hold_out_groups(rows, grown, recipe.seed)
        if min(count_label_groups(rows[one] for one in held).values()) >= wanted:
            return held
        grown *= _STEP
    return hold_out_groups(rows, share, recipe.seed)[1]


def drop_conflicts(prepared: PreparedRows, *, drop: bool) -> npt.NDArray[np.intp]:
    """Indices of pictures that have one label; the same picture with two labels is a conflict.

    Raises:
        DataError: there are conflicts and ``drop`` is not set; lists them.
    """
    places: dict[bytes, list[int]] = defaultdict(list)
    for index in range(len(prepared)):
        digest = hashlib.blake2b(prepared.images[index].tobytes(), digest_size=16).digest()
        places[digest].append(index)
    conflicts = [
        same for same in places.values() if len({float(prepared.tumor[one]) for one in same}) > 1
    ]
    if conflicts and not drop:
        shown = "\n".join(
            "  "
            + ", ".join(f"{prepared.rows[one].path} ({prepared.rows[one].label})" for one in same)
            for same in conflicts[:10]
        )
        raise DataError(
            f"{len(conflicts)} pictures have two labels:\n{shown}\n"
            "correct them, or train without them with `drop_conflicts=True`"
        )
    dropped = {one for same in conflicts for one in same}
    return np.array([index for index in range(len(prepared)) if index not in dropped], np.intp)


def find_large_enough(prepared: PreparedRows, least: int) -> npt.NDArray[np.bool_]:
    """Rows to keep: all rows except tumor rows whose mask is smaller than ``least`` pixels.

    Args:
        prepared: all rows.
        least: number of pixels, counted as if the picture had a side of 256.

    Returns:
        (N,) bool.
    """
    size = prepared.images.shape[-1]
    wanted = least * (size / 256) ** 2
    large = np.ones(len(prepared), np.bool_)
    if least:
        for index, row in enumerate(prepared.rows):
            if row.label == "tumor" and row.mask is not None:
                large[index] = np.count_nonzero(prepared.annotation[index] == TUMOR_MASK) >= wanted
    return large


def _find_reason(row: Row, choice: DataChoice) -> str:
    if not row.label:
        return NO_LABEL
    for word in choice.exclude_notes:
        if word in row.note:
            return word
    return ""
