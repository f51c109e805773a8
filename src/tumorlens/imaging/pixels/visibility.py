"""Blank slices are left out of what a reader gives, and it is said how many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tumorlens.errors import InputError
from tumorlens.imaging.pixels.voxels import BLANK, NOT_FINITE, is_blank
from tumorlens.imaging.slices import Slice

__all__ = ["keep_visible"]


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
        verb = "is" if blank == 1 else "are"
        held[0] = _annotate(held[0], f"{blank} of {count} slices {verb} blank and left out")
    yield from held or (why,)


def _annotate(slice_: Slice, note: str) -> Slice:
    return replace(slice_, info=replace(slice_.info, notes=(*slice_.info.notes, note)))
