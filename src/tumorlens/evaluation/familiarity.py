"""How far a picture lies from what a model was trained on, and where its limit should be.

The distance is Mahalanobis' on simple features, means and deviations of the network's channels at
stride 16: each direction counts by how much it varies among the training pictures, the quietest
ones most. No picture takes part in the statistics that set the limit for it, since a picture lies
nearer to statistics that it helped to make: whole sources are left out, for what a new hospital
looks like to a model that never saw it must still count as familiar, and patients are left out, a
fold of them at a time, where one source stands alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FamiliarityFit", "fit_projection", "measure_distances"]

Array = npt.NDArray[np.float32]
Names = npt.NDArray[np.object_]

FLOOR = 0.03
"""Added to each variance, of features scaled to 1: what varies less counts no more."""
QUANTILE = 0.98
"""Share of a left-out source that must lie below the limit."""
OWN_QUANTILE = 0.99
"""Share of the training pictures that must, measured by statistics of other groups."""
FOLDS = 10
"""In how many parts the groups are left out."""
FEW = 20
"""Sources with fewer embeddings say nothing about a quantile."""


@dataclass(frozen=True, slots=True, eq=False)
class FamiliarityFit:
    """What familiarity is judged by.

    Attributes:
        mean: (E,) of the embeddings.
        projection: (E, E) to whitened principal components.
        limit: distance that counts as the limit, the largest of those that follow.
        limits: source -> distance below which `QUANTILE` of it lies when it is left out.
        own: distance below which `OWN_QUANTILE` of all lies when their groups are left out.
    """

    mean: Array
    projection: Array
    limit: float
    limits: dict[str, float]
    own: float


def fit_projection(
    embeddings: Array, sources: Names, groups: Names, *, seed: int = 0
) -> FamiliarityFit:
    """Fit projection and limit.

    Args:
        embeddings: (n, E) of training pictures.
        sources: (n,) where each comes from.
        groups: (n,) the patient or cluster of copies that each belongs to.
        seed: of the lot that deals groups to folds.
    """
    limits = {}
    for source in sorted(set(sources)):
        own = np.asarray(sources == source)
        if np.count_nonzero(own) >= FEW and np.count_nonzero(~own) >= FEW:
            distances = measure_distances(embeddings[own], *_whiten(embeddings[~own]))
            limits[source] = float(np.quantile(distances, QUANTILE))
    mean, projection = _whiten(embeddings)
    own_limit = float(np.quantile(_measure_crosswise(embeddings, groups, seed), OWN_QUANTILE))
    return FamiliarityFit(mean, projection, max([own_limit, *limits.values()]), limits, own_limit)


def measure_distances(embeddings: Array, mean: Array, projection: Array) -> Array:
    """(n, E) -> (n,) root mean square distance a component."""
    distances: Array = np.sqrt((((embeddings - mean) @ projection) ** 2).mean(axis=1))
    return distances


def _measure_crosswise(embeddings: Array, groups: Names, seed: int) -> Array:
    """(n,) distance of each picture by the statistics of the groups in other folds."""
    names, code = np.unique(groups.astype(str), return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[code]
    distances = np.zeros(len(embeddings), np.float32)
    for one in np.unique(fold):
        held = fold == one
        # One group alone has no others: it is measured by itself.
        rest = embeddings[~held] if (~held).any() else embeddings
        distances[held] = measure_distances(embeddings[held], *_whiten(rest))
    return distances


def _whiten(embeddings: Array) -> tuple[Array, Array]:
    """Mean, and projection to components whose variances are 1, or less where they hardly vary.

    The covariance is shrunk towards equal variances by as much as few pictures in many dimensions
    ask for (Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance
    matrices"): without it, directions that a few hundred pictures happen not to fill would count
    most.
    """
    mean, scale = embeddings.mean(axis=0), embeddings.std(axis=0) + 1e-6
    standard = (embeddings - mean) / scale
    covariance = standard.T @ standard / len(standard)
    shrinkage = _find_shrinkage(standard, covariance)
    spread, axes = np.linalg.eigh(covariance)
    spread = (1 - shrinkage) * np.maximum(spread, 0) + shrinkage * spread.mean()
    projection = axes / np.sqrt(spread + FLOOR) / scale[:, None]
    return mean.astype(np.float32), projection.astype(np.float32)


def _find_shrinkage(standard: Array, covariance: Array) -> float:
    """Share of the mean variance in the covariance that lies nearest to the true one."""
    even = np.trace(covariance) / len(covariance)
    spread = float((covariance**2).sum() - even**2 * len(covariance))
    noise = float(((standard**2).sum(axis=1) ** 2).mean() - (covariance**2).sum()) / len(standard)
    return min(1.0, noise / spread) if spread > 0 else 1.0
