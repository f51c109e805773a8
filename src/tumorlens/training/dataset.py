"""Rows become prepared pictures on disk, and prepared pictures become batches.

Each row goes once through the same `prepare` that `predict` uses; the result lies in memory-mapped
files, so that memory does not grow with the number of pictures. Which picture is drawn, how it is
edited and how it is changed depends on (seed, epoch, index) alone.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.utils.data import IterableDataset

from tumorlens.data.rows import Manifest, Row
from tumorlens.errors import DataError, InputError
from tumorlens.imaging.fingerprint import fingerprint_slice
from tumorlens.imaging.preprocess import PreprocessSpec, place, prepare
from tumorlens.imaging.readers import read_slice
from tumorlens.training.augment import apply_changes, draw_change
from tumorlens.training.pairs import (
    MARK_BOX,
    MARK_MASK,
    MARK_NONE,
    MARK_UNKNOWN,
    heal,
    leave_decoy,
    paint,
    paste,
)
from tumorlens.training.recipe import Recipe
from tumorlens.training.store import PreparedRow, Store

__all__ = ["Batch", "Draws", "PreparedRows", "Unreadable", "prepare_rows"]

Progress = Callable[[int, int], None]
Picture = npt.NDArray[np.uint8]

_DONORS = {
    "T1": ("T1", "T1c"),
    "T1c": ("T1c",),
    "T2": ("T2", "FLAIR"),
    "FLAIR": ("FLAIR",),
    "": ("",),
    "other": ("other",),
}
"""Sequence of a slice -> sequences whose tumors look at home in it."""
_ANY = "any"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row whose picture or mask could not be read."""

    row: Row
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRows:
    """Rows as the network takes them.

    Attributes:
        rows: N rows, in the order of the arrays.
        images: (N, S, S) uint8, memory-mapped: `prepare` times 255.
        marks: (N, S, S) uint8, memory-mapped: codes of the annotation a pixel.
        tumor: (N,) float32, 0 or 1.
        kinds: (N,) int64, index of the type of tumor; -1 where unknown or none.
        fingerprints: one a row, for the model's memory of its training pictures.
    """

    rows: tuple[Row, ...]
    images: Picture
    marks: Picture
    tumor: npt.NDArray[np.float32]
    kinds: npt.NDArray[np.int64]
    fingerprints: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: npt.NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        """Unchanged images (n, 1, S, S) float32 and marks of these rows."""
        images = torch.from_numpy(self.images[indices]).unsqueeze(1).float() / 255
        return images, torch.from_numpy(self.marks[indices]).unsqueeze(1).float()


def prepare_rows(
    manifest: Manifest,
    spec: PreprocessSpec,
    folder: Path,
    *,
    types: Sequence[str],
    store: Store | None = None,
    progress: Progress | None = None,
) -> tuple[PreparedRows, list[Unreadable]]:
    """Prepare every row of a manifest into ``folder``; rows that cannot be read are listed.

    Args:
        manifest: labelled rows.
        spec: how to prepare.
        folder: for the memory-mapped files.
        types: of tumor, in the order of the network's classes.
        store: of rows prepared before, and for those prepared now.
        progress: called with (done, all).

    Raises:
        DataError: the disk is full.
    """
    rows: list[Row] = []
    unreadable: list[Unreadable] = []
    fingerprints: list[bytes] = []
    shape = (len(manifest), spec.size, spec.size)
    try:
        images, marks = (_open_plane(folder / name, shape) for name in ("images.npy", "marks.npy"))
        for done, row in enumerate(manifest.rows, 1):
            try:
                one = _prepare_row(row, spec, store)
            except InputError as error:
                unreadable.append(Unreadable(row, str(error)))
            else:
                images[len(rows)], marks[len(rows)] = one.image, one.marks
                rows.append(row)
                fingerprints.append(one.fingerprint)
            if progress is not None:
                progress(done, len(manifest))
    except OSError as error:
        raise DataError(
            f"{folder}: prepared pictures cannot be written ({error.strerror}); "
            f"{2 * np.prod(shape) / 2**20:.0f} MiB are needed: free space or "
            "choose another --output"
        ) from None
    index = {name: number for number, name in enumerate(types)}
    prepared = PreparedRows(
        rows=tuple(rows),
        images=images[: len(rows)],
        marks=marks[: len(rows)],
        tumor=np.array([row.label == "tumor" for row in rows], np.float32),
        kinds=np.array([index.get(row.tumor_class, -1) for row in rows], np.int64),
        fingerprints=tuple(fingerprints),
    )
    return prepared, unreadable


def _open_plane(path: Path, shape: tuple[int, ...]) -> Picture:
    """A memory-mapped file of that shape, its space taken at once.

    A write into a map for which the disk has no room would end the program without a word.
    """
    plane = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return plane


