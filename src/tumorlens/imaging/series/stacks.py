"""How a series is read: its slices as stacks, each in its own plane or cut into axial slices.

All of it is planned from headers, so that what is read slice by slice need not be held in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tumorlens.digits import say_count
from tumorlens.imaging.geometry import Grid, choose_axis
from tumorlens.imaging.series.clusters import DIRECTION, Layout, find_layouts, part_volumes
from tumorlens.imaging.series.places import Place

__all__ = ["Stack", "Volume", "may_be_filled", "plan_stacks", "tell_gaps"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_UNEVEN = 0.15  # of their distance: how far a slice of an even stack may lie from its place
_ASIDE = 0.5  # of a pixel: how far it may lie sideways
_UPRIGHT = 0.99  # cosine between the stack and the normal of its slices: about eight degrees
_LONGEST_GAP = 3  # slices missing side by side
_LARGEST_GAPS = 0.1  # of all slices
_SPARSE = 1.5  # of the slices: on more places than these no grid is told from chance
_FEW = 0.1  # of the slices of a series: so few of another plane are a localizer,
_MANY = 8  # if the others are so many

_UNEVENLY = "slices are missing or lie unevenly"
_TILTED = "its slices are shifted sideways against each other, as with a tilted gantry"
_AT_ONE_PLACE = "{} slices at the same place, in the order of their numbers"
_ALIKE = "nothing but their names tells files at one place apart: its volumes may be mixed"
_SCOUT = "one of {} planes in its series, as of a localizer"
_PARTED = "one of {} parts of its series, which differ in size, spacing or direction"
_UNTURNED = "no valid orientation in the files: plane and sides are unknown"
_UNPLACED = "the files state no positions: read in the order of their numbers, else of their names"
_AT_0 = "the files state the position 0 for all slices, which is none: read in the order of their "
_AT_0 += "numbers, else of their names"
_ONE_PLACE = (
    "the files state one position for all slices: their Slice Location is taken in its place"
)


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """An even grid of which a stack holds all slices or nearly all.

    Attributes:
        grid: of the whole, (slices, rows, columns) as displayed in the plane of the slices.
        shape: of the whole.
        slots: place of each slice along the first axis.
        through: axis across which the volume is cut; 0 leaves it in its own plane.
    """

    grid: Grid
    shape: tuple[int, int, int]
    slots: tuple[int, ...]
    through: int


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Slices of one size and orientation at places of their own.

    Attributes:
        members: their indices, in order of position.
        grids: (1, rows, columns) of each as stored; None where the file does not tell.
        plane: of the slices, where it is known.
        volume: what they make together, if axial slices are to be cut from it.
        notes: what was done or is doubtful, in a sentence each.
        positions: of each in mm along an axis that no file names, or None where it has none, in
            place of what the files say; None where that holds.
    """

    members: tuple[int, ...]
    grids: tuple[Grid | None, ...]
    plane: str | None
    volume: Volume | None
    notes: tuple[str, ...]
    positions: tuple[float | None, ...] | None = None


def plan_stacks(places: Sequence[Place], smallest_side: int) -> list[Stack]:
    """Stacks of a series in the order of reading.

    Args:
        places: of its slices.
        smallest_side: axial slices have at least so many rows and columns.
    """
    layouts = find_layouts(places)
    most = max((len(layout.members) for layout in layouts), default=0)
    stacks: list[Stack] = []
    for layout in layouts:
        odd = _tell_odd(layout, layouts, most)
        for stack in _plan_layout(layout, places, smallest_side):
            stacks.append(replace(stack, notes=(*stack.notes, *odd)))
    return stacks


def _plan_layout(layout: Layout, places: Sequence[Place], smallest_side: int) -> Iterator[Stack]:
    volumes = part_volumes(layout, [place.contents for place in places])
    if len(volumes) > 1 and max(map(len, volumes)) == 1:
        whole = _stack(layout, np.arange(len(layout.members)))
        yield replace(whole, notes=(_AT_ONE_PLACE.format(len(volumes)),))
        return
    own = {(places[i].rank, places[i].contents, places[i].origin) for i in layout.members}
    mixed = (_ALIKE,) if len(volumes) > 1 and len(own) < len(layout.members) else ()
    for volume in volumes:
        stack = _plan(layout, volume, smallest_side)
        told = (*_tell_volumes(len(volume), volumes), *mixed)
        yield replace(stack, notes=(*stack.notes, *told))


def may_be_filled(slots: Sequence[int]) -> bool:
    """Whether so few slices are missing that those between which they lie can stand for them."""
    gaps = [last - first - 1 for first, last in _find_gaps(slots)]
    whole = slots[-1] - slots[0] + 1
    return not gaps or (max(gaps) <= _LONGEST_GAP and sum(gaps) <= _LARGEST_GAPS * whole)


def tell_gaps(slots: Sequence[int], grid: Grid) -> str:
    """How many slices are missing, and where; empty if none is."""
    gaps = _find_gaps(slots)
    count = sum(last - first - 1 for first, last in gaps)
    if not count:
        return ""
    normal = np.cross(grid.cosines[:, 2], grid.cosines[:, 1])
    first, step = float(grid.origin @ normal), float(grid.steps[:, 0] @ normal)
    where = [f"between {first + a * step:.1f} and {first + b * step:.1f} mm" for a, b in gaps[:3]]
    where += ["elsewhere"] if len(gaps) > len(where) else []
    return f"{say_count(count, 'slice is', 'slices are')} missing {', '.join(where)}"


def _find_gaps(slots: Sequence[int]) -> list[tuple[int, int]]:
    """The slots before and behind each run of missing ones."""
    return [(low, high) for low, high in pairwise(slots) if high > low + 1]


