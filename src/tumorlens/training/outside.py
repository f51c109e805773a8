"""How an image is told that is no MRI of the brain: the fit on features of a trained network.

Images that show no brain, such as CT or another part of the body, are to be told from brain MRI,
and so are kinds of them that nobody thought of. So the function that is fitted falls to "no brain"
both near the images without brain and far from everything: kernel ridge regression with a Gaussian
kernel (Rasmussen & Williams 2006, "Gaussian Processes for Machine Learning", chapter 2), whose
prediction far from all examples is that of its prior mean. Few examples serve as centres (the
method of Nyström; Williams & Seeger 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FEWEST", "OutsideFit", "fit_outside", "measure_outside"]

Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Names = npt.NDArray[np.object_]

FEWEST = 50
"""Images of brains, and without, below which nothing can be fitted."""
QUANTILE = 0.99
"""Share of the brain MRI of other groups that must lie below the limit."""
FOLDS = 10
"""Number of folds of groups. One fold after the other is left out to find the limit."""
COMPONENTS = 96
"""Principal components of the features that count."""
CENTERS = 512
"""Examples that serve as centres of the kernel: half of them brains."""
RIDGE = 0.1
"""Weight of smoothness against closeness to the examples."""
PRIOR = -0.5
"""Answer far from all examples, where brains are 1 and images without brain -1."""


@dataclass(frozen=True, slots=True, eq=False)
class OutsideFit:
    """The numbers that turn features into how far an image is from brain MRI.

    Attributes:
        projection: (F, P) from features to components.
        shift: (P,) added to them.
        centers: (M, P) of the kernel.
        weights: (M,) of the centres.
        offset: added to the weighted sum; the sum is 0 for a typical brain and 1 at the limit.
    """

    projection: Array
    shift: Array
    centers: Array
    weights: Array
    offset: float


def fit_outside(
    features: Array, brain: Mask, names: Names, groups: Names, blocks: Array, *, seed: int = 0
) -> OutsideFit:
    """Fit projection, centres and limit.

    Args:
        features: (n, F) of images.
        brain: (n,) whether an image is MRI of the brain.
        names: (n,) the kind of each image, such as source and sequence; kinds weigh by the square
            root of their number.
        groups: (n,) the patient or set of copies that each belongs to.
        blocks: (F,) by how much each feature counts; see `outside_nodes.weigh_features`.
        seed: seed of the choice of centres and of the division of groups into folds.
    """
    rng = np.random.default_rng(seed)
    share = _weigh(names, brain)
    projection, shift = _project(features, brain, share, blocks)
    points = features @ projection + shift
    drawn = [rng.permutation(np.flatnonzero(brain == one)) for one in (True, False)]
    chosen = np.concatenate([one[: CENTERS // 2] for one in drawn])
    centers = points[chosen]
    kernel, target = _compare(points, centers), np.where(brain, 1.0, -1.0) - PRIOR
    weights = _solve(*_sum_up(kernel, share, target), kernel[chosen])
    left_out = _answer_crosswise(kernel, chosen, share, target, _deal(groups, rng))
    limit = float(np.quantile(left_out[brain], 1 - QUANTILE))
    room = 1 - PRIOR - limit
    return OutsideFit(
        projection, shift, centers, (-weights / room).astype(np.float32), (1 - PRIOR) / room
    )


def measure_outside(features: Array, fit: OutsideFit) -> Array:
    """(n, F) -> (n,): 0 for a typical brain, 1 at the limit."""
    kernel = _compare(features @ fit.projection + fit.shift, fit.centers)
    return (kernel @ fit.weights + fit.offset).astype(np.float32)


def _weigh(names: Names, brain: Mask) -> Numbers:
    """(n,) weights, 1 on average, half of them on brains."""
    _, code, count = np.unique(names.astype(str), return_inverse=True, return_counts=True)
    share = 1 / np.sqrt(count[code])
    for one in (brain, ~brain):
        share[one] *= len(share) / 2 / share[one].sum()
    return np.asarray(share, np.float64)


def _project(features: Array, brain: Mask, share: Numbers, blocks: Array) -> tuple[Array, Array]:
    """To the components with the most variance; brains vary by 1 in each feature, weighed."""
    scale = blocks / (features[brain].std(axis=0) + 1e-6)
    center = features[brain].mean(axis=0)
    scaled = (features - center) * scale
    covariance = (scaled * share[:, None]).T @ scaled
    axes = np.linalg.eigh(covariance)[1][:, -COMPONENTS:]
    projection = (axes * scale[:, None]).astype(np.float32)
    return projection, (-center @ projection).astype(np.float32)


def _deal(groups: Names, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """(n,) number of the fold of each image's group."""
    names, code = np.unique(groups.astype(str), return_inverse=True)
    return np.asarray((rng.permutation(len(names)) % FOLDS)[code], np.intp)


def _compare(points: Array, centers: Array) -> Numbers:
    """(n, M) values of the kernel."""
    squares = (points**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1)
    distances = np.maximum(squares - 2 * points @ centers.T, 0)
    return np.asarray(np.exp(-distances.astype(np.float64)))


def _sum_up(kernel: Numbers, share: Numbers, target: Numbers) -> tuple[Numbers, Numbers]:
    """(M, M) and (M,): the two sides of the normal equations of weighed least squares."""
    weighed = kernel.T * share
    return weighed @ kernel, weighed @ target


def _solve(normal: Numbers, right: Numbers, own: Numbers) -> Numbers:
    """(M,) weights of the centres, whose kernel with each other is ``own``."""
    smooth = RIDGE * own + 1e-6 * np.eye(len(own))
    return np.asarray(np.linalg.solve(normal + smooth, right))


def _answer_crosswise(
    kernel: Numbers,
    chosen: npt.NDArray[np.intp],
    share: Numbers,
    target: Numbers,
    fold: npt.NDArray[np.intp],
) -> Numbers:
    """(n,) answer to each image by a fit without its fold of groups, its centres included."""
    normal, right = _sum_up(kernel, share, target)
    answers = np.zeros(len(kernel))
    for one in np.unique(fold):
        held, kept = fold == one, np.flatnonzero(fold[chosen] != one)
        own_normal, own_right = _sum_up(kernel[held], share[held], target[held])
        part = _solve(
            (normal - own_normal)[np.ix_(kept, kept)],
            (right - own_right)[kept],
            kernel[chosen[kept]][:, kept],
        )
        answers[held] = kernel[held][:, kept] @ part
    return answers
