"""Evidence of displayed slices, laid back on the frames as they are stored.

A displayed slice is a stored frame that was turned, or it was cut from the volume of the stored
frames. Either way each of its pixels is a stored one, so that nothing is resampled here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.geometry import arrange
from tumorlens.imaging.series.places import Place
from tumorlens.integration.dicom.stored_frames import SourceSeries, StoredFrame

__all__ = ["lay_evidence", "to_stored"]

Plane = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Planes = Mapping[tuple[str, int], Plane]
"""Evidence, 0 to 255, of displayed slices by (path, frame) of their records."""


def lay_evidence(findings: Sequence[Finding], planes: Planes, source: SourceSeries) -> Plane:
    """Evidence of each stored frame.

    Args:
        findings: of the slices of one series.
        planes: of these slices; one that is missing counts as 0.
        source: their stored frames, of one size.

    Returns:
        (frames, rows, columns) uint8, in the order of ``source.frames``.

    Raises:
        ValueError: slices do not say where they lie in the volume that they were cut from.
    """
    rows, columns = source.frames[0].place.shape
    laid = np.zeros((len(source.frames), rows, columns), np.uint8)
    numbers = {one.key: number for number, one in enumerate(source.frames)}
    cut: list[SliceInfo] = []
    for info in (one.info for one in findings if one.error is None):
        plane = planes.get(info.place())
        stored = _turned(info)
        if stored is None:
            cut.append(info)
        elif plane is not None:
            number = numbers[stored]
            laid[number] = _turn_back(plane, source.frames[number].place)
    if cut:
        _lay_cut(cut, planes, source.frames, laid)
    return laid


def to_stored(place: Place, x: float, y: float) -> tuple[float, float]:
    """(column, row) in a stored frame of a point (x, y) of the slice that shows it as a whole.

    Both count pixels from the corner: pixel i covers [i, i + 1), as SCOORD does (PS3.3, C.18.6).
    """
    index, found = _index(place), [0.0, 0.0]
    rows, columns = place.shape
    for value, neighbour in ((x, index[0, 1]), (y, index[1, 0])):
        step = int(neighbour - index[0, 0])
        axis, size = (0, columns) if abs(step) == 1 else (1, rows)
        found[axis] = value if step > 0 else size - value
    return found[0], found[1]


def _turned(info: SliceInfo) -> tuple[str, int] | None:
    """(path, frame) of the stored frame that a slice shows as a whole; None if it was cut."""
    if not info.files:
        return info.place()
    stored = {(one.path, one.frame) for one in info.files}
    return stored.pop() if len(info.files) == 1 else None


def _index(place: Place) -> npt.NDArray[np.intp]:
    """(H, W) as displayed: which stored pixel each displayed one is; as the reader turns it."""
    index = np.arange(place.shape[0] * place.shape[1]).reshape(1, *place.shape)
    grid = place.grid
    return np.asarray(index[0] if grid is None else arrange(index, grid, 0).slices[0])


def _turn_back(plane: Plane, place: Place) -> Plane:
    stored = np.zeros(place.shape[0] * place.shape[1], np.uint8)
    stored[_index(place).ravel()] = plane.ravel()
    return stored.reshape(place.shape)


def _lay_cut(
    cut: Sequence[SliceInfo], planes: Planes, frames: Sequence[StoredFrame], laid: Plane
) -> None:
    """Fill stored frames from the slices that were cut from their volume."""
    volume, origin, steps = _stack(cut, planes)
    to_voxels = np.linalg.inv(steps)
    for number, frame in enumerate(frames):
        place = frame.place
        assert place.origin is not None and place.directions is not None and place.spacing
        along_row, down_column = np.array(place.directions).reshape(2, 3)
        first = to_voxels @ (np.array(place.origin) - origin)
        right = to_voxels @ (along_row * place.spacing[1])
        down = to_voxels @ (down_column * place.spacing[0])
        laid[number] |= _sample(volume, first, down, right, place.shape)


def _stack(cut: Sequence[SliceInfo], planes: Planes) -> tuple[Plane, Floats, Floats]:
    """The slices as a volume, where its first voxel lies, and the steps of its axes as columns."""
    low, high = (pick(cut, key=lambda one: one.frame) for pick in (min, max))
    if low.lps_mm is None or high.lps_mm is None or low.frame == high.frame:
        raise ValueError("its slices do not say where they lie")
    first, column, row = (np.array(one) for one in low.lps_mm)
    through = (np.array(high.lps_mm[0]) - first) / (high.frame - low.frame)
    known = {one.frame: planes[key] for one in cut if (key := (one.path, one.frame)) in planes}
    if not known:
        raise ValueError("no evidence of its slices was kept")
    shape = next(iter(known.values())).shape
    volume = np.zeros((high.frame - low.frame + 1, *shape), np.uint8)
    for number, plane in known.items():
        volume[number - low.frame] = plane
    return volume, first, np.stack((through, row, column), axis=1)


def _sample(
    volume: Plane, first: Floats, down: Floats, right: Floats, shape: tuple[int, int]
) -> Plane:
    """Voxels of a plane through the volume, nearest ones; 0 outside."""
    rows = np.arange(shape[0])[:, np.newaxis]
    columns = np.arange(shape[1])[np.newaxis, :]
    places = [
        np.rint(first[axis] + rows * down[axis] + columns * right[axis]).astype(np.intp)
        for axis in range(3)
    ]
    inside = np.ones(shape, bool)
    for place, size in zip(places, volume.shape, strict=True):
        inside &= (place >= 0) & (place < size)
    clipped = [np.clip(one, 0, size - 1) for one, size in zip(places, volume.shape, strict=True)]
    return np.where(inside, volume[tuple(clipped)], 0).astype(np.uint8)
