"""Where the evidence lies: from the cells of a network to points and boxes of the slice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tumorlens.finding import Box

__all__ = ["find_boxes", "find_peak"]

Array = npt.NDArray[np.float32]
Affine = npt.NDArray[np.float64]


def find_peak(
    activation: Array, to_pixels: Affine, *, size: int, shape: tuple[int, ...]
) -> tuple[float, float]:
    """Centre of the strongest cell, in pixels of the slice.

    Args:
        activation: (h, w), evidence of each cell.
        to_pixels: (2, 3), from the prepared image to pixels of the slice.
        size: side of the prepared image.
        shape: (H, W) of the slice, into which the point is clipped.
    """
    height, width = activation.shape
    row, column = divmod(int(activation.argmax()), width)
    x, y = to_pixels @ ((column + 0.5) * size / width, (row + 0.5) * size / height, 1.0)
    # A pixel covers [i, i + 1), so the last point of the slice lies just below its width.
    return min(max(float(x), 0.0), shape[1] - 0.5), min(max(float(y), 0.0), shape[0] - 0.5)


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
