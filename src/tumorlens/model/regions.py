"""Where the evidence lies: from the cells of a network to points and boxes of the slice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tumorlens.finding import Box
from tumorlens.logits import to_logit

__all__ = ["find_boxes", "find_peak"]

Array = npt.NDArray[np.float32]
Affine = npt.NDArray[np.float64]


def find_peak(
    activation: Array, to_pixels: Affine, *, size: int, shape: tuple[int, ...]
) -> tuple[float, float]:
    """Where the activation is strongest, in pixels of the slice.

    It lies in the strongest cell: at the top of the parabola through the log-odds of this cell and
    its two neighbours, along each axis. At the border of the grid it is the middle of the cell.

    Args:
        activation: (h, w), evidence of each cell, 0 to 1.
        to_pixels: (2, 3), from the prepared image to pixels of the slice.
        size: side of the prepared image.
        shape: (H, W) of the slice, into which the point is clipped.
    """
    height, width = activation.shape
    row, column = divmod(int(activation.argmax()), width)
    right = column + 0.5 + _find_top(activation[row], column)
    down = row + 0.5 + _find_top(activation[:, column], row)
    x, y = to_pixels @ (right * size / width, down * size / height, 1.0)
    # A pixel covers [i, i + 1), so the last point of the slice lies just below its width.
    return min(max(float(x), 0.0), shape[1] - 0.5), min(max(float(y), 0.0), shape[0] - 0.5)


def _find_top(line: Array, at: int) -> float:
    """From the strongest cell of a line to the top between its neighbours, in cells."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, here, after = to_logit(line[at - 1 : at + 2]).tolist()
    curvature = before - 2 * here + after
    return (before - after) / 2 / curvature if curvature < 0 else 0.0


def find_boxes(
    activation: Array, threshold: float, to_pixels: Affine, *, size: int, shape: tuple[int, ...]
) -> tuple[Box, ...]:
    """Connected regions (eight neighbours) of cells at or over ``threshold``, strongest first.

    Args:
        activation: (h, w), evidence of each cell, 0 to 1.
        threshold: the card's ``cell_threshold``.
        to_pixels: (2, 3), from the prepared image to pixels of the slice.
        size: side of the prepared image.
        shape: (H, W) of the slice; boxes are clipped to it, and dropped if nothing is left.
    """
    if activation.max() < threshold:
        return ()
    cell = np.array([size / activation.shape[1], size / activation.shape[0]])
    boxes = []
    for places in _regions(activation >= threshold):
        rows, columns = zip(*places, strict=True)
        corners = np.array([[min(columns), min(rows)], [max(columns) + 1, max(rows) + 1]])
        placed = (corners * cell) @ to_pixels[:, :2].T + to_pixels[:, 2]
        (x0, y0), (x1, y1) = np.clip(np.sort(placed, axis=0), 0, (shape[1], shape[0])).tolist()
        if x1 > x0 and y1 > y0:
            boxes.append(Box(x0, y0, x1, y1, min(1.0, float(activation[rows, columns].max()))))
    return tuple(sorted(boxes, key=lambda box: -box.score))


def _regions(mask: npt.NDArray[np.bool_]) -> Iterator[list[tuple[int, int]]]:
    """Row and column of each cell of each connected region.

    Grids are small: a walk over plain numbers beats any labelling of arrays. An empty column at the
    right keeps the end of a row and the start of the next apart.
    """
    width = mask.shape[1] + 1
    rows, columns = np.nonzero(mask)
    left = dict.fromkeys((rows * width + columns).tolist())
    around = (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1)
    while left:
        region = [next(iter(left))]
        del left[region[0]]
        for place in region:
            for step in around:
                if place + step in left:
                    del left[place + step]
                    region.append(place + step)
        yield [divmod(place, width) for place in region]
