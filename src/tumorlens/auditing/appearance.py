"""What a prepared image shows: its plane, whether it is upside-down, a CT, or no head.

Two small classifiers use traits that a person can check. A network with one hidden layer predicts
the *view* from a 16 x 16 thumbnail and nineteen traits of rim and inside. A linear classifier finds
a *CT* by nine of these traits: bone makes the rim of the head white, a narrow window makes its
inside flat, and there is no dark ring of skull between them, as there is under the bright scalp of
an MRI.
benchmarks/audit_views.py fits both, measures them over groups and sources apart, and writes
``views.npz``; docs/how-to/audit.md has what it measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from tumorlens.optional import load

__all__ = [
    "CERTAIN",
    "CONFIDENT",
    "CT_TRAITS",
    "PLANES",
    "VIEWS",
    "Appearance",
    "describe_views",
    "look_at",
]

PLANES = ("axial", "coronal", "sagittal")
VIEWS = (*PLANES, *(f"{plane}, upside-down" for plane in PLANES), "other")
"""What a picture may show, in the order of the classifier's outputs."""

CONFIDENT = 0.7
"""Smallest probability at which an image is called no head: hardly any head reaches it."""

CERTAIN = 0.98
"""Chance from which plane, way up and CT are told: of most sets nearly all are right, few wrong."""

CT_TRAITS = (6, 7, 8, 10, 11, 12, 14, 15, 18)
"""Numbers of the traits that find a CT: rim, rim against inside, how flat that is, fill, ring."""

_SIDE = 32
_SHARES = (5, 25, 50, 75, 95)
_HEAD = 0.12  # of the range: what is not background
_LEAST = 30  # pixels of a part that can be measured

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Appearance:
    """Probabilities of what an image shows, each from 0 to 1.

    Attributes:
        views: one for each of `VIEWS`; they add up to 1.
        ct: probability of a CT, given that the image shows a head.
    """

    views: tuple[float, ...]
    ct: float

    @property
    def plane(self) -> str:
        """The plane if it is certain, else an empty text."""
        chances = [self.views[n] + self.views[n + 3] for n in range(3)]
        best = int(np.argmax(chances))
        return PLANES[best] if chances[best] > CERTAIN else ""

    @property
    def upside_down(self) -> bool:
        """Whether the front, or the top, of the head is certainly at the bottom."""
        return sum(self.views[3:6]) > CERTAIN

    @property
    def no_head(self) -> bool:
        """Whether it is certainly none of the views."""
        return self.views[6] > CONFIDENT

    @property
    def is_ct(self) -> bool:
        """Whether it is certainly a CT of the head."""
        return self.ct > CERTAIN and not self.no_head


def look_at(image: Array) -> Appearance:
    """Say what a prepared picture shows.

    Args:
        image: (S, S) of `prepare`, S a multiple of 32.

    Raises:
        MissingExtra: SciPy is not installed.
    """
    known = _read_views()
    inputs = describe_views(np.stack([image, image[:, ::-1]]))
    scaled = (inputs - known["center"]) / known["scale"]
    hidden = np.maximum(scaled @ known["first"] + known["first_bias"], 0)
    scores = hidden @ known["second"] + known["second_bias"]
    chances = np.exp(scores - scores.max(1, keepdims=True))
    chances = (chances / chances.sum(1, keepdims=True)).mean(0)  # a mirrored head is as likely
    rim = inputs[0, -_TRAITS:][list(CT_TRAITS)]
    bone = 1 / (1 + np.exp(-float(rim @ known["ct"] + known["ct_bias"])))
    return Appearance(tuple(chances.tolist()), bone)


def describe_views(images: Array) -> Array:
    """(N, 275) features of (N, S, S) prepared images, for the classifiers."""
    n, side = images.shape[:2]
    step = side // _SIDE
    small = images.reshape(n, _SIDE, step, _SIDE, step).mean((2, 4))
    coarse = small.reshape(n, _SIDE // 2, 2, _SIDE // 2, 2).mean((2, 4)).reshape(n, -1)
    coarse = coarse - coarse.mean(1, keepdims=True)
    coarse = coarse / (coarse.std(1, keepdims=True) + 1e-6)
    return np.column_stack([coarse, [_measure_rim(one) for one in small]]).astype(np.float32)


_TRAITS = 19
_RING = range(2, 6)  # depths, in pixels of a thumbnail, at which the skull lies


def _measure_rim(image: Array) -> list[float]:
    """Traits of the head's rim and inside, on a (32, 32) thumbnail."""
    ndimage = load("scipy.ndimage", "looking at pictures")
    head = ndimage.binary_fill_holes(image > _HEAD)
    if head.sum() < _LEAST:
        head = np.ones_like(head)
    depth = ndimage.distance_transform_edt(np.pad(head, 1))[1:-1, 1:-1]
    rim = image[(depth > 0) & (depth <= 3)]
    inside = image[depth > 4] if (depth > 4).sum() > _LEAST else image[head]
    steps = np.abs(np.diff(image, axis=0))[:, 1:] + np.abs(np.diff(image, axis=1))[1:]
    deep = depth[1:, 1:] > 5
    flatness = float(steps[deep].mean() if deep.sum() > _LEAST else steps.mean())
    q5, q25, q50, q75, q95 = np.percentile(inside, _SHARES).tolist()
    rim50, rim75, rim90 = np.percentile(rim, (50, 75, 90)).tolist()
    return [
        *(q5, q25, q50, q75, q95, rim50, rim75, rim90),
        *(rim90 - q50, rim75 / (q50 + 0.05), q95 - q5, q75 - q25),
        *(flatness, flatness / (q50 + 0.05), float(inside.std()), float(head.mean())),
        *(float(rim.std()), float((inside > 0.9).mean())),
        _measure_ring(image, depth),
    ]


def _measure_ring(image: Array, depth: Array) -> float:
    """How much darker than the inside the darkest ring under the rim is; over 0 for bone."""
    deep = depth > _RING.stop
    if deep.sum() < _LEAST:
        return 0.0
    rings = [image[(depth > low) & (depth <= low + 1)] for low in _RING]
    return float(min(np.median(one) for one in rings) - np.median(image[deep]))


@cache
def _read_views() -> dict[str, Array]:
    with files("tumorlens.auditing").joinpath("views.npz").open("rb") as stream:
        known = np.load(stream, allow_pickle=False)
        return {name: np.asarray(known[name], np.float32) for name in known.files}
