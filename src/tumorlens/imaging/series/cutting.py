"""Stacks become slices: as stored, one at a time, or cut from the volume that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count, pairwise

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo, StoredSlice
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.geometry import Arranged, Grid, arrange
from tumorlens.imaging.pixels.contrast import choose_evenly, measure_contrast, share_contrast
from tumorlens.imaging.pixels.voxels import choose_window
from tumorlens.imaging.series.stacks import Stack, Volume, may_be_filled, tell_gaps
from tumorlens.imaging.slices import Slice

__all__ = ["Load", "read_stacks"]

Load = Callable[[int, Grid | None], Slice | InputError | None]
"""Reads a slice by its index and turns it for display by its grid. None where nothing is left to
say: the file that it lies in has had its error."""

_TOO_LARGE = "too large to be cut into axial slices: read in its own plane"


def read_stacks(
    stacks: Sequence[Stack], load: Load, path: str, limits: Limits
) -> Iterator[Slice | InputError]:
    """Slices of a series, stack by stack; bad ones as errors.

    Args:
        stacks: as planned.
        load: reads one slice.
        path: names slices that are cut from a volume: the folder or the file of the series.
        limits: a volume that does not fit stays in its own plane.
    """
    numbers = count() if any(stack.volume for stack in stacks) else None
    for stack in stacks:
        items = _read_stack(stack, load, path, limits)
        yield from items if numbers is None else _number(items, path, numbers)


def _number(
    items: Iterator[Slice | InputError], path: str, numbers: Iterator[int]
) -> Iterator[Slice | InputError]:
    """Count the slices that one path names: some are its frames, some are cut from them."""
    for item in items:
        if isinstance(item, InputError) or item.info.path != path:
            yield item
            continue
        info = item.info
        if not info.files:
            info = replace(info, files=(_store(info),), files_along="rows")
        yield replace(item, info=replace(info, frame=next(numbers)))


def _read_stack(
    stack: Stack, load: Load, path: str, limits: Limits
) -> Iterator[Slice | InputError]:
    if stack.volume is None:
        yield from _read_as_stored(stack, load)
    elif 2 * 4 * int(np.prod(stack.volume.shape)) > limits.memory_bytes:
        yield from _read_as_stored(stack, load, _TOO_LARGE)
    else:
        yield from _cut(stack, stack.volume, load, path)


def _read_as_stored(stack: Stack, load: Load, *notes: str) -> Iterator[Slice | InputError]:
    yield from share_contrast(_load(stack, load, notes))


def _load(stack: Stack, load: Load, notes: Sequence[str]) -> Iterator[Slice | InputError]:
    for number, (index, grid) in enumerate(zip(stack.members, stack.grids, strict=True)):
        item = load(index, grid)
        if isinstance(item, Slice):
            placed = item if stack.positions is None else _move(item, stack.positions[number])
            yield _add(placed, *stack.notes, *notes)
        elif item is not None:
            yield item


def _cut(stack: Stack, volume: Volume, load: Load, path: str) -> Iterator[Slice | InputError]:
    """Axial slices; what cannot be read is filled in, unless too much is missing."""
    loaded: dict[int, Slice] = {}
    for index, grid, slot in zip(stack.members, stack.grids, volume.slots, strict=True):
        item = load(index, grid)
        if isinstance(item, InputError):
            yield item
        elif item is not None:
            loaded[slot] = item
    missing = tell_gaps(list(loaded), volume.grid) if loaded else ""
    if len(loaded) < 2 or not may_be_filled(list(loaded)):
        own = f"{missing or 'too few slices'}: read in its own plane, {stack.plane}, not as axial"
        yield from share_contrast(_add(item, *stack.notes, own) for item in loaded.values())
        return
    first = min(loaded)
    grid = Grid(volume.grid.origin + first * volume.grid.steps[:, 0], volume.grid.steps)
    arranged = arrange(_fill(loaded), grid, volume.through)
    told = f"cut anew as {arranged.plane} slices, from {len(loaded)} {stack.plane} ones"
    filled = (f"{missing}: filled in from the slices beside",) if missing else ()
    info = _join_infos([item.info for item in loaded.values()], told, *filled, *stack.notes)
    if info.window is None:
        info = replace(info, window=choose_window(arranged.slices))
    yield from _show(arranged, replace(info, path=path), _trace(loaded, grid, volume.through))


def _fill(loaded: dict[int, Slice]) -> npt.NDArray[np.float32]:
    """The volume from the first slice to the last; missing ones lie evenly between the others."""
    first, last = min(loaded), max(loaded)
    shape = next(iter(loaded.values())).pixels.shape
    volume = np.empty((last - first + 1, *shape), np.float32)
    for slot, item in loaded.items():
        volume[slot - first] = item.pixels
    for low, high in pairwise(sorted(loaded)):
        for slot in range(low + 1, high):
            share = np.float32((slot - low) / (high - low))
            below, above = loaded[low].pixels, loaded[high].pixels
            volume[slot - first] = (1 - share) * below + share * above
    return volume


def _trace(loaded: dict[int, Slice], grid: Grid, through: int) -> SliceInfo:
    """Which stored slice each column or row lies in, as ``files`` and ``files_along``."""
    slots = np.arange(min(loaded), max(loaded) + 1)
    shape = (len(slots), *next(iter(loaded.values())).pixels.shape)
    known = np.array(list(loaded))
    nearest = known[np.abs(slots[:, np.newaxis] - known).argmin(axis=1)]
    lying = np.broadcast_to(nearest[:, np.newaxis, np.newaxis], shape)
    shown = arrange(lying, grid, through).slices[0]
    along_columns = bool((shown[0, 0] != shown[0]).any())
    line = shown[0] if along_columns else shown[:, 0]
    stored = {slot: _store(item.info) for slot, item in loaded.items()}
    files = tuple(stored[int(slot)] for slot in line)
    return SliceInfo("", files=files, files_along="columns" if along_columns else "rows")


def _show(arranged: Arranged, info: SliceInfo, traced: SliceInfo) -> Iterator[Slice]:
    contrast = _share_contrast(arranged)
    for index, pixels in enumerate(arranged.slices):
        own = replace(
            info,
            frame=index,
            position_mm=arranged.position_mm(index),
            lps_mm=arranged.lps_mm(index),
            spacing_mm=arranged.spacing_mm,
            plane=arranged.plane,
            sides_known=arranged.sides_known,
            files=traced.files,
            files_along=traced.files_along,
        )
        yield Slice(np.ascontiguousarray(pixels), own, contrast)


def _share_contrast(arranged: Arranged) -> float | None:
    chosen = (arranged.slices[place] for place in choose_evenly(len(arranged.slices)))
    return measure_contrast(Slice(np.ascontiguousarray(one), SliceInfo("")) for one in chosen)


def _join_infos(infos: Sequence[SliceInfo], *notes: str) -> SliceInfo:
    """What holds for all of them; no window, where some vendors store one for each slice."""
    windows = {info.window for info in infos}
    told = dict.fromkeys((*(note for info in infos for note in info.notes), *notes))
    return replace(
        infos[0],
        window=infos[0].window if len(windows) == 1 else None,
        sequence=next((info.sequence for info in infos if info.sequence), None),
        notes=tuple(told),
        instance_number=None,
    )


def _store(info: SliceInfo) -> StoredSlice:
    return StoredSlice(info.path, info.frame, info.instance_number)


def _move(item: Slice, position: float | None) -> Slice:
    """The slice at another position, on an axis of which nobody knows where it lies."""
    return replace(item, info=replace(item.info, position_mm=position, lps_mm=None))


def _add(item: Slice, *notes: str) -> Slice:
    return replace(item, info=replace(item.info, notes=(*item.info.notes, *notes)))
