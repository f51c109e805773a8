"""Inputs that lie in object stores: fetched before a run, and named by their addresses in it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorlens.errors import InputError
from tumorlens.imaging.files.limits import Limits
from tumorlens.imaging.files.stored_files import Found, Source, rename_found
from tumorlens.imaging.readers import find_inputs
from tumorlens.remote.staging import Staging, open_staging

if TYPE_CHECKING:
    from tumorlens.predicting.options import RunOptions

__all__ = ["expect_results", "fetch_inputs", "fetch_paths", "name_addresses"]


@contextmanager
def fetch_inputs(x: Any, limits: Limits) -> Iterator[Any]:
    """``x``, or what `find_inputs` gives of it where it names addresses.

    What was fetched is there until the block ends.

    Args:
        x: an input, or a list or an iterator of inputs, as `tumorlens.predict` takes it.
        limits: what one file may cost.

    Raises:
        InputError, UsageError: an address cannot be read.
        MissingExtra: the library of its store is not installed.
    """
    with open_staging() as staging:
        near: Any = x
        if isinstance(x, (str, os.PathLike)):
            (near,) = staging.fetch([x])
        elif isinstance(x, (list, tuple)):
            near = _fetch_listed(staging, x)
        elif isinstance(x, Iterator) and not isinstance(x, io.IOBase):
            near = _fetch_each(staging, x)
        if staging.is_used or isinstance(near, Iterator):
            yield name_addresses(staging, find_inputs(near, limits))
        else:
            yield near


def fetch_paths(staging: Staging, paths: Iterable[str]) -> Iterable[str]:
    """Files and folders in the place of addresses; those of an iterator are fetched as they come.

    Raises:
        InputError, UsageError: as `Staging.fetch` raises them.
    """
    return staging.fetch_each(paths) if isinstance(paths, Iterator) else staging.fetch(paths)


def expect_results(
    staging: Staging, output: Path, options: RunOptions, *, resume: bool
) -> tuple[Path, RunOptions]:
    """The file of the records, and options with files of this machine in the place of addresses.

    Args:
        staging: of the run.
        output: file of the records.
        options: with the other results.
        resume: fetch the records that are there.

    Raises:
        InputError, UsageError: as `Staging.expect` raises them.
    """
    file = staging.expect(output, records=True, resume=resume)
    assert file is not None
    return file, replace(
        options,
        heatmaps=staging.expect_folder(options.heatmaps),
        activation_volume=staging.expect_folder(options.activation_volume),
        report=staging.expect(options.report),
    )


def name_addresses(staging: Staging, found: Iterable[Any]) -> Iterator[Any]:
    """What was found among staged files, by their addresses; and what could not be fetched, once.

    Args:
        staging: of the run.
        found: sources, what is skipped, and errors.
    """
    told: set[str] = set()
    for one in found:
        for fault in staging.take_faults():
            told.add(fault.path)
            yield fault
        named = rename_found(staging.show, one) if isinstance(one, Found) else one
        if not _is_told(named, told):
            yield named
    yield from staging.take_faults()


def _is_told(found: Any, told: set[str]) -> bool:
    if isinstance(found, Source):  # the path of a series is a folder, which an object may equal
        return bool(found.parts) and all(part.path in told for part in found.parts)
    return isinstance(found, InputError) and found.path in told


def _is_path(x: Any) -> bool:
    return isinstance(x, (str, os.PathLike))


def _fetch_listed(staging: Staging, inputs: Iterable[Any]) -> list[Any]:
    listed = list(inputs)
    files = iter(staging.fetch(filter(_is_path, listed)))
    return [next(files) if _is_path(one) else one for one in listed]


def _fetch_each(staging: Staging, inputs: Iterator[Any]) -> Iterator[Any]:
    for one in inputs:
        if _is_path(one):
            yield from staging.fetch_each([one])
        else:
            yield one
