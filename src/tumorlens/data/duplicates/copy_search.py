"""Finds copies of images, also if they were turned, cropped, resized or changed in contrast.

Each picture is described twice, by its head and by its whole frame (`imaging.fingerprint`). A
nearest-neighbour index holds the coarse part of both. Each picture asks it in eight orientations
and three inner crops; its best candidates are aligned and correlated in full. Cost and memory a
picture stay the same however many there are; nothing loops over all pairs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tumorlens.data.class_names import find_original
from tumorlens.data.duplicates.alignment import correlate_aligned
from tumorlens.data.duplicates.candidates import (
    BLOCK,
    STRETCHES,
    VIEWS,
    Candidates,
    Search,
    are_bare,
    cut_blocks,
    lay_pairs,
    take_best,
)
from tumorlens.data.duplicates.chains import Chains
from tumorlens.data.rows import Manifest, Row
from tumorlens.errors import DataError, InputError
from tumorlens.imaging.pixels.fingerprint import ORIENTATIONS, TERMS, describe_frame, describe_head
from tumorlens.imaging.readers import iterate_slices, read_slice
from tumorlens.imaging.slices import Slice
from tumorlens.optional import load

__all__ = [
    "COPY_CORRELATION",
    "Copies",
    "CopyPair",
    "group_manifest",
    "original_key",
    "search_copies",
]

COPY_CORRELATION = 0.9
"""Least correlation of aligned thumbnails that counts as a copy; benchmarks/copies_quality.py.

