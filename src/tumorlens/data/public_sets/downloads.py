"""Downloads of public sets: read into a manifest, or fetched where a plain address exists."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from tumorlens.data.class_names import SKIP
from tumorlens.data.folders import read_folder
from tumorlens.data.public_sets.catalogue import SETS, Archive, PublicSet
from tumorlens.data.rows import Manifest, absolute_path
from tumorlens.errors import DataError, UsageError
from tumorlens.optional import load
from tumorlens.progress import Notice, stay_silent

__all__ = ["fetch_set", "find_set", "read_download"]


def find_set(name: str) -> PublicSet:
    """The public set of this name.

    Raises:
        UsageError: no such set; names those that there are.
    """
    if name not in SETS:
        raise UsageError(f"no public set is named {name!r}; known are {', '.join(SETS)}")
    return SETS[name]


def read_download(
    name: str, place: str | os.PathLike[str], *, notice: Notice = stay_silent
) -> Manifest:
    """Read a download of a public set, in the layout that it is published in.

    Args:
        name: a key of `SETS`.
        place: the folder that the download was unpacked to.
        notice: called with a sentence on hidden folders, which are left out.

    Raises:
        UsageError: no such set.
        DataError: its layout is not read, or ``place`` does not look like it.
    """
    known, folder = find_set(name), absolute_path(place)
    if not known.layout:
        raise DataError(f"{name}: a download of it is not read; {known.advice}")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected {name} as unpacked")
    words = dict(known.split_words)
    manifest = read_folder(
        _enter(folder), classes=dict.fromkeys(known.skipped, SKIP), notice=notice
    )
    rows = tuple(
        replace(row, source=name, group="", split=words.get(row.split, row.split))
        for row in manifest.rows
    )
    return Manifest(rows, name, folder)


def fetch_set(
    name: str,
    folder: str | os.PathLike[str],
    *,
    archives: Iterable[Archive] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Fetch the archives of a public set into a folder, each checked and whole or not there.

    A file that is there already and has the right hash is not fetched again.

    Args:
        name: a key of `SETS`.
        folder: is created if need be.
        archives: other addresses for the same, e.g. a mirror.
        progress: called with 1 for each file.

    Raises:
        UsageError: no such set, or it has no plain address.
        DataError: an address that does not answer, or a file with another hash.
        MissingExtra: pooch is not installed.
    """
    known = find_set(name)
    wanted = list(known.archives if archives is None else archives)
    if not wanted:
        raise UsageError(
            f"{name}: has no plain address; download it by hand from {known.home} "
            f"({known.terms}), then: tumorlens data add {name} FOLDER"
        )
    target = absolute_path(folder)
    files = []
    for archive in wanted:
        files.append(_fetch(archive, target))
        if progress is not None:
            progress(1)
    return files


def _fetch(archive: Archive, folder: Path) -> Path:
    pooch = load("pooch", "fetching a public set")
    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(
            pooch.retrieve(archive.address, f"sha256:{archive.sha256}", archive.name, folder)
        )
    except (OSError, ValueError) as error:  # requests' errors are OSErrors
        raise DataError(
            f"{archive.address}: cannot be fetched ({error}); "
            "try again, or download it by hand; nothing was kept"
        ) from None


def _enter(folder: Path) -> Path:
    """Archives often unpack to a folder in a folder: the first with more than one entry."""
    while True:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__"))]
        if len(entries) != 1 or not entries[0].is_dir():
            return folder
        folder = entries[0]