def _prepare_row(row: Row, spec: PreprocessSpec, store: Store | None) -> PreparedRow:
    if store is not None and (known := store.get(row)) is not None:
        return known
    slice_ = read_slice(row.path, row.frame or 0)
    prepared = prepare(slice_, spec)
    image = np.rint(prepared.image[0] * 255).astype(np.uint8)
    marks = place(_read_marks(row, slice_.pixels.shape), prepared)
    made = PreparedRow(image, marks, fingerprint_slice(slice_))
    if store is not None:
        store.put(row, made)
    return made


def _read_marks(row: Row, shape: tuple[int, ...]) -> Picture:
    """Codes of the annotation in pixels of the slice."""
    if row.label != "tumor":
        return np.full(shape, MARK_NONE, np.uint8)
    if row.mask is not None:
        mask = read_slice(row.mask, row.mask_frame).pixels
        if mask.shape != shape:
            raise InputError(
                str(row.mask),
                f"mask of {mask.shape[1]} x {mask.shape[0]} pixels on a slice of "
                f"{shape[1]} x {shape[0]}",
                "give masks the size of their slices",
            )
        return np.where(mask > 0, MARK_MASK, MARK_NONE).astype(np.uint8)
    if not row.boxes:
        return np.full(shape, MARK_UNKNOWN, np.uint8)
    picture = Image.new("L", (shape[1], shape[0]), MARK_NONE)
    draw = ImageDraw.Draw(picture)
    for x0, y0, x1, y1 in row.boxes:
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=MARK_BOX)
    return np.asarray(picture)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a training step takes.

    Attributes:
        images: (N, 1, S, S) float32 in [0, 1].
        marks: (N, 1, S, S) float32, codes of the annotation.
        tumor: (N,) float32.
        kinds: (N,) int64; -1 where unknown or none.
        weights: (N,) float32.
    """

    images: Tensor
    marks: Tensor
    tumor: Tensor
    kinds: Tensor
    weights: Tensor

    def to(self, device: torch.device | str, **options: Any) -> Batch:
        """On another device; Lightning asks for it by this name."""
        return Batch(*(getattr(self, name).to(device, **options) for name in self.__slots__))


class Draws(IterableDataset[Batch]):
    """The batches of one epoch after another.

    Args:
        prepared: all rows.
        indices: those that may be drawn.
        recipe: how they are drawn, edited and changed.
        phase: its number in the recipe.
    """

    def __init__(
        self,
        prepared: PreparedRows,
        indices: npt.NDArray[np.intp],
        recipe: Recipe,
        phase: int,
    ) -> None:
        self.prepared = prepared
        self.indices = indices
        self.recipe = recipe
        self.phase = phase
        self.draws = recipe.phases[phase].draws or len(indices)
        self.size = recipe.phases[phase].size or recipe.input.size
        self.epoch = 0
        self._lone = _find_lone(prepared.rows, indices)
        self._strata = _sort_into_strata(prepared.rows, indices)
        self._donors = _find_donors(prepared, indices)
        self._weights = _weigh_classes(prepared.tumor[indices], recipe.data.class_weights)

    def __len__(self) -> int:
        return ceil(self.draws / self.recipe.batch)

    def __iter__(self) -> Iterator[Batch]:
        order = self._choose(np.random.default_rng((self.recipe.seed, self.phase, self.epoch)))
        for start in range(0, len(order), self.recipe.batch):
            yield self._make_batch(order[start : start + self.recipe.batch], start)

    def _choose(self, rng: np.random.Generator) -> npt.NDArray[np.intp]:
        if self.recipe.data.sampling == "plain":
            rounds = -(-self.draws // len(self.indices))
            order = np.concatenate([rng.permutation(self.indices) for _ in range(rounds)])
            return order[: self.draws]
        return np.array([_draw_balanced(self._strata, rng) for _ in range(self.draws)], np.intp)

    def _make_batch(self, order: npt.NDArray[np.intp], start: int) -> Batch:
        generators = [
            np.random.default_rng((self.recipe.seed, self.phase, self.epoch, start + place, 1))
            for place in range(len(order))
        ]
        edited = [self._edit(int(index), rng) for index, rng in zip(order, generators, strict=True)]
        images = torch.from_numpy(np.stack([one[0] for one in edited])).unsqueeze(1).float() / 255
        marks = torch.from_numpy(np.stack([one[1] for one in edited])).unsqueeze(1).float()
        changes = [draw_change(rng, self.recipe.augmentation) for rng in generators]
        images, marks = apply_changes(images, marks, changes, self.size)
        tumor = torch.tensor([one[2] for one in edited], dtype=torch.float32)
        return Batch(
            images=images,
            marks=marks,
            tumor=tumor,
            kinds=torch.tensor([one[3] for one in edited]),
            weights=self._weights[tumor.long()],
        )

    def _edit(self, index: int, rng: np.random.Generator) -> tuple[Picture, Picture, float, int]:
        """The picture of a row, its marks, label and type, after the recipe's edits."""
        rows, edits = self.prepared, self.recipe.edits
        image, marks = np.asarray(rows.images[index]), np.asarray(rows.marks[index])
        kind, dice = int(rows.kinds[index]), rng.random()
        lone = edits.lone if _name_stratum(rows.rows[index]) in self._lone else 0.0
        if rows.tumor[index]:
            chance = lone or edits.heal
            if dice < chance:
                healed = heal(image, marks, rng)
                if healed is not None:
                    return healed, np.zeros_like(marks), 0.0, -1
            elif dice < chance + edits.decoy and not (marks == MARK_UNKNOWN).any():
                return self._decoy(index, image, marks, rng), marks, 1.0, kind
            return image, marks, 1.0, kind
        chance = lone or edits.paste
        if dice < chance:
            donor = self._pick_donor(rows.rows[index].sequence, rng)
            pasted = donor is not None and paste(image, rows.images[donor], rows.marks[donor], rng)
            if pasted:
                return *pasted, 1.0, int(rows.kinds[donor])
        elif dice < chance + edits.decoy:
            return self._decoy(index, image, marks, rng), marks, 0.0, -1
        elif dice < chance + edits.decoy + edits.paint:
            painted = self._paint(index, image, rng)
            if painted is not None:
                return *painted, 1.0, -1
        return image, marks, 0.0, -1

    def _paint(
        self, index: int, image: Picture, rng: np.random.Generator
    ) -> tuple[Picture, Picture] | None:
        sequence = self.prepared.rows[index].sequence
        donor = self._pick_donor(_ANY, rng)
        if donor is None:
            return None
        dark = sequence in ("T1", "T1c") or (sequence in ("", "other") and rng.random() < 0.5)
        return paint(image, self.prepared.marks[donor] == MARK_MASK, dark, rng)

    def _decoy(
        self, index: int, image: Picture, marks: Picture, rng: np.random.Generator
    ) -> Picture:
        donor = self._pick_donor(self.prepared.rows[index].sequence, rng)
        if donor is None:
            return image
        return leave_decoy(image, marks, self.prepared.marks[donor] == MARK_MASK, rng)

    def _pick_donor(self, sequence: str, rng: np.random.Generator) -> int | None:
        names = self._donors if sequence == _ANY else _DONORS.get(sequence, (sequence,))
        groups = [group for name in names for group in self._donors.get(name, ())]
        if not groups:
            return None
        slices = groups[int(rng.integers(len(groups)))]
        return int(slices[int(rng.integers(len(slices)))])


