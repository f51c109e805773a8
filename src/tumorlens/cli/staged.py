"""What a command line names as inputs and results, with files in the place of addresses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

import click

from tumorlens.cli import words
from tumorlens.errors import UsageError
from tumorlens.predicting.fetching import fetch_paths
from tumorlens.remote.addresses import is_address
from tumorlens.remote.staging import Staging, open_staging
from tumorlens.writing import end_as_interrupted

__all__ = ["fetch", "fetch_named", "stage"]

Run = Callable[..., int]


def stage(
    *,
    files: tuple[str, ...] = (),
    folders: tuple[str, ...] = (),
    records: str = "",
) -> Callable[[Run], Run]:
    """Open the staging of a run around its command, which gets it as its second argument.

    Options are handed on as files and folders of this machine; ``ctx.params`` keeps what was named.

    Args:
        files, folders: options that name results.
        records: the option that names the file of records, which ``resume`` goes on with.
    """

    def decorate(command: Run) -> Run:
        @wraps(command)
        def staged(ctx: click.Context, /, **options: Any) -> int:
            say = words.Voice(options["quiet"], options["verbose"]).say
            with _end_in_order(ctx.params.values()), open_staging(say) as staging:
                resume = options.get("resume", False)
                for name in filter(None, (records, *files)):
                    options[name] = staging.expect(
                        options[name], records=name == records, resume=resume
                    )
                for name in folders:
                    options[name] = staging.expect_folder(options[name])
                return command(ctx, staging, **options)

        return staged

    return decorate


def _end_in_order(named: Iterable[Any]) -> AbstractContextManager[None]:
    """Let what ends the process end the block as Ctrl-C does, where any address is named.

    So finished records are stored, and no copies of scans stay behind.
    """
    flat = (one for value in named for one in (value if isinstance(value, tuple) else (value,)))
    staged = any(isinstance(one, (str, Path)) and is_address(str(one)) for one in flat)
    return end_as_interrupted() if staged else nullcontext()


def fetch(staging: Staging, *values: Any) -> tuple[Any, ...]:
    """The same values, or tuples of values, with what was fetched in the place of addresses.

    Raises:
        InputError, UsageError: as `Staging.fetch_whole` raises them.
    """
    return tuple(_fetch(staging, value) for value in values)


def _fetch(staging: Staging, value: Any) -> Any:
    """The same value, or tuple of values, with what was fetched in the place of addresses."""
    if not isinstance(value, tuple):
        return None if value is None else staging.fetch_whole([value])[0]
    fetched = staging.fetch_whole(value)
    return tuple(
        Path(file) if isinstance(one, Path) else file
        for one, file in zip(value, fetched, strict=True)
    )


def fetch_named(staging: Staging, paths: tuple[str, ...], *, again: bool) -> Iterable[str]:
    """Files and folders of this machine in the place of addresses.

    Raises:
        UsageError: they are read ``again`` behind the run, by their names.
    """
    if again and staging.holds(map(staging.place, paths)):
        raise UsageError(
            "--dicom-out reads the scans again; copy them to this machine, and name them there"
        )
    staging.results.claim()
    return fetch_paths(staging, _each_path(paths) if "-" in paths else paths)


def _each_path(paths: Iterable[str]) -> Iterator[str]:
    """The named paths; ``-`` stands for a list on standard input."""
    for path in paths:
        if path == "-":
            lines = (line.rstrip("\r\n").removeprefix("\ufeff") for line in _open_stdin())
            yield from filter(None, lines)  # some editors put a byte order mark before a list
        else:
            yield path


def _open_stdin() -> IO[str]:
    """Standard input, in which a name may hold any bytes."""
    if sys.stdin is None:
        raise UsageError("-: standard input is closed; give it a list of paths, one a line")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    return sys.stdin
