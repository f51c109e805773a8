"""How far a picture lies from what a model was trained on, and where its limit should be.

Embeddings are projected on a few whitened principal components; the distance to the nearest of a
few cluster centres says how unfamiliar a picture is. The limit is set by leaving sources out: what
a new hospital looks like to a model that never saw it must still count as familiar.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorlens.optional import load

__all__ = ["FamiliarityFit", "fit_projection", "measure_distances"]

Array = npt.NDArray[np.float32]

COMPONENTS = 32
CENTERS = 48
QUANTILE = 0.98
"""Share of a left-out source that must lie below the limit."""
FEW = 20
"""Sources with fewer embeddings say nothing about a quantile."""


@dataclass(frozen=True, slots=True, eq=False)
class FamiliarityFit:
    """What familiarity is judged by.

    Attributes:
        mean: (E,) of the embeddings.
        projection: (E, P) to whitened principal components.
        centers: (C, P).
        limit: distance that counts as the limit.
        limits: source -> distance below which `QUANTILE` of it lies when it is left out.
    """

    mean: Array
    projection: Array
    centers: Array
    limit: float
    limits: dict[str, float]


def fit_projection(
    embeddings: Array, sources: npt.NDArray[np.object_], *, seed: int = 0
) -> FamiliarityFit:
    """Fit projection, centres and limit.

    Args:
        embeddings: (n, E) of training pictures.
        sources: (n,) where each comes from.
        seed: of the clustering.
    """
    mean = embeddings.mean(axis=0)
    _, spread, axes = np.linalg.svd(embeddings - mean, full_matrices=False)
    kept = min(COMPONENTS, int(np.count_nonzero(spread > 1e-4 * spread[0])))
    projection = (axes[:kept].T / (spread[:kept] / np.sqrt(len(embeddings)))).astype(np.float32)
    projected = (embeddings - mean) @ projection
    limits = {}
    for source in sorted(set(sources)):
        own = np.asarray(sources == source)
        if np.count_nonzero(own) >= FEW and np.count_nonzero(~own) >= FEW:
            centers = _cluster(projected[~own], seed)
            limits[source] = float(
                np.quantile(measure_distances(projected[own], centers), QUANTILE)
            )
    centers = _cluster(projected, seed)
    limit = max(limits.values(), default=0.0) or float(
        np.quantile(measure_distances(projected, centers), 0.995)
    )
    return FamiliarityFit(mean, projection, centers, limit, limits)


def measure_distances(projected: Array, centers: Array) -> Array:
    """(n, P), (C, P) -> (n,) root mean square distance a component to the nearest centre."""
    squared = (projected**2).sum(1)[:, None] - 2 * projected @ centers.T + (centers**2).sum(1)
    nearest: Array = np.sqrt(np.maximum(squared.min(axis=1), 0) / projected.shape[1])
    return nearest


def _cluster(projected: Array, seed: int) -> Array:
    kmeans = load("sklearn.cluster", "familiarity").KMeans(
        min(CENTERS, len(projected)), n_init=1, random_state=seed
    )
    centers: Array = kmeans.fit(projected).cluster_centers_.astype(np.float32)
    return centers
