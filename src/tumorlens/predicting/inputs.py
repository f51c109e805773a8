"""`read`: the slices of anything readable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, overload

from tumorlens.arguments import check_arguments
from tumorlens.errors import InputError, UsageError
from tumorlens.imaging.files.limits import DEFAULT_LIMITS, Limits
from tumorlens.imaging.readers import find_inputs, read_input
from tumorlens.imaging.slices import Slice
from tumorlens.predicting.fetching import fetch_inputs

__all__ = ["read"]


@overload
def read(
    x: Any,
    *,
    on_error: Literal["raise"] = "raise",
    axes: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Slice]: ...


@overload
def read(
    x: Any,
    *,
    on_error: Literal["record"],
    axes: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Slice | InputError]: ...


@check_arguments()
def read(
    x: Any,
    *,
    on_error: Literal["raise", "record"] = "raise",
    axes: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Slice] | Iterator[Slice | InputError]:
    """The slices of an input, one after the other, as `tumorlens.predict` judges them.

    Nothing is read before it is asked for, and one slice is held at a time.

    Args:
        x: as `tumorlens.predict` takes it: a path (a file, a folder, a pattern), an object in
            memory, or a list or an iterator of these. Files that are no images are left out of a
            folder.
        on_error: ``"raise"`` an `InputError` for the first slice that cannot be read, or
            ``"record"`` it: the error stands in the place of the slice.
        axes: what the axes of arrays are; see `tumorlens.predict`.
        limits: what one file may cost.

    Returns:
        Slices, each (H, W) float32 with the values of the scanner.

    Raises:
        InputError: an input cannot be read, or holds no image.
        UsageError: an object of another kind, or ``axes`` do not fit an array.
    """
    if on_error not in ("raise", "record"):
        raise UsageError(f"on_error is 'raise' or 'record', got {on_error!r}")
    return _read(x, axes, limits, raises=on_error == "raise")


def _read(
    x: Any, axes: str | None, limits: Limits, *, raises: bool
) -> Iterator[Slice | InputError]:
    with fetch_inputs(x, limits) as near:
        for found in find_inputs(near, limits):
            for item in read_input(found, limits, axes):
                if raises and isinstance(item, InputError):
                    raise item
                yield item
