"""Slices for an export: some to calibrate on, and slices of other patients to judge it by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorlens.data.pictures import read_row
from tumorlens.data.rows import Manifest
from tumorlens.data.splits import hold_out_groups
from tumorlens.errors import DataError, InputError
from tumorlens.imaging.preprocess import PreprocessSpec, prepare

__all__ = ["Samples", "draw_samples", "draw_slices", "prepare_images"]

_SIDE = 0.5
"""Share of the rows for calibration; parity is judged on groups of the rest."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Two sets of slices without a common group.

    Attributes:
        calibration: where ranges of values are seen; empty for targets that need none.
        parity: where export and original are compared.

    Raises:
        DataError: a group is in both.
    """

    calibration: Manifest
    parity: Manifest

    @property
    def steps(self) -> int:
        """Times that an export tells of a slice."""
        return len(self.calibration) + 2 * len(self.parity)

    def __post_init__(self) -> None:
        shared = set(self.calibration.groups) & set(self.parity.groups)
        if shared:
            raise DataError(
                f"{self.parity.name}: the group {min(shared)!r} stands in both calibration and "
                "parity; an export must be judged on others than it was calibrated on"
            )


def draw_samples(manifest: Manifest, *, calibration: int, parity: int, seed: int = 0) -> Samples:
    """Draw slices balanced by source: each gives the same number, as far as it has them.

    Args:
        manifest: labelled slices; those known to be unreadable are passed over.
        calibration: how many to calibrate on; 0 leaves all groups to parity.
        parity: how many to judge by, at most.
        seed: of the draw.

    Raises:
        DataError: no slices, or so few groups that the two sides would share one.
    """
    rows = tuple(row for row in manifest.rows if row not in set(manifest.unreadable))
    if not rows:
        raise DataError(
            f"{manifest.name}: none of its slices can be read; an export needs readable slices"
        )
    if not calibration:
        return Samples(manifest.with_rows(()), draw_slices(manifest.with_rows(rows), parity, seed))
    first, second = hold_out_groups(rows, _SIDE, seed)
    return Samples(
        draw_slices(manifest.with_rows(rows[i] for i in first), calibration, seed),
        draw_slices(manifest.with_rows(rows[i] for i in second), parity, seed),
    )


def draw_slices(manifest: Manifest, count: int, seed: int = 0) -> Manifest:
    """Some of the slices, each source giving the same number, as far as it has them.

    Args:
        manifest: all of them.
        count: how many are drawn, at most.
        seed: of the draw.
    """
    piles: dict[str, list[int]] = {}
    for place in np.random.default_rng(seed).permutation(len(manifest)).tolist():
        piles.setdefault(manifest.rows[place].source, []).append(place)
    taken: list[int] = []
    while piles and len(taken) < count:
        for source in sorted(piles)[: count - len(taken)]:
            taken.append(piles[source].pop())
            if not piles[source]:
                del piles[source]
    return manifest.with_rows(manifest.rows[place] for place in sorted(taken))


def prepare_images(
    manifest: Manifest, spec: PreprocessSpec, progress: Callable[[int], None] = lambda count: None
) -> Iterator[npt.NDArray[np.float32]]:
    """The slices as a network takes them, (1, 1, S, S) each; those that cannot be read are left.

    Args:
        manifest: the slices.
        spec: of the model.
        progress: told how many more rows were looked at.
    """
    for row in manifest.rows:
        progress(1)
        try:
            slice_ = read_row(row)
        except InputError:
            continue
        yield prepare(slice_, spec).image[None]