def _name_stratum(row: Row) -> tuple[str, str]:
    return row.source, row.sequence


def _find_lone(rows: Sequence[Row], indices: npt.NDArray[np.intp]) -> set[tuple[str, str]]:
    """Sources and sequences that hold one label only."""
    labels: dict[tuple[str, str], set[str]] = defaultdict(set)
    for index in indices.tolist():
        labels[_name_stratum(rows[index])].add(rows[index].label)
    return {stratum for stratum, found in labels.items() if len(found) == 1}


Strata = dict[bool, list[tuple[float, list[list[int]]]]]


def _sort_into_strata(rows: Sequence[Row], indices: npt.NDArray[np.intp]) -> Strata:
    """Label -> strata of source and sequence -> groups -> rows.

    A stratum's weight is the root of its number of groups: one patient shall not fill a third of
    an epoch, nor shall a large set drown the small ones.
    """
    sorted_rows: dict[tuple[bool, str, str], dict[str, list[int]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for index in indices.tolist():
        row = rows[index]
        key = (row.label == "tumor", row.source, row.sequence)
        sorted_rows[key][row.group_key].append(index)
    strata: Strata = {False: [], True: []}
    for (tumor, _, _), groups in sorted(sorted_rows.items()):
        strata[tumor].append((float(np.sqrt(len(groups))), list(groups.values())))
    return strata


def _draw_balanced(strata: Strata, rng: np.random.Generator) -> int:
    choices = strata[bool(rng.random() < 0.5)]
    weights = np.array([weight for weight, _ in choices])
    groups = choices[int(rng.choice(len(choices), p=weights / weights.sum()))][1]
    slices = groups[int(rng.integers(len(groups)))]
    return slices[int(rng.integers(len(slices)))]


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


def _weigh_classes(tumor: npt.NDArray[np.float32], weigh: bool) -> Tensor:
    """(2,) weights of no tumor and tumor, their mean over the rows 1."""
    if not weigh:
        return torch.ones(2)
    counts = Counter(tumor.astype(int).tolist())
    return torch.tensor([len(tumor) / (2 * max(1, counts[label])) for label in (0, 1)])
