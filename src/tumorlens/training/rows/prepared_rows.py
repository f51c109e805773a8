"""`PreparedRows`: labelled rows that are prepared for the network, with their images in files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tumorlens.data.rows import Row
from tumorlens.training.rows.codes import BRAIN_SHOWN

__all__ = ["PLANES", "PreparedRows"]

PLANES = ("images", "annotation", "brain")
"""The arrays that lie in files."""

ByteImage = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRows:
    """Rows that are prepared for the network.

    Attributes:
        rows: N rows, in the order of the arrays.
        images: (N, S, S) uint8, memory-mapped: `prepare` times 255.
        annotation: (N, S, S) uint8, memory-mapped: code of the annotation per pixel.
        brain: (N, S, S) uint8, memory-mapped: code of the brain per pixel.
        gains: (N,) float32, by how much each slice is dimmed beside its series.
        looks: (N, 3) int64, numbers of plane, sequence and skull in `LOOKS`; -1 where unknown.
        tumor: (N,) float32, 0 or 1.
        kinds: (N,) int64, index of the type of tumor; -1 where unknown or none.
        sources: (N,) int64, number of the source, in the order of their names.
        fingerprints: one per row. The model file stores them, so that `seen` can find these rows.
    """

    rows: tuple[Row, ...]
    images: ByteImage
    annotation: ByteImage
    brain: ByteImage
    gains: npt.NDArray[np.float32]
    looks: npt.NDArray[np.int64]
    tumor: npt.NDArray[np.float32]
    kinds: npt.NDArray[np.int64]
    sources: npt.NDArray[np.int64]
    fingerprints: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the same files, so images are not copied between processes."""
        planes = tuple(getattr(self, name).filename for name in PLANES)
        others = (self.gains, self.looks, self.tumor, self.kinds, self.sources, self.fingerprints)
        return _reopen, (self.rows, planes, *others)

    def find_shown(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a row shows brain, as far as its mask of the brain tells."""
        told = zip(self.rows, self.brain, strict=True)
        shown = (row.brain is None or (brain == BRAIN_SHOWN).any() for row, brain in told)
        return np.array([*shown], np.bool_)

    def find_brains(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a row's group shows brain anywhere, as far as masks of the brain tell.

        A group without any, such as CT of the head or a knee, teaches the map of the brain. It says
        nothing about what is familiar, or about where the thresholds should be.
        """
        shown = self.find_shown()
        groups = {row.group_key for row, has in zip(self.rows, shown, strict=True) if has}
        return np.array([row.group_key in groups for row in self.rows], np.bool_)

    def find_strangers(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a row is no MRI of the brain: its group shows none, in no slice of a source.

        A patient may have both, CT in one source and MRI in another. A neck below a brain is none.
        """
        keys = [(row.source, row.group_key) for row in self.rows]
        with_brain = {key for key, has in zip(keys, self.find_shown(), strict=True) if has}
        return np.array([key not in with_brain for key in keys], np.bool_)

    def take(self, indices: npt.NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        """Unchanged images (n, 1, S, S) float32 and annotations of these rows."""
        images = torch.from_numpy(self.images[indices]).unsqueeze(1).float() / 255
        return images, torch.from_numpy(self.annotation[indices]).unsqueeze(1).float()


def _reopen(rows: tuple[Row, ...], files: tuple[str, ...], *others: Any) -> PreparedRows:
    planes = (np.load(file, "r", allow_pickle=False)[: len(rows)] for file in files)
    return PreparedRows(rows, *planes, *others)
