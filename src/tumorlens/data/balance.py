"""Groups dealt into parts of wanted sizes, so that every kind of slice has its share in each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["deal_groups"]

_PASSES = 20


def deal_groups(
    counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], seed: int
) -> npt.NDArray[np.int64]:
    """Divide G groups among P parts; a group is never cut.

    Minimises the squared difference between the share of each kind that a part holds and the
    share that it should hold, summed over parts, kinds, slices and groups: first greedily, the
    largest groups first, as scikit-learn's ``StratifiedGroupKFold`` does for equal parts, then by
    moving one group at a time as long as that helps.

    Args:
        counts: (G, S) slices of each of S kinds in each group.
        shares: (P,) wanted share of each part; sum 1. P <= G.
        seed: settles ties.

    Returns:
        (G,) part of each group; no part is empty.
    """
    weights = _weigh(counts)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    dealt = _deal(weights, shares, order)
    for _ in range(_PASSES):
        if not _improve(weights, shares, order, dealt):
            break
    return dealt


def _weigh(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Each group's share of all slices of each kind, of all slices, and of all groups."""
    table = np.column_stack([counts, counts.sum(1), np.ones(len(counts), np.int64)])
    return np.asarray(table / table.sum(0))


def _deal(
    weights: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], order: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    held = np.zeros((len(shares), weights.shape[1]))
    dealt = np.full(len(weights), -1)
    for number, group in enumerate(order.tolist()):
        costs = _costs(weights[group], held, shares)
        empty = np.setdiff1d(np.arange(len(shares)), dealt)
        if len(order) - number == len(empty):  # as many groups left as parts without any
            costs[np.setdiff1d(np.arange(len(shares)), empty)] = np.inf
        dealt[group] = int(np.argmin(costs))
        held[dealt[group]] += weights[group]
    return dealt


def _costs(
    weight: npt.NDArray[np.float64],
    held: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """(P,) growth of the squared differences if a part takes the group."""
    return np.asarray((weight * (2 * (held - shares[:, None]) + weight)).sum(1))


def _improve(
    weights: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    order: npt.NDArray[np.int64],
    dealt: npt.NDArray[np.int64],
) -> bool:
    """Move each group to the part where it fits best, in place; gives whether any moved."""
    held = np.stack([weights[dealt == part].sum(0) for part in range(len(shares))])
    sizes = np.bincount(dealt, minlength=len(shares))
    moved = False
    for group in order.tolist():
        old = int(dealt[group])
        if sizes[old] == 1:
            continue
        held[old] -= weights[group]
        costs = _costs(weights[group], held, shares)
        new = int(np.argmin(costs))
        if costs[new] > costs[old] - 1e-12:
            new = old
        held[new] += weights[group]
        sizes[old], sizes[new] = sizes[old] - 1, sizes[new] + 1
        dealt[group], moved = new, moved or new != old
    return moved
