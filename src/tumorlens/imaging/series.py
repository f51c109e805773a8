"""Slices of one series: their order, and the volume they make together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.contrast import choose_evenly, measure_contrast, share_contrast
from tumorlens.imaging.geometry import THICK, Arranged, Grid, arrange, choose_axis
from tumorlens.imaging.limits import Limits
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.voxels import BLANK, NOT_FINITE, choose_window, is_blank

__all__ = ["Place", "Placed", "cut_series", "keep_visible", "order_places"]

_UNEVEN = "slices missing or uneven: read in their own plane"
_TOO_LARGE = "too large to turn: read in its own plane"


class Place(NamedTuple):
    """Where a slice stands in its series.

    Attributes:
        layout: what slices of one stack share: orientation and shape.
        position: along the normal, in mm, where known.
        number: Instance Number, or the index of a frame.
    """

    layout: tuple[float, ...]
    position: float | None
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A slice as displayed, and the grid of its pixels as (1, H, W) where the file tells."""

    slice: Slice
    grid: Grid | None


def order_places(places: Sequence[Place]) -> list[int]:
    """Indices in the order of reading: layout by layout, pass by pass, by position.

    A position that comes again (time points, echoes, diffusion directions) begins another pass
    over the volume, so that neighbours in the order are neighbours in the head.
    """
    passes: Counter[tuple[tuple[float, ...], float]] = Counter()
    layouts: dict[tuple[float, ...], int] = {}
    keys: dict[int, tuple[int, int, float, int]] = {}
    for index in sorted(range(len(places)), key=lambda i: places[i].number):
        layout, position, number = places[index]
        rank = layouts.setdefault(layout, len(layouts))
        if position is None:
            keys[index] = (rank, 0, 0.0, number)
            continue
        spot = (layout, round(position, 2))
        keys[index] = (rank, passes[spot], position, number)
        passes[spot] += 1
    return sorted(keys, key=keys.__getitem__)


def keep_visible(items: Iterable[Slice | InputError], path: str) -> Iterator[Slice | InputError]:
    """Leave out blank slices, of which skull-stripped volumes have many; all blank is an error.

    The last slice to be seen says how many were left out, for only then it is known.
    """
    held: list[Slice | InputError] = []  # the newest slice, and errors that came after it
    why, blank, count = InputError(path, BLANK), 0, 0
    for item in items:
        count += 1
        if isinstance(item, InputError):
            if item.reason == NOT_FINITE:
                why, blank = item, blank + 1
            else:
                held.append(item)
        elif is_blank(item.pixels):
            blank += 1
        else:
            yield from held
            held = [item]
    if blank and held and isinstance(held[0], Slice):
        held[0] = _annotate(held[0], f"{blank} of {count} slices are blank and left out")
    yield from held or (why,)


def cut_series(
    items: Iterable[Placed | InputError], path: str, count: int, limits: Limits
) -> Iterator[Slice | InputError]:
    """Slices of a series: axial ones where spacing allows, else as acquired, one at a time.

    Args:
        items: slices in order, as displayed in their own plane; bad ones as errors.
        path: how records name slices that are cut from the whole volume.
        count: how many items come.
        limits: a volume that does not fit stays in its own plane.
    """
    stream = iter(items)
    first = list(islice(stream, 2))
    whole = chain(first, stream)
    if not _is_thin(first):
        yield from share_contrast(map(_bare, whole))
    elif _volume_bytes(first, count) > limits.memory_bytes:
        yield from (_bare(item, _TOO_LARGE) for item in whole)
    else:
        yield from _turn(list(whole), path, limits)


def _is_thin(first: list[Placed | InputError]) -> bool:
    """Whether the first two slices promise a volume that can be shown as axial slices."""
    grids = [item.grid for item in first if isinstance(item, Placed) and item.grid is not None]
    if len(grids) < 2 or grids[0].patient_axes[0] == 2:
        return False
    gap = float(np.linalg.norm(grids[1].origin - grids[0].origin))
    return 0 < gap <= THICK * float(np.prod(grids[0].spacing[1:]) ** 0.5) * (1 + 1e-6)


