"""Groups of slices with one orientation, and their order: by tolerance, never by rounded numbers.

Numbers of one series differ in their last decimals. Rounded, two of them may fall on two sides of a
border, however little they differ; so all that is compared here is compared with a tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tumorlens.imaging.geometry import Arranged, Grid, arrange
from tumorlens.imaging.series.places import Contents, Place

__all__ = ["DIRECTION", "JITTER", "Layout", "find_layouts", "number_passes", "part_volumes"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

DIRECTION = 0.02
"""Cosines that differ by less belong to one orientation: about one degree."""

JITTER = 0.05
"""Of a pixel: nearer slices lie at one place, whatever the distance of slices."""

_SPACING = 0.01  # of the spacing: what differs by less is one
_PLACE = 0.2  # of a pixel, and
_GAP = 0.25  # of the usual distance: nearer slices lie at one place
_ALWAYS = ("frame_of_reference", "series", "kind", "echo_time", "b_value")
"""Contents that have one value in a volume."""
_IF_NEEDED = (
    *("time_point", "echo", "image_type", "gradient", "sequence_name", "inversion_time"),
    *("flip_angle", "acquisition", "trigger_time", "acquisition_time"),
)
"""Contents that may differ inside a volume: asked where slices share a place."""
_ALIKE = {"echo_time": 1e-2}
"""Share of the largest value by which those of one volume may differ. Some scanners state the echo
time that each slice really had; two echoes are further apart."""
_EQUAL = 1e-3  # of other contents
_WHOLE = 0.75  # of all places: a volume in which more slices are missing is told by no order
_APART = 4  # of the usual distance: stacks between which there is so much are no one volume


@dataclass(frozen=True, eq=False)
class Layout:
    """Slices of one size, orientation and spacing, in the order of their numbers.

    Attributes:
        members: their indices.
        grids: (1, rows, columns) of each as stored, with the directions that those stored alike
            share: what is displayed does not hang on their last decimals. None without a direction.
        origins: (n, 3) of their first pixels as displayed, in mm; None where a file does not say.
        positions: (n,) along the normal, in mm, or along an axis that no file names; None where
            not all slices have one.
        measured: the positions are those of ``origins``; else what ``origins`` says is no place.
        shown: one of them as displayed, for spacing and plane.
    """

    members: Indices
    grids: tuple[Grid | None, ...]
    origins: Floats | None
    positions: Floats | None
    measured: bool
    shown: Arranged | None

    @cached_property
    def pixel(self) -> float:
        """Shorter side of a pixel in mm; 1 where it is not known."""
        return float(self.shown.grid.spacing[1:].min()) if self.shown else 1.0


def find_layouts(places: Sequence[Place]) -> list[Layout]:
    """Layouts of a series, in the order of their first slices."""
    order = sorted(range(len(places)), key=lambda i: places[i].rank)
    stored = [np.array(order)[part] for part in _part(*_describe([places[i] for i in order]))]
    shown = [_show(places[part[0]]) for part in stored]
    alike = _part(*_describe_shown(places, stored, shown))
    return [_lay_out(places, [(stored[i], shown[i]) for i in one]) for one in alike]


def part_volumes(layout: Layout, contents: Sequence[Contents]) -> list[Indices]:
    """Volumes that a layout holds: of each, what `Layout.members` holds in order of position.

    A place that comes again (time points, echoes, directions of diffusion) is one of another
    volume. Where contents do not tell which, the numbers of the slices do.

    Args:
        layout: of one series.
        contents: of all slices of the series.
    """
    groups = [np.arange(len(layout.members))]
    if layout.positions is None:
        return groups
    told = [contents[index] for index in layout.members]
    for key in _ALWAYS:
        groups = [part for group in groups for part in _part_by(key, told, group)]
    groups = [part for group in groups for part in _part_stacks(told, group, layout)]
    for key in _IF_NEEDED:
        groups = [part for group in groups for part in _part_if_needed(key, told, group, layout)]
    return [volume for group in groups for volume in _count_passes(group, layout)]


def _part(features: Floats, tolerance: Floats) -> list[Indices]:
    """Rows of ``features`` that lie within ``tolerance`` of the first of theirs."""
    left, parts = np.arange(len(features)), []
    while left.size:
        near = (np.abs(features[left] - features[left[0]]) <= tolerance).all(axis=1)
        parts.append(left[near])
        left = left[~near]
    return parts


def _describe(places: Sequence[Place]) -> tuple[Floats, Floats]:
    """Shape, samples, what is known, directions and spacing of each; how far alike ones differ."""
    features = [
        (
            *place.shape,
            place.samples,
            place.directions is not None,
            place.origin is not None,
            place.location is not None,
            *(place.directions or (0.0,) * 6),
            *np.log(place.spacing or (1.0, 1.0)),
        )
        for place in places
    ]
    tolerance = [0.0] * 6 + [DIRECTION] * 6 + [_SPACING] * 2
    return np.array(features, np.float64), np.array(tolerance)


def _describe_shown(
    places: Sequence[Place], stored: Sequence[Indices], shown: Sequence[Arranged | None]
) -> tuple[Floats, Floats]:
    """The same of those stored alike, as displayed: some files of a series may be turned."""
    features = []
    for members, one in zip(stored, shown, strict=True):
        first = places[members[0]]
        known = (
            first.samples,
            one is not None,
            first.origin is not None,
            first.location is not None,
        )
        if one is None:
            features.append((*first.shape, *known, *(0.0,) * 6, *np.log(first.spacing or (1, 1))))
        else:
            cosines, spacing = one.grid.cosines[:, 1:], one.grid.spacing[1:]
            features.append((*one.slices.shape[1:], *known, *cosines.T.ravel(), *np.log(spacing)))
    tolerance = [0.0] * 6 + [DIRECTION] * 6 + [_SPACING] * 2
    return np.array(features, np.float64), np.array(tolerance)


def _show(place: Place) -> Arranged | None:
    grid = place.grid
    nothing = np.broadcast_to(np.uint8(0), (1, *place.shape))
    return None if grid is None else arrange(nothing, grid, 0)


def _lay_out(places: Sequence[Place], alike: Sequence[tuple[Indices, Arranged | None]]) -> Layout:
    members = np.concatenate([part for part, _ in alike])
    ranks = [places[i].rank for i in members]
    order = np.array(sorted(range(len(members)), key=ranks.__getitem__))
    grids = [grid for part, shown in alike for grid in _share(places, part, shown)]
    origins = _find_origins(places, alike)
    shown = alike[0][1]
    origins = None if origins is None else origins[order]
    members = members[order]
    measured = None if origins is None or shown is None else origins @ shown.normal
    stated = _locate(places, members)
    use = measured is not None and not _lie_nowhere([places[i] for i in members], measured, stated)
    return Layout(
        members,
        tuple(grids[i] for i in order),
        origins,
        measured if use else stated,
        use,
        shown,
    )


def _share(places: Sequence[Place], part: Indices, shown: Arranged | None) -> Iterator[Grid | None]:
    """Grids of slices stored alike, with the directions of the first."""
    first = places[part[0]].grid
    for index in part:
        origin = np.array(places[index].origin or (0.0, 0.0, 0.0))
        yield None if first is None or shown is None else Grid(origin, first.steps)


def _find_origins(
    places: Sequence[Place], alike: Sequence[tuple[Indices, Arranged | None]]
) -> Floats | None:
    """Of the first pixels as displayed."""
    parts = []
    for part, shown in alike:
        stored = [places[index].origin for index in part]
        first = places[part[0]].grid
        if shown is None or first is None or None in stored:
            return None
        parts.append(np.array(stored, np.float64) + (shown.grid.origin - first.origin))
    return np.concatenate(parts)


def _locate(places: Sequence[Place], members: Indices) -> Floats | None:
    stated = [places[index].location for index in members]
    several_at_0 = len(stated) > 1 and set(stated) == {0.0}
    return None if None in stated or several_at_0 else np.array(stated, np.float64)


def _lie_nowhere(places: Sequence[Place], measured: Floats, stated: Floats | None) -> bool:
    """Whether several slices have one position that is none: 0, as anonymisers write in place of
    any, or one where Slice Location has several."""
    if len(places) < 2 or np.ptp(measured) >= JITTER:
        return False
    at_0 = {place.origin for place in places} == {(0.0, 0.0, 0.0)}
    return at_0 or (stated is not None and bool(np.ptp(stated) > JITTER))


def _part_by(key: str, contents: Sequence[Contents], group: Indices) -> list[Indices]:
    """Parts of several slices each by what one volume has one of; else the group itself."""
    parts = _part_alike(key, contents, group)
    return parts if min(map(len, parts)) > 1 else [group]


def _part_stacks(contents: Sequence[Contents], group: Indices, layout: Layout) -> list[Indices]:
    """Stacks of an enhanced object; as one where they lie one behind the other."""
    assert layout.positions is not None
    gaps = np.diff(np.sort(layout.positions[group]))
    if gaps.size and gaps.max() > _APART * np.median(gaps):
        return _part_by("stack", contents, group)
    return _part_if_needed("stack", contents, group, layout)


def _part_if_needed(
    key: str, contents: Sequence[Contents], group: Indices, layout: Layout
) -> list[Indices]:
    """Parts where slices share a place and no part is left with as many of them."""
    most = _most_at_one_place(group, layout)
    if most == 1:
        return [group]
    parts = _part_alike(key, contents, group)
    fewer = max(_most_at_one_place(part, layout) for part in parts) < most
    return parts if len(parts) <= most and fewer else [group]


def _part_alike(key: str, contents: Sequence[Contents], group: Indices) -> list[Indices]:
    values = [getattr(contents[index], key) for index in group]
    if None in values:
        return [group]
    if isinstance(values[0], str):
        names = {value: number for number, value in enumerate(dict.fromkeys(values))}
        parts = _part(np.array([[float(names[value])] for value in values]), np.zeros(1))
    else:
        numbers = np.array(values, np.float64)[:, np.newaxis]
        share = _ALIKE.get(key, _EQUAL)
        parts = _part(numbers, np.array([share * np.abs(numbers).max() + _EQUAL]))
    return [group[part] for part in parts]


def _number_places(positions: Floats, pixel: float) -> Indices:
    """(n,) Which place each position is at, counted from the lowest."""
    order = np.argsort(positions, kind="stable")
    gaps = np.diff(positions[order])
    real = gaps[gaps > JITTER * pixel]
    usual = float(np.median(real)) if real.size else 0.0
    tolerance = max(JITTER * pixel, min(_GAP * usual, _PLACE * pixel))
    places = np.empty(len(positions), np.intp)
    places[order] = np.concatenate(([0], np.cumsum(gaps > tolerance)))
    return places


def _most_at_one_place(group: Indices, layout: Layout) -> int:
    assert layout.positions is not None
    return int(np.bincount(_number_places(layout.positions[group], layout.pixel)).max())


def _count_passes(group: Indices, layout: Layout) -> Iterator[Indices]:
    """Passes over the places of a group, each in order of position."""
    assert layout.positions is not None
    places = _number_places(layout.positions[group], layout.pixel)
    turns = number_passes(places)
    for turn in range(int(turns.max()) + 1):
        chosen = np.flatnonzero(turns == turn)
        yield group[chosen[np.argsort(places[chosen], kind="stable")]]


def number_passes(places: Indices) -> Indices:
    """Which pass over the places each slice is of, both counted from 0.

    Where volume follows volume, a pass ends where the places fall (or rise), or where one comes
    again: so a slice that one volume lacks is taken from no other. Else the slices at each place
    are counted.

    Args:
        places: of slices in the order in which they were taken or read.
    """
    most = np.bincount(places).max()
    for ends in (places[1:] <= places[:-1], places[1:] >= places[:-1], _come_again(places)):
        runs = np.concatenate(([0], np.cumsum(ends)))
        sizes = np.bincount(runs)
        if len(sizes) == most and sizes.min() >= _WHOLE * (places.max() + 1):
            return runs
    return _count_turns(places)


def _come_again(places: Indices) -> npt.NDArray[np.bool_]:
    """Whether each place but the first came already since the last one of which that is true."""
    again, met = [], {int(places[0])}
    for place in places[1:].tolist():
        again.append(place in met)
        if again[-1]:
            met = set()
        met.add(place)
    return np.array(again, np.bool_)


def _count_turns(places: Indices) -> Indices:
    """Which of the slices at its place each one is, as where volumes were taken in turns."""
    seen = np.zeros(places.max() + 1, np.intp)
    turns = np.empty(len(places), np.intp)
    for index, place in enumerate(places):
        turns[index] = seen[place]
        seen[place] += 1
    return turns
