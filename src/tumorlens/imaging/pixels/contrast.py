"""The range of intensities that is typical of a series, from a few of its slices."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import ldexp

import numpy as np
from PIL import Image

from tumorlens.errors import InputError
from tumorlens.imaging.pixels.head import (
    PREPROCESS_VERSIONS,
    find_exponent,
    find_head,
    scale_values,
)
from tumorlens.imaging.slices import Slice

__all__ = ["SAMPLED", "choose_evenly", "measure_contrast", "share_contrast", "typical_contrast"]

_ROOM = 256 * 2**20  # bytes of pixels

SAMPLED = 9
"""Slices of a series that are measured; more slices do not change the result."""


def choose_evenly(count: int) -> list[int]:
    """Places of at most `SAMPLED` of ``count`` slices, spread evenly, the ends left out."""
    number = min(count, SAMPLED)
    return [int((place + 0.5) * count / number) for place in range(number)]


def typical_contrast(contrasts: Iterable[float]) -> float | None:
    """The third quartile: caps and empty ends are dim, and a few slices are too bright.

    Args:
        contrasts: range of intensities of each slice, as `Prepared.contrast` gives it.

    Returns:
        None where there is no slice.
    """
    ordered = np.sort(np.fromiter(contrasts, np.float64))
    return float(ordered[int(0.75 * (ordered.size - 1))]) if ordered.size else None


def measure_contrast(slices: Iterable[Slice]) -> float | None:
    """The typical range of intensities of a series, from slices of it.

    Args:
        slices: as `choose_evenly` picks them.
    """
    return typical_contrast(map(_measure, slices))


def share_contrast(items: Iterable[Slice | InputError]) -> Iterator[Slice | InputError]:
    """Slices of a series, each with the typical range of intensities of the series.

    The slices are held back until all are read, or until they fill `_ROOM`: of a longer series the
    first part tells. A slice alone is no series.

    Args:
        items: in the order of the series; errors pass.
    """
    stream = iter(items)
    held, size = deque[Slice | InputError](), 0
    for item in stream:
        held.append(item)
        size += item.pixels.nbytes if isinstance(item, Slice) else 0
        if size > _ROOM:
            break
    slices = [item for item in held if isinstance(item, Slice)]
    several = len(slices) > 1
    contrast = measure_contrast(slices[i] for i in choose_evenly(len(slices))) if several else None
    del slices
    while held:
        yield _tell(held.popleft(), contrast)
    yield from (_tell(item, contrast) for item in stream)


def _tell(item: Slice | InputError, contrast: float | None) -> Slice | InputError:
    return item if isinstance(item, InputError) else replace(item, contrast=contrast)


def _measure(slice_: Slice) -> float:
    exponent = find_exponent(slice_)
    picture = Image.fromarray(scale_values(slice_))
    head = find_head(picture, version=max(PREPROCESS_VERSIONS))
    return ldexp(head.bright - head.dark, exponent)
