"""Chooses which drawn images are edited, and how: the counterfactual pairs of a recipe."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import Row
from tumorlens.training.choices import EditChoice
from tumorlens.training.learning.pairs import heal, leave_decoy, paint, paste
from tumorlens.training.rows.codes import TUMOR_MASK, TUMOR_UNKNOWN
from tumorlens.training.rows.prepared_rows import PreparedRows

__all__ = ["Edited", "Editor"]

ByteImage = npt.NDArray[np.uint8]

_DONORS = {
    "T1": ("T1", "T1c"),
    "T1c": ("T1c",),
    "T2": ("T2", "FLAIR"),
    "FLAIR": ("FLAIR",),
    "": ("",),
    "other": ("other",),
}
"""Sequence of a slice -> sequences whose tumors look natural in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Edited:
    """A drawn image, edited or not.

    Attributes:
        image: (S, S), 0 to 255.
        annotation: (S, S), codes of the annotation.
        tumor: label, 0 or 1.
        kind: index of the type of tumor; -1 where unknown or none.
    """

    image: ByteImage
    annotation: ByteImage
    tumor: float
    kind: int


class Editor:
    """Edits images with the chances that a recipe gives.

    Args:
        prepared: all rows.
        indices: rows that may be drawn, and whose tumors may be pasted into others.
        choice: chances of each edit.
    """

    def __init__(
        self, prepared: PreparedRows, indices: npt.NDArray[np.intp], choice: EditChoice
    ) -> None:
        self.prepared = prepared
        self.choice = choice
        self._lone = _find_lone(prepared, indices)
        self._donors = _find_donors(prepared, indices)

    def edit(self, index: int, rng: np.random.Generator) -> Edited:
        """Draw whether the image of a row is edited, and edit it."""
        rows = self.prepared
        image, annotation = np.asarray(rows.images[index]), np.asarray(rows.annotation[index])
        found = Edited(image, annotation, float(rows.tumor[index]), int(rows.kinds[index]))
        lone = self.choice.lone if _stratum(rows.rows[index]) in self._lone else 0.0
        make = self._change_tumor if found.tumor else self._change_normal
        return make(found, rows.rows[index].sequence, lone, rng) or found

    def _change_tumor(
        self, found: Edited, sequence: str, lone: float, rng: np.random.Generator
    ) -> Edited | None:
        dice, chance = rng.random(), lone or self.choice.heal
        if dice < chance:
            healed = heal(found.image, found.annotation, rng)
            return (
                None if healed is None else Edited(healed, np.zeros_like(found.annotation), 0.0, -1)
            )
        if dice < chance + self.choice.decoy and not (found.annotation == TUMOR_UNKNOWN).any():
            return self._leave_decoy(found, sequence, rng)
        return None

    def _change_normal(
        self, found: Edited, sequence: str, lone: float, rng: np.random.Generator
    ) -> Edited | None:
        dice, chance = rng.random(), lone or self.choice.paste
        if dice < chance:
            return self._paste(found, sequence, rng)
        if dice < chance + self.choice.decoy:
            return self._leave_decoy(found, sequence, rng)
        if dice < chance + self.choice.decoy + self.choice.paint:
            return self._paint(found, sequence, rng)
        return None

    def _paste(self, found: Edited, sequence: str, rng: np.random.Generator) -> Edited | None:
        donor = self._pick_donor(sequence, rng)
        if donor is None:
            return None
        rows = self.prepared
        pasted = paste(found.image, rows.images[donor], rows.annotation[donor], rng)
        return None if pasted is None else Edited(*pasted, 1.0, int(rows.kinds[donor]))

    def _paint(self, found: Edited, sequence: str, rng: np.random.Generator) -> Edited | None:
        donor = self._pick_donor(None, rng)
        if donor is None:
            return None
        dark = sequence in ("T1", "T1c") or (sequence in ("", "other") and rng.random() < 0.5)
        painted = paint(found.image, self.prepared.annotation[donor] == TUMOR_MASK, dark, rng)
        return None if painted is None else Edited(*painted, 1.0, -1)

    def _leave_decoy(self, found: Edited, sequence: str, rng: np.random.Generator) -> Edited | None:
        donor = self._pick_donor(sequence, rng)
        if donor is None:
            return None
        shape = self.prepared.annotation[donor] == TUMOR_MASK
        image = leave_decoy(found.image, found.annotation, shape, rng)
        return Edited(image, found.annotation, found.tumor, found.kind)

    def _pick_donor(self, sequence: str | None, rng: np.random.Generator) -> int | None:
        """Draw a row whose tumor fits a slice of that sequence; with None, any row."""
        names = self._donors if sequence is None else _DONORS.get(sequence, (sequence,))
        groups = [group for name in names for group in self._donors.get(name, ())]
        if not groups:
            return None
        slices = groups[int(rng.integers(len(groups)))]
        return int(slices[int(rng.integers(len(slices)))])


def _stratum(row: Row) -> tuple[str, str]:
    return row.source, row.sequence


def _find_lone(prepared: PreparedRows, indices: npt.NDArray[np.intp]) -> frozenset[tuple[str, str]]:
    """Sources and sequences that hold one label only."""
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for index in indices.tolist():
        row = prepared.rows[index]
        labels[_stratum(row)].add(row.label)
    return frozenset(stratum for stratum, found in labels.items() if len(found) == 1)


def _find_donors(
    prepared: PreparedRows, indices: npt.NDArray[np.intp]
) -> dict[str, list[list[int]]]:
    """Sequence -> groups -> rows whose tumor has a mask."""
    donors: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index in indices.tolist():
        row = prepared.rows[index]
        if row.label == "tumor" and row.mask is not None:
            donors[row.sequence][row.group_key].append(index)
    return {sequence: list(groups.values()) for sequence, groups in donors.items()}
