"""Pairs of pictures that may be copies, from a nearest-neighbour index of descriptors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.imaging.pixels.fingerprint import TERMS, cosine_basis, turn_descriptors

__all__ = [
    "BLOCK",
    "STRETCHES",
    "VIEWS",
    "Candidates",
    "Search",
    "are_bare",
    "cut_blocks",
    "lay_pairs",
    "take_best",
]

Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

BLOCK = 512
"""Number of images per query of the index."""

VIEWS, _FRAME = 2, 1  # head and frame
_COARSE = 12.0  # radius of the coefficients that the index holds
_CROPS = (0.0, 0.04, 0.08)  # of each side, cut off the head before asking
_NEIGHBOURS = 6  # asked of the index, for each way of asking
_CANDIDATES = 6  # aligned, for each picture
_LEAST_COARSE = 0.5  # coarse correlation under which nothing is aligned
_LEAST_FINE = 0.18  # of a head's descriptor: detail beyond `_COARSE` of a picture that is not bare


class Search:
    """The descriptors (N, 2, 24, 24) of all pictures, and an index over some of them."""

    def __init__(
        self, index_of: Callable[..., Any], views: Array, held: Numbers, threads: int
    ) -> None:
        self._index = index_of(ndim=int(_COARSELY.sum()), metric="cos", dtype="f16")
        self._threads = threads
        self.views = views
        for block in cut_blocks(held):
            coarse = _coarse_part(views[block]).reshape(len(block) * VIEWS, -1)
            keys = (block[:, None] * VIEWS + np.arange(VIEWS)).ravel()
            seen = np.abs(coarse).sum(1) > 0  # a picture of one value has no descriptor
            self._index.add(keys[seen].astype(np.uint64), coarse[seen], threads=threads)

    def ask(self, block: Numbers) -> Candidates:
        """All neighbours that the index gives, for every orientation and crop."""
        return _join([self._ask(block, view, crop) for view, crop in _QUESTIONS])

    def _ask(self, block: Numbers, view: int, crop: int) -> Candidates:
        whole = self.views[block, view].astype(np.float32)
        queries = _coarse_part(turn_descriptors(_CROPPINGS[crop] @ whole @ _CROPPINGS[crop].T))
        asked = np.ascontiguousarray(queries.reshape(-1, queries.shape[-1]))
        matches = self._index.search(asked, _NEIGHBOURS, threads=self._threads)
        keys = np.atleast_2d(matches.keys).astype(np.int64)
        ways, numbers = np.divmod(np.arange(len(asked)), len(block))
        counts = np.atleast_1d(matches.counts)
        row, column = np.nonzero(np.arange(keys.shape[1]) < counts[:, None])
        return Candidates(
            first=block[numbers[row]],
            second=keys[row, column] // VIEWS,
            view=np.full(len(row), view),
            other_view=keys[row, column] % VIEWS,
            way=ways[row],
            crop=np.full(len(row), crop),
            coarse=1 - np.atleast_2d(matches.distances)[row, column],
        )


def cut_blocks(numbers: Numbers) -> Iterator[Numbers]:
    for start in range(0, len(numbers), BLOCK):
        yield numbers[start : start + BLOCK]


def _coarse_part(descriptors: Array) -> Array:
    """(..., D) float32 of unit length."""
    coarse = descriptors[..., _COARSELY].astype(np.float32)
    lengths = np.linalg.norm(coarse, axis=-1, keepdims=True)
    return np.asarray(coarse / np.maximum(lengths, 1e-6))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pairs to compare: numbers, orientation and crop of the second, and coarse correlation."""

    first: Numbers
    second: Numbers
    view: Numbers  # of the first
    other_view: Numbers
    way: Numbers  # orientation
    crop: Numbers
    coarse: Array

    @property
    def framed(self) -> npt.NDArray[np.bool_]:
        """Which pairs are of two whole frames."""
        return np.asarray((self.view == _FRAME) & (self.other_view == _FRAME))

    def take(self, chosen: npt.NDArray[Any]) -> Candidates:
        return Candidates(*(getattr(self, name)[chosen] for name in self.__slots__))

    def __len__(self) -> int:
        return len(self.first)


def _join(parts: list[Candidates]) -> Candidates:
    names = Candidates.__slots__
    return Candidates(*(np.concatenate([getattr(one, name) for one in parts]) for name in names))


def take_best(found: Candidates) -> Candidates:
    """The best way of each pair, by head and by frame, and the best few for each picture."""
    found = found.take((found.first != found.second) & (found.coarse >= _LEAST_COARSE))
    found = found.take(np.argsort(-found.coarse, kind="stable"))
    pair = np.stack([found.first, found.second, found.framed], 1)
    found = found.take(np.sort(np.unique(pair, axis=0, return_index=True)[1]))
    order = np.argsort(found.first, kind="stable")
    ordered = found.first[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return found.take(order[rank < _CANDIDATES])


def lay_pairs(views: Array, found: Candidates) -> tuple[Array, Array]:
    """Descriptors of each pair, the first one turned as it was when it was asked for."""
    first = views[found.first, found.view].astype(np.float32)
    turned = turn_descriptors(first)[found.way, np.arange(len(found))]
    return turned, views[found.second, found.other_view].astype(np.float32)


def are_bare(views: Array, found: Candidates) -> npt.NDArray[np.bool_]:
    """Whether either head of a pair shows hardly any detail, as slices near the top do.

    Their discs and rings are alike in all people.
    """
    return _is_bare(views[found.first, 0]) | _is_bare(views[found.second, 0])


def _is_bare(heads: Array) -> npt.NDArray[np.bool_]:
    fine = heads[..., _FINELY].astype(np.float32)
    return np.asarray(np.square(fine).sum(-1) < _LEAST_FINE)


def _cropping(share: float) -> Array:
    """(24, 24): takes a descriptor's coefficients, along one axis, to those of its inside."""
    side = 2 * TERMS
    points = ((np.arange(side) + 0.5) / side).astype(np.float32)
    inner = np.float32(share) + np.float32(1 - 2 * share) * points
    return np.asarray(cosine_basis(points).T @ cosine_basis(inner), np.float32)


_COARSELY = np.hypot(*np.mgrid[:TERMS, :TERMS]) <= _COARSE
_FINELY = ~_COARSELY
_COARSELY[0, 0] = False
_CROPPINGS = [_cropping(share) for share in _CROPS]
STRETCHES = np.array([2 * share / (1 - 2 * share) for share in _CROPS], np.float32)
_QUESTIONS = [(0, crop) for crop in range(len(_CROPS))] + [(_FRAME, 0)]  # (view, crop)