Close slices of one patient may reach it, which does no harm to groups. So do different heads that
were warped onto one template: raise ``threshold`` to 0.96 for such sets. Heads that show hardly any
detail, and whole frames, must agree more."""

Progress = Callable[[int], None]
"""Called with the number of images that were done since the last call."""

SliceOrFile = Slice | str | os.PathLike[str] | tuple[str | os.PathLike[str], int]

Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

_ALIKE = np.array([[0.0, 0.97], [0.94, 0.99]])
"""Least correlation of two heads and of two whole frames, which are not aligned: of those that show
detail, and of bare ones."""


@dataclass(frozen=True, slots=True)
class CopyPair:
    """Two pictures that were found to be copies.

    Attributes:
        first, second: their numbers, in the order in which the pictures were given.
        correlation: of the aligned thumbnails, up to 1.
        orientation: orientation of the second relative to the first; one of `ORIENTATIONS`.
    """

    first: int
    second: int
    correlation: float
    orientation: str


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """The copies among N images.

    Attributes:
        clusters: (N,) cluster of each picture, numbered from 0 in order of appearance; copies,
            and copies of copies, share one.
        pairs: evidence: one chain of pairs through each cluster, so N less the clusters; among
            them at least one between any two sides that a cluster lies on.
    """

    clusters: Numbers
    pairs: tuple[CopyPair, ...]

    @property
    def distinct(self) -> int:
        """Number of different images."""
        return int(self.clusters.max()) + 1 if self.clusters.size else 0


def search_copies(
    pictures: Iterable[SliceOrFile],
    *,
    threshold: float = COPY_CORRELATION,
    threads: int = 1,
    progress: Progress | None = None,
    on_error: Literal["raise", "ignore"] = "raise",
) -> Copies:
    """Find copies among pictures.

    Args:
        pictures: slices, files of one slice, or (file, frame); never all held at once.
        threshold: least correlation of a copy.
        threads: threads for reading and searching.
        progress: called twice for every image: when it is described, and when it is compared.
        on_error: with ``ignore``, an image that cannot be read is a copy of none.

    Raises:
        InputError: a file cannot be read, and ``on_error`` is not ``ignore``.
        MissingExtra: the nearest-neighbour index is not installed.
    """
    index_of = load("usearch.index", "looking for copies").Index
    describe = _describe if on_error == "raise" else _describe_if_readable
    views = _describe_all(pictures, describe, threads, progress)
    chains, pairs = Chains(len(views)), list[CopyPair]()
    asking = indexed = np.arange(len(views))
    while asking.size:
        search = Search(index_of, views, indexed, threads)
        for block in cut_blocks(asking):
            pairs.extend(_compare(search, block, threshold, chains))
            if progress is not None and asking is indexed:
                progress(len(block))
        # A picture with many copies sees nothing but them: so one of each cluster asks again,
        # among one of each cluster, until no two join.
        asking, indexed = chains.joined(indexed), chains.first(indexed)
    return Copies(chains.number(), tuple(pairs))


def group_manifest(
    manifest: Manifest, *, threads: int = 1, progress: Progress | None = None
) -> tuple[Manifest, Copies]:
    """Join rows whose images are copies into groups, also if the patients are unknown.

    Groups that are known stay whole, and become one where a picture of one is a copy of a
    picture of another. Rows without group that have copies get a group ``twins-N``. So do those
    whose names say that an augmentation made them of one image: it may be turned by any angle.

    An image that cannot be read keeps its group. It is reported later, when the manifest is used.

    Returns:
        The manifest with its groups, and the copies, numbered as its rows.
    """
    copies = search_copies(
        _pictures(manifest), threads=threads, progress=progress, on_error="ignore"
    )
    chains = Chains(len(manifest))
    for labels in (
        copies.clusters.tolist(),
        [row.group_key for row in manifest.rows],
        [original_key(row) or number for number, row in enumerate(manifest.rows)],
    ):
        first: dict[Any, int] = {}
        for number, label in enumerate(labels):
            chains.join(first.setdefault(label, number), number)
    return _name_groups(manifest, chains.number()), copies


def original_key(row: Row) -> tuple[str, ...]:
    """What rows share whose names say that they were made of one image; or nothing.

    Names are told apart by class, since each class folder may count its images anew.
    """
    original = find_original(row.path.name)
    return (row.source, row.label, row.tumor_class, original) if original else ()


def _pictures(manifest: Manifest) -> Iterator[SliceOrFile]:
    """The slices in the order of the rows; a volume is read once, not for each of its slices."""
    for path, group in groupby(manifest.rows, key=lambda row: row.path):
        frames = [row.frame or 0 for row in group]
        if len(frames) == 1:
            yield path, frames[0]
            continue
        volume = {one.info.frame: one for one in _readable(path) if one.info.frame in frames}
        for frame in frames:
            yield volume.get(frame, (path, frame))


def _readable(path: Path) -> Iterator[Slice]:
    """The slices of a volume, but for those that cannot be read."""
    return (one for one in iterate_slices(path) if isinstance(one, Slice))


def _name_groups(manifest: Manifest, components: Numbers) -> Manifest:
    names: dict[int, str] = {}
    sizes = np.bincount(components)
    for row, component in zip(manifest.rows, components.tolist(), strict=True):
        if row.group:
            names[component] = min(names.get(component, row.group), row.group)
    for component in np.flatnonzero(sizes > 1).tolist():
        names.setdefault(component, f"twins-{component}")
    return manifest.with_rows(
        replace(row, group=names.get(component, ""))
        for row, component in zip(manifest.rows, components.tolist(), strict=True)
    )


def _describe_all(
    pictures: Iterable[SliceOrFile],
    describe: Callable[[SliceOrFile], npt.NDArray[np.float16]],
    threads: int,
    progress: Progress | None,
) -> Array:
    """(N, 2, 24, 24) float16: head and frame of each picture."""
    blocks, stream = [], iter(pictures)
    with ThreadPoolExecutor(threads) as pool:
        while block := list(islice(stream, BLOCK)):
            blocks.append(np.stack(list(pool.map(describe, block))))
            if progress is not None:
                progress(len(block))
    if not blocks:
        raise DataError("no pictures to compare; expected at least one")
    return np.concatenate(blocks)


def _describe(picture: SliceOrFile) -> npt.NDArray[np.float16]:
    slice_ = picture if isinstance(picture, Slice) else _read(picture)
    return np.stack([describe_head(slice_), describe_frame(slice_)]).astype(np.float16)


def _describe_if_readable(picture: SliceOrFile) -> npt.NDArray[np.float16]:
    try:
        return _describe(picture)
    except InputError:
        return np.zeros((VIEWS, TERMS, TERMS), np.float16)


def _read(picture: str | os.PathLike[str] | tuple[str | os.PathLike[str], int]) -> Slice:
    path, frame = picture if isinstance(picture, tuple) else (picture, 0)
    return read_slice(path, frame)


def _compare(
    search: Search, block: Numbers, threshold: float, chains: Chains
) -> Iterator[CopyPair]:
    found = take_best(search.ask(block))
    turned, other = lay_pairs(search.views, found)
    plain = (turned * other).sum((1, 2))
    framed = found.framed
    # Around small heads two frames are mostly the same black, and heads that are bare are alike in
    # outline: so these must agree more than others.
    bare = are_bare(search.views, found)
    least = np.maximum(threshold, _ALIKE[framed.astype(int), bare.astype(int)])
    # Most copies agree at once; only the rest is aligned, and only if no chain joins them yet.
    yield from _accept(found, plain, least, chains)
    apart = chains.apart(found.first, found.second) & ~framed
    found, turned, other, least = found.take(apart), turned[apart], other[apart], least[apart]
    aligned = np.empty(len(found), np.float32)
    stretch = STRETCHES[found.crop]
    for start in range(0, len(found), 256):
        part = slice(start, start + 256)
        aligned[part] = correlate_aligned(turned[part], other[part], stretch[part])
    yield from _accept(found, aligned, least, chains)


def _accept(
    found: Candidates, correlation: Array, least: npt.NDArray[np.float64], chains: Chains
) -> Iterator[CopyPair]:
    order = np.argsort(-correlation, kind="stable")
    for number in order[(correlation >= least)[order]].tolist():
        first, second = int(found.first[number]), int(found.second[number])
        if not chains.join(first, second):
            continue
        way = int(found.way[number])
        if first > second:
            first, second, way = second, first, _BACK[way]
        yield CopyPair(first, second, float(correlation[number]), ORIENTATIONS[way])


_BACK = (0, 1, 2, 3, 4, 6, 5, 7)  # the orientation that undoes each
