"""Descriptors and fingerprints that a copy keeps: to find copies, and to know what was seen.

A *descriptor* is the head (or the whole frame) stretched to a square of 48 x 48, band-passed,
evened out (each spot divided by the contrast around it) and written as its 24 x 24 lowest
coefficients of the type-II cosine transform, of length 1. The dot product of two descriptors is
the correlation of two such thumbnails, and turning or mirroring a picture is a change of signs and
a transposition. Rescaling, recompression, brightness and contrast hardly change it.

A *fingerprint* is the signs of 256 coefficients of the descriptor: 32 bytes a picture. A model file
holds the fingerprint of each picture that it was trained on. benchmarks/fingerprints.py measures
how often the answer is right.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorlens.imaging.pixels.head import find_head, scale_values
from tumorlens.imaging.slices import Slice

__all__ = [
    "FINGERPRINT_BYTES",
    "ORIENTATIONS",
    "SEEN_LIMIT",
    "TERMS",
    "compare_fingerprint",
    "cosine_basis",
    "describe_frame",
    "describe_head",
    "fingerprint_descriptors",
    "fingerprint_slice",
    "is_seen",
    "turn_descriptors",
]

FINGERPRINT_BYTES = 32

SEEN_LIMIT = 48
"""Most differing bits of 256 between two fingerprints of one picture. Of slices of patients that
are not among 26,000 fingerprints, about 2 in 1,000 come as near to one of them."""

SIDE = 48
"""Side of the thumbnail, in pixels."""

TERMS = 24
"""Coefficients kept along each axis."""

_BAND = (3.5, 24.0)  # least and largest radius of a coefficient: half-waves across the head
_SPOT = 3.0  # thumbnail pixels: standard deviation of the spot that evens out the contrast
_QUIET = 0.3  # of the mean contrast, added so that empty spots stay empty
_DARK = 0.1  # of the range: below lies background

ORIENTATIONS = (
    "same",
    "mirrored",
    "upside-down",
    "turned 180",
    "transposed",
    "turned 90 counter-clockwise",
    "turned 90 clockwise",
    "anti-transposed",
)
"""How a copy may be turned or mirrored, in the order of `turn_descriptors`."""

Array = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]


def describe_head(slice_: Slice) -> Array:
    """Descriptor (24, 24) of the head that `prepare` would crop."""
    picture = Image.fromarray(scale_values(slice_))
    head = find_head(picture, version=1)
    return _describe(picture, head.box, head.dark, head.bright)


def describe_frame(slice_: Slice) -> Array:
    """Descriptor (24, 24) of the whole picture: it survives any change of contrast."""
    pixels = scale_values(slice_)
    dark, bright = np.percentile(pixels, (1, 99)).tolist()
    height, width = pixels.shape
    return _describe(Image.fromarray(pixels), (0, 0, width, height), dark, bright)


def turn_descriptors(descriptors: Array) -> Array:
    """The eight ways (axis 0, in the order of `ORIENTATIONS`) to lay (..., 24, 24) descriptors."""
    signs = np.where(np.arange(TERMS) % 2, -1, 1).astype(np.float32)
    upright = [descriptors, descriptors * signs, descriptors * signs[:, None]]
    upright.append(upright[1] * signs[:, None])
    flat = descriptors.swapaxes(-1, -2)
    lying = [flat, flat * signs[:, None], flat * signs, flat * signs * signs[:, None]]
    return np.stack([*upright, *lying])


def fingerprint_slice(slice_: Slice) -> bytes:
    """The fingerprint, `FINGERPRINT_BYTES` long."""
    return fingerprint_descriptors(describe_head(slice_)).tobytes()


def fingerprint_descriptors(descriptors: Array) -> npt.NDArray[np.uint8]:
    """Fingerprints (..., 32) of descriptors (..., 24, 24)."""
    return np.ascontiguousarray(np.packbits(descriptors[..., _SIGNED] > 0, axis=-1))


def compare_fingerprint(
    slice_: Slice, fingerprints: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """Differing bits between a slice and each of N fingerprints, as it fits best of eight ways.

    Args:
        slice_: the picture that is asked for.
        fingerprints: (N, 32) fingerprints.

    Returns:
        (N,) bits of 256; at most `SEEN_LIMIT` for a copy.
    """
    ways = fingerprint_descriptors(turn_descriptors(describe_head(slice_)))
    differing = ways.view(np.uint64)[:, None] ^ np.ascontiguousarray(fingerprints).view(np.uint64)
    return np.asarray(np.bitwise_count(differing).sum(-1, dtype=np.int64).min(0))


def is_seen(slice_: Slice, fingerprints: npt.NDArray[np.uint8]) -> bool:
    """Whether (N, 32) fingerprints hold the slice or a copy of it."""
    return bool(len(fingerprints)) and bool(
        (compare_fingerprint(slice_, fingerprints) <= SEEN_LIMIT).any()
    )


def cosine_basis(points: Array) -> Array:
    """The cosine transform's functions at ``points`` (0 to 1 across the picture): (..., 24)."""
    scale = np.full(TERMS, np.sqrt(2.0 / SIDE), np.float32)
    scale[0] /= np.sqrt(2.0)
    waves = np.pi * np.arange(TERMS, dtype=np.float32)
    return np.asarray(scale * np.cos(points[..., None] * waves), np.float32)


def _describe(picture: Image.Image, box: Box, dark: float, bright: float) -> Array:
    small: Array = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box))
    small = np.clip((small - dark) / max(bright - dark, 1e-6), 0, 1).astype(np.float32)
    passed = _BASIS @ _transform(small) @ _BASIS.T
    contrast = np.sqrt(_smooth(np.square(passed)))
    # The outline is the liveliest part of every head and alike in all of them: the dark side of
    # it is taken out, or a picture would resemble its own mirror image.
    inside = np.clip(_smooth((small > _DARK).astype(np.float32)), 0, 1) ** 2
    coefficients = _transform(passed / (contrast + _QUIET * contrast.mean() + 1e-6) * inside)
    length = float(np.linalg.norm(coefficients))
    return np.asarray(coefficients / max(length, 1e-6), np.float32)


@np.errstate(under="ignore")  # the program of a caller may let NumPy raise at it
def _smooth(thumbnail: Array) -> Array:
    return np.asarray(_SMOOTH @ thumbnail @ _SMOOTH.T)


def _transform(thumbnail: Array) -> Array:
    return np.asarray(_KEPT * (_BASIS.T @ thumbnail @ _BASIS))


@np.errstate(under="ignore")
def _smoothing() -> Array:
    """Gaussian smoothing as a matrix, normalised at the edges."""
    steps = np.arange(SIDE)
    weights = np.exp(-((steps[:, None] - steps) ** 2) / (2 * _SPOT**2))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


_BASIS = cosine_basis(((np.arange(SIDE) + 0.5) / SIDE).astype(np.float32))
_RADIUS = np.hypot(*np.mgrid[:TERMS, :TERMS])
_KEPT = ((_RADIUS >= _BAND[0]) & (_RADIUS <= _BAND[1])).astype(np.float32)  # noqa: SIM300
# 256 coefficients. Closed under transposition, as a fingerprint of a turned picture must be.
_SIGNED = (_RADIUS >= 4) & (_RADIUS <= 18)
_SMOOTH = _smoothing()
