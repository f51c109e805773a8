"""Measures whether one image is a copy of another: aligns them, then correlates them.

Two copies seldom share their crop to the pixel, and a shift of two per cent halves the correlation
of fine detail. So the second picture is moved and stretched, along each axis, to where it fits
the first best: Gauss-Newton steps on the summed squared difference (Lucas and Kanade, IJCAI 1981,
with a free gain), from coarse to fine. Descriptors are cosine series, so the moved picture and its
slopes are exact sums at any point, and nothing is interpolated.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tumorlens.imaging.pixels.fingerprint import TERMS, cosine_basis

__all__ = ["correlate_aligned"]

Array = npt.NDArray[np.float32]

_GRID = 40  # points along each axis at which two pictures are compared
_STAGES = ((6.0, 3), (11.0, 3), (24.0, 3))  # radius that still counts, and steps
_LARGEST = 0.3  # of the picture's side: stretch and shift that a copy may have
_STEP = 0.06
_RIM = 0.05  # of the side, left out: a crop changes what the band-pass gives near its edge


def correlate_aligned(first: Array, second: Array, stretch: Array | None = None) -> Array:
    """Correlation of P pairs of aligned images, where they overlap.

    Args:
        first, second: descriptors (P, 24, 24).
        stretch: (P,) first guess of how much larger the first picture's part of the head is,
            less one; 0 by default.
    """
    moves = np.zeros((len(first), 2, 2), np.float32)  # axis (x, y); stretch, shift
    if stretch is not None:
        moves[:, :, 0] = stretch[:, None]
    for radius, steps in _STAGES:
        soft = np.exp(-((_RADIUS / radius) ** 2)) if radius < TERMS else 1.0
        coarse, fixed = second * soft, _render(first * soft, *_BASES)
        for _ in range(steps):
            moves = _step(fixed, coarse, moves)
    moved, weight = _move(second, moves)[0], _overlap(moves)
    return _correlate(_render(first, *_BASES), moved, weight)


def _render(descriptors: Array, rows: Array, columns: Array) -> Array:
    return np.asarray(rows @ descriptors @ columns.swapaxes(-1, -2))


def _move(descriptors: Array, moves: Array) -> tuple[Array, Array, Array]:
    """The moved pictures (P, n, n), and their slopes along x and y."""
    points = _moved_points(moves)
    (columns, rows), (d_columns, d_rows) = (
        np.moveaxis(basis, 1, 0) for basis in (cosine_basis(points), _slopes(points))
    )
    return (
        _render(descriptors, rows, columns),
        _render(descriptors, rows, d_columns),
        _render(descriptors, d_rows, columns),
    )


def _moved_points(moves: Array) -> Array:
    """(P, 2, n): where each grid point of the first picture lies in the second."""
    return np.asarray(0.5 + (1 + moves[..., :1]) * (_POINTS - 0.5) + moves[..., 1:])


def _overlap(moves: Array) -> Array:
    """(P, n, n): 1 where a point lies well inside both pictures."""
    points = _moved_points(moves)
    inside = (_is_inner(points) & _is_inner(_POINTS)).astype(np.float32)
    return np.asarray(inside[:, 1, :, None] * inside[:, 0, None, :])


def _is_inner(points: Array) -> npt.NDArray[np.bool_]:
    return np.asarray((points >= _RIM) & (points <= 1 - _RIM))


def _step(fixed: Array, descriptors: Array, moves: Array) -> Array:
    moved, slope_x, slope_y = _move(descriptors, moves)
    weight = _overlap(moves)
    centred, others = _centre(fixed, weight), _centre(moved, weight)
    gain = (centred * others).sum((1, 2)) / ((others**2).sum((1, 2)) + 1e-9)
    gain = np.clip(gain, 0.3, 3.0)[:, None, None]
    across, down = _POINTS - 0.5, (_POINTS - 0.5)[:, None]
    slopes = np.stack([slope_x * across, slope_x, slope_y * down, slope_y], 1)
    slopes = (slopes * (gain * weight)[:, None]).reshape(len(moves), 4, -1)
    residual = (centred - gain * others).reshape(len(moves), -1, 1)
    normal = slopes @ slopes.swapaxes(1, 2)
    damping = 1e-3 * np.trace(normal, axis1=1, axis2=2) / 4 + 1e-9
    normal += damping[:, None, None] * np.eye(4, dtype=np.float32)
    change = np.linalg.solve(normal, slopes @ residual).reshape(moves.shape)
    return np.asarray(np.clip(moves + np.clip(change, -_STEP, _STEP), -_LARGEST, _LARGEST))


def _centre(pictures: Array, weight: Array) -> Array:
    mean = (pictures * weight).sum((1, 2)) / np.maximum(weight.sum((1, 2)), 1.0)
    return np.asarray((pictures - mean[:, None, None]) * weight)


def _correlate(first: Array, second: Array, weight: Array) -> Array:
    a, b = _centre(first, weight), _centre(second, weight)
    lengths = np.sqrt((a * a).sum((1, 2)) * (b * b).sum((1, 2)))
    return np.asarray((a * b).sum((1, 2)) / np.maximum(lengths, 1e-9))


def _slopes(points: Array) -> Array:
    """Derivative of `cosine_basis` by the point."""
    waves = np.pi * np.arange(TERMS, dtype=np.float32)
    turned = cosine_basis(np.zeros(1, np.float32))[0]  # the scale of each function
    return np.asarray(-turned * waves * np.sin(points[..., None] * waves), np.float32)


_POINTS: Array = ((np.arange(_GRID) + 0.5) / _GRID).astype(np.float32)
_BASES = (cosine_basis(_POINTS), cosine_basis(_POINTS))
_RADIUS = np.hypot(*np.mgrid[:TERMS, :TERMS]).astype(np.float32)
