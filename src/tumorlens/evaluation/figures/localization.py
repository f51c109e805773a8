"""The pointing game: does the strongest evidence lie on the lesion that a person drew?

After Zhang et al., Top-down neural attention by excitation backprop, 2016, with a
margin: a point hits a box if it lies inside, and a mask if it lies in it or within 15 pixels of it,
at 256 x 256.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import Edges, Row
from tumorlens.errors import DataError, InputError
from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.readers import read_mask
from tumorlens.imaging.slices import find_marked
from tumorlens.optional import load

__all__ = ["Lesion", "fill_hits", "read_lesion", "score_pointing"]

FloatArray = npt.NDArray[np.float64]

MARGIN = 15 / 256
"""Largest distance from a mask that counts as a hit, as a share of the longer side."""


@dataclass(frozen=True, eq=False)
class Lesion:
    """What a person drew on one slice: boxes, or else a mask.

    Attributes:
        boxes: in pixels of the slice, half-open.
        mask: (H, W) bool; None where there are boxes.
    """

    boxes: tuple[Edges, ...] = ()
    mask: npt.NDArray[np.bool_] | None = None

    def contains(self, points: FloatArray) -> npt.NDArray[np.bool_]:
        """(m,) whether each of (m, 2) points (x, y) hits the lesion."""
        x, y = points[:, :1], points[:, 1:]
        if self.mask is None:
            x0, y0, x1, y1 = np.array(self.boxes).T
            return np.asarray(((x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)).any(axis=1))
        distance = load("scipy.ndimage", "localization").distance_transform_edt(~self.mask)
        height, width = self.mask.shape
        column = np.clip(x[:, 0], 0, width - 1).astype(int)
        row = np.clip(y[:, 0], 0, height - 1).astype(int)
        return np.asarray(distance[row, column] <= MARGIN * max(height, width))


def read_lesion(
    row: Row, shape: tuple[int, int] | None = None, info: SliceInfo | None = None
) -> Lesion | None:
    """The lesion of a tumor slice; None where nothing is drawn.

    Args:
        row: row of the slice.
        shape: (H, W) of its picture, where that is known: a mask must have it.
        info: of its picture, where that is known: a mask must lie at its place.

    Raises:
        DataError: the mask cannot be read, is of another size or lies elsewhere; names both files.
    """
    if row.label != "tumor":
        return None
    if row.boxes:
        return Lesion(boxes=row.boxes)
    if row.mask is None:
        return None
    try:
        mask = find_marked(read_mask(row.mask, row.mask_frame, shape, info))
    except InputError as error:
        raise DataError(f"mask of {row.path}: {error}") from None
    return Lesion(mask=mask) if mask.any() else None


def score_pointing(
    row: Row, finding: Finding, shape: tuple[int, int] | None = None
) -> tuple[float, float, float]:
    """Whether the peak, the center of the head and the best cell hit: 1, 0, or NaN if unknown.

    The center is that of the prepared image: the middle of the head's bounding box.

    Raises:
        DataError: as `read_lesion`.
    """
    lesion = read_lesion(row, shape, finding.info)
    if lesion is None or finding.peak_xy is None:
        return np.nan, np.nan, np.nan
    points = [finding.peak_xy]
    if finding.to_pixels is None or finding.activation is None or finding.image_size is None:
        return float(lesion.contains(np.array(points))[0]), np.nan, np.nan
    size, (height, width) = finding.image_size, finding.activation.shape
    points.append((size / 2, size / 2))
    points += [
        ((column + 0.5) * size / width, (line + 0.5) * size / height)
        for line in range(height)
        for column in range(width)
    ]
    placed = np.array(points, np.float64)
    placed[1:] = placed[1:] @ finding.to_pixels[:, :2].T + finding.to_pixels[:, 2]
    hits = lesion.contains(placed)
    return float(hits[0]), float(hits[1]), float(hits[2:].any() or hits[0])


def fill_hits(
    rows: Sequence[Row],
    peaks: FloatArray,
    hits: FloatArray,
    *,
    progress: Callable[[int], None] = lambda count: None,
) -> tuple[FloatArray, list[DataError]]:
    """Fill in whether the peak hits the lesion, for rows that have a box or mask and no hit yet.

    Args:
        rows: n slices.
        peaks: (n, 2) pixels of the slice; NaN where unknown.
        hits: (n, 3) as in `Scores`.
        progress: called with the number of rows that were just looked at.

    Returns:
        Hits with the first column filled where a lesion is drawn (what center and grid would do
        needs the picture), and an error for each mask that cannot be read.
    """
    filled, failures = hits.copy(), []
    open_ = np.isnan(hits[:, 0]) & np.isfinite(peaks[:, 0])
    for index in np.flatnonzero(open_).tolist():
        try:
            lesion = read_lesion(rows[index])
        except DataError as error:
            failures.append(error)
            continue
        finally:
            progress(1)
        if lesion is not None:
            filled[index, 0] = float(lesion.contains(peaks[index : index + 1])[0])
    return filled, failures
