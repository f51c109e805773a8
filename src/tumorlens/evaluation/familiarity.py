"""How far a picture lies from what a model was trained on, and where its limit should be.

The distance is Mahalanobis' on simple features, means and deviations of the network's channels at
stride 16: each direction counts by how much it varies among the training pictures, the quietest
ones most. The limit is set by leaving sources out: what a new hospital looks like to a model that
never saw it must still count as familiar.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FamiliarityFit", "fit_projection", "measure_distances"]

Array = npt.NDArray[np.float32]

FLOOR = 0.03
"""Added to each variance, of features scaled to 1: what varies less counts no more."""
QUANTILE = 0.98
"""Share of a left-out source that must lie below the limit."""
FEW = 20
"""Sources with fewer embeddings say nothing about a quantile."""


@dataclass(frozen=True, slots=True, eq=False)
class FamiliarityFit:
    """What familiarity is judged by.

    Attributes:
        mean: (E,) of the embeddings.
        projection: (E, E) to whitened principal components.
        limit: distance that counts as the limit.
        limits: source -> distance below which `QUANTILE` of it lies when it is left out.
    """

    mean: Array
    projection: Array
    limit: float
    limits: dict[str, float]


def fit_projection(embeddings: Array, sources: npt.NDArray[np.object_]) -> FamiliarityFit:
    """Fit projection and limit.

    Args:
        embeddings: (n, E) of training pictures.
        sources: (n,) where each comes from.
    """
    limits = {}
    for source in sorted(set(sources)):
        own = np.asarray(sources == source)
        if np.count_nonzero(own) >= FEW and np.count_nonzero(~own) >= FEW:
            distances = measure_distances(embeddings[own], *_whiten(embeddings[~own]))
            limits[source] = float(np.quantile(distances, QUANTILE))
    mean, projection = _whiten(embeddings)
    limit = max(limits.values(), default=0.0) or float(
        np.quantile(measure_distances(embeddings, mean, projection), 0.995)
    )
    return FamiliarityFit(mean, projection, limit, limits)


def measure_distances(embeddings: Array, mean: Array, projection: Array) -> Array:
    """(n, E) -> (n,) root mean square distance a component."""
    distances: Array = np.sqrt((((embeddings - mean) @ projection) ** 2).mean(axis=1))
    return distances


def _whiten(embeddings: Array) -> tuple[Array, Array]:
    """Mean, and projection to components whose variances are 1, or less where they hardly vary."""
    mean, scale = embeddings.mean(axis=0), embeddings.std(axis=0) + 1e-6
    spread, axes = np.linalg.eigh(np.cov((embeddings - mean) / scale, rowvar=False))
    projection = axes / np.sqrt(np.maximum(spread, 0) + FLOOR) / scale[:, None]
    return mean.astype(np.float32), projection.astype(np.float32)
