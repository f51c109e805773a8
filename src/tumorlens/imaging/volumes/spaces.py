"""Where the voxels of a volume lie: which of the orientations that a header states is used.

A header may state several, and any of them may be senseless: all zero, not finite, flat. The first
that makes sense is used; without one the order of the voxels is kept and no side is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tumorlens.imaging.geometry import Grid

__all__ = [
    "METRES",
    "MICROMETRES",
    "MILLIMETRES",
    "RAS_TO_LPS",
    "Space",
    "doubt_signs",
    "find_space",
    "tell_missing",
]

METRES, MILLIMETRES, MICROMETRES = "metres", "millimetres", "micrometres"

RAS_TO_LPS = np.array([[-1.0], [-1.0], [1.0]])
"""Signs that turn NIfTI's patient system, x to the right and y to the front, into DICOM's."""

_UNSTATED = "the header states no orientation: left and right unknown"
_NEGATIVE = "voxel sizes are negative: their sign is ignored, and left and right are not sure"
_OTHER_SIZES = "the {0} gives voxels of {1}, the sizes give {2}: the sizes are used"
_ODD_UNIT = "voxel sizes are stated in {}, in which they suit no head: mm are assumed"
_SKEWED = "its axes are not at right angles: shown as if they were"
_SQUARE = 0.14  # cosine between two axes: 8 degrees from a right angle
_SAME_DIRECTION = 0.5  # cosine between an axis of two orientations: 60 degrees
_SAME_SIZE = 1.3  # ratio of two sizes of a voxel; affines to a standard head stretch by less
_FARTHEST = 1e5  # mm from the scanner's centre: what lies beyond is no position
_VOXELS = (0.05, 30.0)  # mm: sizes of a voxel of a head
_FACTORS = {METRES: 1e3, "centimetres": 10.0, "inches": 25.4, MICROMETRES: 1e-3, "nanometres": 1e-6}
"""Unit -> by how much a length in it becomes one in mm."""
_UNSAID = (METRES, MICROMETRES)  # units that lengths may be in without a word

Affine = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Where the voxels of a volume lie.

    Attributes:
        grid: places of the voxels.
        used: name of the orientation that is used; None if none makes sense.
        sure: whether left and right are known beyond doubt.
        notes: what was doubtful or mended, a sentence each.
    """

    grid: Grid
    used: str | None
    sure: bool
    notes: tuple[str, ...]


def find_space(
    stated: Mapping[str, Affine],
    sizes: Affine,
    shape: tuple[int, ...],
    order: Affine,
    unit: str = MILLIMETRES,
) -> Space:
    """The first orientation that makes sense and, if one does, agrees with the sizes.

    Args:
        stated: name -> (3, 4) from voxels to LPS, the most trusted first.
        sizes: (3,) between voxels as the header states them apart from that; not finite, zero or
            negative where it does not.
        shape: (X, Y, Z); along a single voxel no size is missed.
        order: (3, 3) directions of the axes in LPS that the format takes where none makes sense.
        unit: of all lengths, as the header says it; ``""`` if it says none.
    """
    usable = {name: affine for name, affine in stated.items() if _spans_space(affine[:, :3])}
    if not usable:
        factor, units = _find_factor(sizes[_are_sizes(sizes)], unit)
        known = np.where(_are_sizes(sizes), sizes * factor, 1.0)
        grid, missing = Grid(np.zeros(3), order * known), tell_missing(sizes, shape)
        return Space(grid, None, False, (_tell_loss(stated), *missing, *units))
    agreeing = [name for name in usable if _agrees(usable[name], sizes, shape)]
    used = next(iter(agreeing or usable))
    affine = usable[used]
    steps, notes = affine[:, :3], [*_tell_lost(stated, usable, used)]
    if not agreeing:
        lengths = np.linalg.norm(steps, axis=0)
        known = np.where(np.array(shape) > 1, sizes, lengths)
        notes.append(_OTHER_SIZES.format(used, _name_size(lengths), _name_size(known)))
        steps = steps / lengths * known
    factor, units = _find_factor(np.linalg.norm(steps, axis=0), unit)
    origin, misplaced = _find_origin(affine[:, 3] * factor)
    contradiction = _contradict(usable, used)
    notes += [*misplaced, *contradiction, *([_SKEWED] if _is_skewed(steps) else []), *units]
    return Space(Grid(origin, steps * factor), used, not contradiction, tuple(notes))


