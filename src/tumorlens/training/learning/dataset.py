"""Makes batches from prepared images.

Which picture is drawn, how it is edited and how it is changed depends on (seed, phase, epoch,
index) alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from tumorlens.data.rows import Row
from tumorlens.training.learning.augment import apply_augmentations, draw_augmentation
from tumorlens.training.learning.batch import Batch
from tumorlens.training.learning.edits import Editor
from tumorlens.training.recipe import Recipe
from tumorlens.training.rows.codes import BRAIN_UNKNOWN
from tumorlens.training.rows.prepared_rows import PreparedRows

__all__ = ["Draws"]

_BRAINS_TOLD = 0.2  # share of the draws without a mask of the brain that tell what is known of it


class Draws(IterableDataset[Batch]):
    """The batches of one epoch after another.

    Args:
        prepared: all rows.
        indices: indices of the rows that may be drawn.
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
        self.rank, self.ranks = 0, 1
        self._strata = _sort_into_strata(prepared.rows, indices)
        self._editor = Editor(prepared, indices, recipe.edits)
        self._weights = _weigh_classes(prepared.tumor[indices], recipe.data.class_weights)

    @property
    def sources(self) -> int:
        """Number of sources of all rows."""
        return int(self.prepared.sources.max()) + 1

    def __deepcopy__(self, memo: dict[int, Any]) -> Draws:
        """The moving average copies the module. The images do not change, so they are shared."""
        return self

    def __len__(self) -> int:
        return max(1, ceil(self.draws / self.recipe.batch) // self.ranks)

    def share(self, rank: int, ranks: int) -> None:
        """Give this process its part of each epoch: every ``ranks``-th batch, from ``rank`` on."""
        self.rank, self.ranks = rank, ranks

    def __iter__(self) -> Iterator[Batch]:
        order = self._choose(np.random.default_rng((self.recipe.seed, self.phase, self.epoch)))
        for number in range(len(self)):
            start = (number * self.ranks + self.rank) * self.recipe.batch
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
        edited = [
            self._editor.edit(int(index), rng) for index, rng in zip(order, generators, strict=True)
        ]
        images = torch.from_numpy(np.stack([one.image for one in edited])).unsqueeze(1).float()
        brains = [
            self._draw_brain(int(index), rng) for index, rng in zip(order, generators, strict=True)
        ]
        annotation = np.stack([one.annotation for one in edited])
        planes = torch.from_numpy(np.stack([annotation, np.stack(brains)], axis=1)).float()
        gains = [
            self._draw_gain(int(index), rng) for index, rng in zip(order, generators, strict=True)
        ]
        drawn = [draw_augmentation(rng, self.recipe.augmentation) for rng in generators]
        images = images / 255 * torch.tensor(gains, dtype=torch.float32).view(-1, 1, 1, 1)
        images, planes = apply_augmentations(images, planes, drawn, self.size)
        tumor = torch.tensor([one.tumor for one in edited], dtype=torch.float32)
        return Batch(
            images=images,
            annotation=planes[:, :1],
            brain=planes[:, 1:],
            looks=torch.from_numpy(self.prepared.looks[order]),
            tumor=tumor,
            kinds=torch.tensor([one.kind for one in edited]),
            weights=self._weights[tumor.long()],
            sources=torch.from_numpy(self.prepared.sources[order]),
        )

    def _draw_brain(self, index: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
        """The brain codes of a row. Those that no mask gave are used only sometimes.

        Many images are skull-stripped and show nothing but brain. If they were used whenever they
        are drawn, the network would learn that all tissue is brain.
        """
        known = self.prepared.brain[index]
        told = self.prepared.rows[index].brain is not None or rng.random() < _BRAINS_TOLD
        return known if told else np.full_like(known, BRAIN_UNKNOWN)

    def _draw_gain(self, index: int, rng: np.random.Generator) -> float:
        """Half of the images are scaled as in their series, the other half as single images."""
        dimmed = self.recipe.input.version > 1 and rng.random() < 0.5
        return float(self.prepared.gains[index]) if dimmed else 1.0


Strata = dict[bool, list[tuple[float, list[list[int]]]]]


def _sort_into_strata(rows: Sequence[Row], indices: npt.NDArray[np.intp]) -> Strata:
    """Label -> strata of source and sequence -> groups -> rows.

    A stratum's weight is the root of its number of groups: one patient shall not fill a third of
    an epoch, nor shall a large set drown the small ones. Whole heads, whose brain is known, are
    strata of their own: they alone show neck and cap.
    """
    sorted_rows: dict[tuple[bool, str, str, bool], dict[str, list[int]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for index in indices.tolist():
        row = rows[index]
        key = (row.label == "tumor", row.source, row.sequence, row.brain is not None)
        sorted_rows[key][row.group_key].append(index)
    strata: Strata = {False: [], True: []}
    for (tumor, *_), groups in sorted(sorted_rows.items()):
        strata[tumor].append((float(np.sqrt(len(groups))), list(groups.values())))
    return strata


def _draw_balanced(strata: Strata, rng: np.random.Generator) -> int:
    choices = strata[bool(rng.random() < 0.5)]
    weights = np.array([weight for weight, _ in choices])
    groups = choices[int(rng.choice(len(choices), p=weights / weights.sum()))][1]
    slices = groups[int(rng.integers(len(groups)))]
    return slices[int(rng.integers(len(slices)))]


def _weigh_classes(tumor: npt.NDArray[np.float32], weigh: bool) -> Tensor:
    """(2,) weights of no tumor and tumor, their mean over the rows 1."""
    if not weigh:
        return torch.ones(2)
    counts = Counter(tumor.astype(int).tolist())
    return torch.tensor([len(tumor) / (2 * max(1, counts[label])) for label in (0, 1)])