def _tell_odd(layout: Layout, layouts: Sequence[Layout], most: int) -> tuple[str, ...]:
    """How slices lie beside the others of their series, if that is odd."""
    if most < _MANY:
        planes = {one.shown.plane for one in layouts if one.shown is not None}
        return (_SCOUT.format(len(planes)),) if len(planes) > 1 else ()
    if len(layout.members) > _FEW * most:
        parts = [one for one in layouts if len(one.members) > _FEW * most]
        return (_PARTED.format(len(parts)),) if len(parts) > 1 else ()
    if layout.shown is None or layout.positions is None:
        return (f"states less about its place than {most} slices of its series: read by itself",)
    usual = next(one for one in layouts if len(one.members) == most)
    if usual.shown is not None and _is_parallel(layout.shown.grid, usual.shown.grid):
        return (
            f"differs in size, spacing or colors from {most} slices of its series: read by itself",
        )
    return (
        f"seems to be a localizer: its orientation differs from the {most} slices of its series",
    )


def _is_parallel(one: Grid, other: Grid) -> bool:
    return bool(np.allclose(one.cosines[:, 1:], other.cosines[:, 1:], atol=DIRECTION))


def _tell_volumes(count: int, volumes: Sequence[Indices]) -> tuple[str, ...]:
    largest, total = max(map(len, volumes)), len(volumes)
    if total == 1:
        return ()
    if count <= _FEW * largest:
        return ("at the place of another slice of its series: read by itself",)
    return (f"one of {total} volumes at the same place in the series",)


def _stack(layout: Layout, chosen: Indices) -> Stack:
    plane = None if layout.shown is None else layout.shown.plane
    grids = tuple(layout.grids[index] for index in chosen)
    members = tuple(int(index) for index in layout.members[chosen])
    return Stack(members, grids, plane, None, (), _replace_positions(layout, chosen))


def _replace_positions(layout: Layout, chosen: Indices) -> tuple[float | None, ...] | None:
    """Of the chosen slices, where the files state one that is none."""
    if layout.measured or layout.origins is None:
        return None
    if layout.positions is None:
        return (None,) * len(chosen)
    return tuple(layout.positions[chosen].tolist())


def _plan(layout: Layout, chosen: Indices, smallest_side: int) -> Stack:
    stack = _stack(layout, chosen)
    if len(chosen) < 2:
        return stack
    if layout.shown is None or not layout.measured:
        return replace(stack, notes=_tell_unknown(layout))
    volume, doubt = _fit(layout, chosen, smallest_side)
    own = f"read in its own plane, {stack.plane}, not as axial slices"
    if doubt:
        return stack if volume.through == 0 else replace(stack, notes=(f"{doubt}: {own}",))
    missing = tell_gaps(volume.slots, volume.grid)
    if volume.through == 0:
        return replace(stack, notes=(missing,) if missing else ())
    if not may_be_filled(volume.slots):
        return replace(stack, notes=(f"{missing}: {own}",))
    return replace(stack, volume=volume)


def _tell_unknown(layout: Layout) -> tuple[str, ...]:
    """What the files do not say of how their slices lie."""
    if layout.shown is None:
        return (_UNTURNED,)
    if layout.origins is None:
        return (_UNPLACED,) if layout.positions is None else ()
    return (_AT_0 if layout.positions is None else _ONE_PLACE,)


def _fit(layout: Layout, chosen: Indices, smallest_side: int) -> tuple[Volume, str]:
    """The even grid nearest to the slices, and why it is not theirs, if it is not."""
    assert layout.origins is not None
    assert layout.positions is not None
    assert layout.shown is not None
    origins, gaps = layout.origins[chosen], np.diff(layout.positions[chosen])
    least = float(gaps.min())
    distances = (float(gaps.mean()), float(np.median(gaps)), least)
    fits = [_try(origins, gaps, distance, layout) for distance in distances]
    even = [fit for fit in fits if isinstance(fit, tuple)]
    if even:
        slots, grid = even[0]
    else:
        slots, grid = np.arange(len(chosen)), _stack_up(origins[0], least, layout)
    shape = (int(slots[-1]) + 1, *layout.shown.slices.shape[1:])
    through = choose_axis(shape, grid, smallest_side, acquired=0)
    doubt = "" if even else str(fits[0])
    return Volume(grid, shape, tuple(slots.tolist()), through), doubt


def _try(
    origins: Floats, gaps: Floats, distance: float, layout: Layout
) -> tuple[Indices, Grid] | str:
    """Slots of the slices on an even grid of about that distance, and the grid; or a doubt."""
    assert layout.shown is not None
    steps = np.rint(gaps / distance)
    if steps.min() < 1 or steps.sum() > _SPARSE * len(origins):
        return _UNEVENLY
    slots = np.concatenate(([0], np.cumsum(steps))).astype(np.intp)
    design = np.column_stack((np.ones(len(slots)), slots))
    (origin, step), *_ = np.linalg.lstsq(design, origins, rcond=None)
    normal, away = layout.shown.normal, origins - design @ np.stack((origin, step))
    through, apart = away @ normal, float(step @ normal)
    aside = np.linalg.norm(away - through[:, np.newaxis] * normal, axis=1)
    if np.abs(through).max() > _UNEVEN * apart or aside.max() > _ASIDE * layout.pixel:
        return _UNEVENLY
    if apart < _UPRIGHT * np.linalg.norm(step):
        return _TILTED
    return slots, Grid(origin, np.column_stack((step, layout.shown.grid.steps[:, 1:])))


def _stack_up(origin: Floats, distance: float, layout: Layout) -> Grid:
    """A grid of slices one above the other."""
    assert layout.shown is not None
    steps = (layout.shown.normal * distance, layout.shown.grid.steps[:, 1:])
    return Grid(origin, np.column_stack(steps))
