"""Divides prepared rows into those trained on and those kept for validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import Manifest
from tumorlens.data.splits import hold_out_groups
from tumorlens.errors import DataError
from tumorlens.training.choices import DataChoice
from tumorlens.training.rows.prepared_rows import PreparedRows
from tumorlens.training.rows.selection import drop_conflicts as leave_single
from tumorlens.training.rows.selection import find_large_enough

__all__ = ["Indices", "Sides", "count_copies", "part_rows"]

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The two sides of a training.

    Attributes:
        training: indices of the prepared rows that are trained on.
        validation: indices of those that end its phases and calibrate the model.
        removed: reason -> number of prepared rows on neither side.
    """

    training: Indices
    validation: Indices
    removed: dict[str, int]


def part_rows(
    prepared: PreparedRows, choice: DataChoice, seed: int, *, drop_conflicts: bool
) -> Sides:
    """Divide prepared rows by the splits of the manifest or, without splits, by groups.

    Images without a brain are trained on, or serve neither side: they would move the thresholds.

    Args:
        prepared: all rows that could be read.
        choice: the table ``data`` of the recipe.
        seed: seed of the random choice of groups for validation.
        drop_conflicts: go on without pictures that have two labels.

    Raises:
        DataError: pictures with two labels, too few groups, or a side with one label only.
    """
    single = leave_single(prepared, drop=drop_conflicts)
    usable = single[find_large_enough(prepared, choice.ignore_below)[single]]
    counts = {
        "two labels on one picture": len(prepared) - len(single),
        "tumor too small": len(single) - len(usable),
    }
    removed = {reason: count for reason, count in counts.items() if count}
    named = np.array([prepared.rows[index].split == "validation" for index in usable])
    if named.any():
        sides = Sides(usable[~named], usable[named], removed)
    else:
        rows = tuple(prepared.rows[index] for index in usable)
        kept, held = hold_out_groups(rows, choice.validation, seed)
        held = held[prepared.find_brains()[usable[held]]]
        sides = Sides(usable[kept], usable[held], removed)
    for name, indices in (("training", sides.training), ("validation", sides.validation)):
        if len(set(prepared.tumor[indices].tolist())) < 2:
            raise DataError(f"all {name} slices have the same label; add groups of the other label")
    return sides


def count_copies(test: Manifest, prepared: PreparedRows, training: Indices) -> int:
    """Number of test rows whose group is also among the rows that were trained on."""
    trained = {prepared.rows[index].group_key for index in training}
    return sum(row.group_key in trained for row in test.rows)
