"""Disjoint sets: images that are copies, or copies of copies, are in one set."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Chains"]

Numbers = npt.NDArray[np.int64]


class Chains:
    """Disjoint sets of pictures (union-find with path halving)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def join(self, first: int, second: int) -> bool:
        """Join the sets of two images; gives whether they were separate before."""
        a, b = self._root(first), self._root(second)
        self._parent[max(a, b)] = min(a, b)
        return a != b

    def apart(self, first: Numbers, second: Numbers) -> npt.NDArray[np.bool_]:
        pairs = zip(first.tolist(), second.tolist(), strict=True)
        return np.array([self._root(a) != self._root(b) for a, b in pairs], np.bool_)

    def first(self, numbers: Numbers) -> Numbers:
        """The first picture of each set that ``numbers`` touch, sorted."""
        return np.unique(np.array([self._root(number) for number in numbers.tolist()], np.int64))

    def joined(self, numbers: Numbers) -> Numbers:
        """The first pictures of those sets that hold two or more of ``numbers``."""
        roots, counts = np.unique(
            np.array([self._root(number) for number in numbers.tolist()], np.int64),
            return_counts=True,
        )
        return np.asarray(roots[counts > 1])

    def number(self) -> Numbers:
        """(N,) number of each picture's set, from 0 in order of appearance."""
        roots = np.array([self._root(number) for number in range(len(self._parent))], np.int64)
        return np.asarray(np.unique(roots, return_inverse=True)[1], np.int64)

    def _root(self, number: int) -> int:
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number
