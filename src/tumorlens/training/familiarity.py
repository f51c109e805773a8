"""How far an image lies from the training images of a model, and which distance is the limit.

The distance is that of Mahalanobis on simple features: means and deviations of the channels of the
network at stride 16. A direction counts more the less the training pictures vary along it. A
picture lies nearer to statistics that it took part in. So no picture takes part in the statistics
that set the limit for it: whole sources are left out, because a new site must still count as
familiar to a model that never saw it. If there is only one source, patients are left out, one fold
of them at a time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import floor

import numpy as np
import numpy.typing as npt

from tumorlens.digits import say_share
from tumorlens.evaluation.scores import Scores

__all__ = [
    "MOST_UNFAMILIAR",
    "FamiliarityCheck",
    "FamiliarityFit",
    "check_familiarity",
    "find_raise",
    "fit_projection",
    "measure_distances",
]

Array = npt.NDArray[np.float32]
Names = npt.NDArray[np.object_]

FLOOR = 0.03
"""Added to each variance (features are scaled to 1), so that tiny variances do not dominate."""
QUANTILE = 0.98
"""Share of a left-out source that must lie below the limit."""
OWN_QUANTILE = 0.99
"""Share of the training images that must lie below the limit, by statistics of other groups."""
FOLDS = 10
"""Number of folds of groups. One fold after the other is left out."""
FEW = 20
"""A source with fewer embeddings does not count: its quantile would be a guess."""
ODD_RAISE = 1.25
"""Largest factor by which a few odd validation images may raise the limit."""
_ROOM = 1 + 1e-5
"""An image at exactly the raised limit must not be over it after rounding."""
MOST_UNFAMILIAR = 0.05
"""Share of validation and test pictures of known sources that may lie over the limit."""


@dataclass(frozen=True, slots=True, eq=False)
class FamiliarityFit:
    """The numbers that turn an embedding into a distance.

    Attributes:
        mean: (E,) mean of the embeddings.
        projection: (E, E) to whitened principal components.
        limit: an image beyond this distance is unfamiliar. The largest of ``limits`` and ``own``.
        limits: source -> distance below which `QUANTILE` of it lies when it is left out.
        own: distance below which `OWN_QUANTILE` of all lies when their groups are left out.
    """

    mean: Array
    projection: Array
    limit: float
    limits: dict[str, float]
    own: float


@dataclass(frozen=True, slots=True)
class FamiliarityCheck:
    """Whether new images of the sources that a model was trained on count as familiar.

    Attributes:
        slices, groups: validation and test pictures of these sources, and their patients.
        unfamiliar: how many of the pictures are flagged as unfamiliar.
        worst: the source with the largest share of them, where there are several.
    """

    slices: int
    groups: int
    unfamiliar: int
    worst: str = ""

    @property
    def passed(self) -> bool:
        """Whether at most `MOST_UNFAMILIAR` are; none at all say nothing against it."""
        return self.unfamiliar <= MOST_UNFAMILIAR * self.slices

    @property
    def words(self) -> str:
        """What was found, and what to do if it is too much, in one or two sentences."""
        share = say_share(self.unfamiliar / self.slices, 1) if self.slices else "none"
        found = (
            f"{self.unfamiliar} of {self.slices} validation and test pictures ({share}) of sources "
            "that the model was trained on are flagged as unfamiliar"
        )
        if self.passed:
            return found
        where = f", most of them of {self.worst}" if self.worst else ""
        return (
            f"{found}{where}; at most {say_share(MOST_UNFAMILIAR)} should be. The model "
            "will give no answer for many pictures like those that it learned from: train on more "
            "patients, or fit its limit to slices of your own with tumorlens calibrate"
        )


def fit_projection(
    embeddings: Array, sources: Names, groups: Names, *, seed: int = 0
) -> FamiliarityFit:
    """Fit projection and limit.

    Args:
        embeddings: (n, E) of training pictures.
        sources: (n,) where each comes from.
        groups: (n,) the patient or set of copies that each belongs to.
        seed: seed of the random division of groups into folds.
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


def find_raise(unfamiliarity: npt.NDArray[np.float64]) -> float:
    """The factor by which the limit must rise to fit the validation images; 1 if it fits.

    `QUANTILE` of them shall lie below it, but the few beyond, which may be no brain at all, raise
    it by `ODD_RAISE` at most; whatever that takes, no more than `MOST_UNFAMILIAR` lie over it.

    Args:
        unfamiliarity: (n,) of pictures of known sources that were not trained on, 1 at the limit.
    """
    known = np.sort(unfamiliarity[np.isfinite(unfamiliarity)])
    if not len(known):
        return 1.0
    wished, needed = (
        float(known[len(known) - 1 - floor(share * len(known))])
        for share in (1 - QUANTILE, MOST_UNFAMILIAR)
    )
    return max(1.0, min(wished, ODD_RAISE) * _ROOM, needed * _ROOM)


def check_familiarity(sets: Collection[Scores], sources: Collection[str]) -> FamiliarityCheck:
    """Count unfamiliar pictures among those of known sources that were not trained on.

    Args:
        sets: test and validation scores, the best evidence first; later ones count only where
            those before hold fewer than `FEW` such pictures.
        sources: that the model was trained on.
    """
    strange: dict[str, list[bool]] = {}
    groups: set[str] = set()
    for scores in sets:
        if sum(map(len, strange.values())) >= FEW:
            break
        for row, value in zip(scores.rows, scores.unfamiliarity.tolist(), strict=True):
            if row.source in sources:
                strange.setdefault(row.source, []).append(value > 1)
                groups.add(row.group_key)
    worst = max(strange, key=lambda name: sum(strange[name]), default="")
    return FamiliarityCheck(
        slices=sum(map(len, strange.values())),
        groups=len(groups),
        unfamiliar=sum(map(sum, strange.values())),
        worst=worst if len(strange) > 1 else "",
    )


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