def _volume_bytes(first: list[Placed | InputError], count: int) -> int:
    """Memory for the slices and the volume made of them."""
    return 2 * count * max(item.slice.pixels.nbytes for item in first if isinstance(item, Placed))


def _turn(
    items: list[Placed | InputError], path: str, limits: Limits
) -> Iterator[Slice | InputError]:
    """Axial slices of each stack; a stack with gaps stays as it is."""
    frame = 0
    yield from (item for item in items if isinstance(item, InputError))
    for stack in _split([item for item in items if isinstance(item, Placed)]):
        arranged = _stack(stack, limits)
        if arranged is None:
            yield from (_bare(item, _UNEVEN) for item in stack)
            continue
        notes = dict.fromkeys(note for item in stack for note in item.slice.info.notes)
        before = stack[0].slice.info.plane
        if arranged.plane != before:
            notes[f"cut anew as {arranged.plane} slices, from {len(stack)} {before} ones"] = None
        window = _share_window(stack, arranged)
        contrast = _share_contrast(arranged)
        for index, pixels in enumerate(arranged.slices):
            info = replace(
                stack[0].slice.info,
                path=path,
                frame=frame,
                position_mm=arranged.position_mm(index),
                spacing_mm=arranged.spacing_mm,
                plane=arranged.plane,
                sides_known=arranged.sides_known,
                window=window,
                notes=tuple(notes),
            )
            yield Slice(np.ascontiguousarray(pixels), info, contrast)
            frame += 1


def _share_contrast(arranged: Arranged) -> float | None:
    chosen = (arranged.slices[place] for place in choose_evenly(len(arranged.slices)))
    return measure_contrast(Slice(np.ascontiguousarray(one), SliceInfo("")) for one in chosen)


def _share_window(stack: list[Placed], arranged: Arranged) -> tuple[float, float] | None:
    """One window for the whole volume: some vendors store one for each slice as it was acquired."""
    windows = {item.slice.info.window for item in stack}
    return windows.pop() if len(windows) == 1 else choose_window(arranged.slices)


def _split(items: list[Placed]) -> Iterator[list[Placed]]:
    """Runs of rising position and equal shape."""
    stack: list[Placed] = []
    for item in items:
        if stack and not _follows(stack[-1].slice, item.slice):
            yield stack
            stack = []
        stack.append(item)
    if stack:
        yield stack


def _follows(before: Slice, after: Slice) -> bool:
    low, high = before.info.position_mm, after.info.position_mm
    if low is None or high is None or not high > low + 0.005:
        return False
    return before.pixels.shape == after.pixels.shape and before.info.plane == after.info.plane


def _stack(stack: list[Placed], limits: Limits) -> Arranged | None:
    """The stack as a volume cut for display; None if it makes no even one."""
    grid = _join_grids([item.grid for item in stack])
    if grid is None:
        return None
    shape = (len(stack), *stack[0].slice.pixels.shape)
    through = choose_axis(shape, grid, limits.smallest_side, acquired=0)
    return arrange(np.stack([item.slice.pixels for item in stack]), grid, through)


def _join_grids(grids: list[Grid | None]) -> Grid | None:
    known = [grid for grid in grids if grid is not None]
    if len(known) < max(2, len(grids)):
        return None
    in_plane = known[0].steps[:, 1:]
    gaps = np.diff([grid.origin for grid in known], axis=0)
    step = gaps.mean(axis=0)
    gap = float(np.linalg.norm(step))
    even = np.abs(gaps - step).max() <= 0.05 * gap
    equal = all(np.allclose(grid.steps[:, 1:], in_plane, atol=1e-3) for grid in known)
    # A tilted gantry shears the stack; turning it would shear the head.
    upright = abs(_unit(step) @ known[0].cosines[:, 0]) > 0.99
    if not (even and equal and upright):
        return None
    return Grid(known[0].origin, np.column_stack((step, in_plane)))


def _unit(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(vector / (np.linalg.norm(vector) or 1.0))


def _bare(item: Placed | InputError, note: str = "") -> Slice | InputError:
    if isinstance(item, InputError):
        return item
    return _annotate(item.slice, note) if note else item.slice


def _annotate(slice_: Slice, note: str) -> Slice:
    return replace(slice_, info=replace(slice_.info, notes=(*slice_.info.notes, note)))