def tell_missing(sizes: Affine, shape: tuple[int, ...]) -> tuple[str, ...]:
    """A note on sizes that are not stated, for which 1 mm is taken."""
    known = _are_sizes(sizes)
    missed = [str(axis + 1) for axis in range(3) if not known[axis] and shape[axis] > 1]
    return (f"no voxel size along axis {', '.join(missed)}: 1 mm is assumed",) if missed else ()


def _find_factor(lengths: Affine, unit: str) -> tuple[float, tuple[str, ...]]:
    """What makes millimetres of lengths, and a note on it. Programs often state a wrong unit, or
    none."""
    if unit == MILLIMETRES or not lengths.size or (not unit and _suit_a_head(lengths, 1.0)):
        return 1.0, ()
    for name in [unit] if unit in _FACTORS else _UNSAID if not unit else ():
        if _suit_a_head(lengths, _FACTORS[name]):
            said = "are stated" if unit else "make sense"
            return _FACTORS[name], (f"voxel sizes {said} in {name}: converted to mm",)
    return 1.0, (_ODD_UNIT.format(unit),) if unit else ()


def _suit_a_head(lengths: Affine, factor: float) -> bool:
    """Whether lengths may be those of a voxel of a head."""
    return bool(_VOXELS[0] <= lengths.min() * factor and lengths.max() * factor <= _VOXELS[1])


def doubt_signs(space: Space, sizes: Affine) -> Space:
    """The space, with a note where sizes are negative: some programs say so that it is mirrored.

    Args:
        space: made of their absolute values; no format knows negative ones.
        sizes: as the header states them.
    """
    if not (sizes < 0).any():
        return space
    return replace(space, sure=False, notes=(*space.notes, _NEGATIVE))


def _spans_space(steps: Affine) -> bool:
    try:
        Grid(np.zeros(3), np.asarray(steps, np.float64))
    except ValueError:
        return False
    return True


def _are_sizes(sizes: Affine) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(sizes) & (sizes > 0))


def _agrees(affine: Affine, sizes: Affine, shape: tuple[int, ...]) -> bool:
    """Whether the steps are as long as the sizes stated apart from them, which ITK and FSL take.

    Sizes of 1 mm throughout are what programs write that know none; an axis of one voxel has none.
    """
    several = np.array(shape) > 1
    sizes, lengths = sizes[several], np.linalg.norm(affine[:, :3], axis=0)[several]
    if not _are_sizes(sizes).all() or (sizes == 1).all():
        return True
    return bool(np.abs(np.log(sizes / lengths)).max() <= np.log(_SAME_SIZE))


def _tell_loss(stated: Mapping[str, Affine]) -> str:
    if not stated:
        return _UNSTATED
    verb = "makes" if len(stated) == 1 else "make"
    return f"the {' and the '.join(stated)} {verb} no sense: left and right unknown"


def _tell_lost(
    stated: Mapping[str, Affine], usable: Mapping[str, Affine], used: str
) -> Iterator[str]:
    """Notes on what would have been used before ``used``."""
    for name in list(stated)[: list(stated).index(used)]:
        fault = "has other voxel sizes than the header" if name in usable else "makes no sense"
        yield f"the {name} {fault}: the {used} is used"


def _name_size(sizes: Affine) -> str:
    return " x ".join(f"{size:.3g}" for size in sizes.tolist()) + " mm"


def _is_skewed(steps: Affine) -> bool:
    cosines = steps / np.linalg.norm(steps, axis=0)
    return bool(np.abs(cosines.T @ cosines - np.eye(3)).max() > _SQUARE)


def _find_origin(origin: Affine) -> tuple[Affine, tuple[str, ...]]:
    if np.isfinite(origin).all() and np.abs(origin).max() <= _FARTHEST:
        return origin, ()
    return np.zeros(3), ("the place of the first voxel makes no sense: positions count from it",)


def _contradict(usable: Mapping[str, Affine], used: str) -> tuple[str, ...]:
    if len(usable) < 2:
        return ()
    (first, a), (second, b) = list(usable.items())[:2]
    cosines = [affine[:, :3] / np.linalg.norm(affine[:, :3], axis=0) for affine in (a, b)]
    if ((cosines[0] * cosines[1]).sum(axis=0) >= _SAME_DIRECTION).all():
        return ()
    return (f"{first} and {second} disagree: the {used} is used, left and right are not sure",)
