"""Fits familiarity on the features of training images."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import torch

from tumorlens.network.assembly import TumorNetwork
from tumorlens.training.familiarity import FamiliarityFit, fit_projection
from tumorlens.training.rows.prepared_rows import PreparedRows

__all__ = ["draw_alike", "fit_familiarity"]

_EMBEDDED = 200  # pictures of a source and sequence, or
_ALTOGETHER = 2000  # more, up to so many of all, where these are few


@torch.no_grad()
def fit_familiarity(
    network: TumorNetwork, prepared: PreparedRows, kept: npt.NDArray[np.intp], seed: int
) -> FamiliarityFit:
    """Fit familiarity on training images; no source counts more than another.

    Args:
        network: trained.
        prepared: all rows.
        kept: indices of those that may serve.
        seed: seed of the choice among them.
    """
    brains = kept[prepared.find_brains()[kept]]
    chosen = draw_alike(prepared, brains, seed, each=_EMBEDDED, altogether=_ALTOGETHER)
    embedded = [
        network.embed(network.features(prepared.take(part)[0]))
        for part in np.array_split(chosen, max(1, len(chosen) // 64))
    ]
    rows = [prepared.rows[index] for index in chosen]
    sources = np.array([row.source for row in rows], dtype=object)
    groups = np.array([row.group_key for row in rows], dtype=object)
    return fit_projection(torch.cat(embedded).numpy(), sources, groups, seed=seed)


def draw_alike(
    prepared: PreparedRows,
    kept: npt.NDArray[np.intp],
    seed: int,
    *,
    each: int,
    altogether: int = 0,
) -> npt.NDArray[np.intp]:
    """Draw equal numbers per source and sequence, so that a large set does not dominate.

    Args:
        prepared: all rows.
        kept: indices of those that may serve.
        seed: of the choice among them.
        each: pictures of a source and sequence, or
        altogether: more, up to so many of all, where these are few.
    """
    kinds = {(prepared.rows[index].source, prepared.rows[index].sequence) for index in kept}
    most = max(each, altogether // max(1, len(kinds)))
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for index in np.random.default_rng(seed).permutation(kept).tolist():
        row = prepared.rows[index]
        taken[row.source, row.sequence] += 1
        if taken[row.source, row.sequence] <= most:
            chosen.append(index)
    return np.sort(np.array(chosen, np.intp))
