"""`Evidence`: everything that was measured on the images of a set. The checks use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
import numpy.typing as npt

from tumorlens.auditing.traits import Traits, measure_rows, read_frames
from tumorlens.data.duplicates.copy_search import CopyPair, SliceOrFile, search_copies
from tumorlens.data.rows import Manifest, Row
from tumorlens.errors import InputError
from tumorlens.imaging.slices import Slice
from tumorlens.model.session import Session
from tumorlens.optional import load

__all__ = ["ENDS", "MOST_EXAMPLES", "Evidence", "gather_evidence"]

MOST_EXAMPLES = 24

ENDS = (0.1, 0.9)
"""Slices outside these positions look alike in any two heads: a spot of scalp, the same bones. Of
218 pairs of similar slices from two patients of tcga_lgg, 217 lie there."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Evidence:
    """The N rows of a set and of the set to compare with, with all measurements.

    Attributes:
        rows: rows of the set, then rows of the other set.
        own: number of rows that belong to the set.
        traits: measurements, one for each row.
        copy_pairs: pairs of copies, by numbers of rows. Neighbouring slices of one series, and
            slices at the ends of heads, look alike: they are copies only if they are equal.
        threads: how many to use.
        most_examples: most pictures that a finding keeps to look at.
    """

    rows: tuple[Row, ...]
    own: int
    traits: tuple[Traits, ...]
    copy_pairs: tuple[CopyPair, ...]
    threads: int = 1
    most_examples: int = MOST_EXAMPLES

    @cached_property
    def readable(self) -> tuple[int, ...]:
        """Rows of the set that could be read."""
        return tuple(row for row in range(self.own) if not self.traits[row].error)

    @cached_property
    def central(self) -> tuple[int, ...]:
        """Readable rows of the set, without slices at the ends of a head, which show too little."""
        return tuple(row for row in self.readable if not _lies_at_end(self.rows[row]))

    @cached_property
    def copies(self) -> Numbers:
        """(N,) number of the picture that each row shows: copies share one."""
        pairs = [(pair.first, pair.second) for pair in self.copy_pairs]
        return _number_components(len(self.rows), pairs)

    @property
    def distinct(self) -> int:
        """Number of different images among the readable rows of the set."""
        return len({int(self.copies[row]) for row in self.readable})

    @cached_property
    def units(self) -> tuple[str, ...]:
        """(N,) the independent unit of each row: its group, joined with those of its copies."""
        first: dict[str, int] = {}
        pairs = [(pair.first, pair.second) for pair in self.copy_pairs]
        pairs += [(first.setdefault(row.group_key, n), n) for n, row in enumerate(self.rows)]
        return tuple(f"unit {n}" for n in _number_components(len(self.rows), pairs).tolist())

    def sets_of_copies(self) -> Iterator[tuple[int, ...]]:
        """The rows of each picture that occurs more than once."""
        order = np.argsort(self.copies, kind="stable")
        cuts = np.flatnonzero(np.diff(self.copies[order])) + 1
        for part in np.split(order, cuts):
            if part.size > 1:
                yield tuple(sorted(part.tolist()))


def gather_evidence(
    manifest: Manifest,
    against: Manifest | None,
    *,
    session: Session | None,
    threads: int,
    progress: Callable[[int], None] | None,
) -> Evidence:
    """Measure every image, then find copies among them.

    Args:
        manifest: the set.
        against: another set.
        session: a model that gives the unfamiliarity of a picture, or None.
        threads: how many to use.
        progress: called three times for every picture: read, described, compared.

    Raises:
        MissingExtra: the nearest-neighbour index is not installed.
    """
    rows = manifest.rows + (() if against is None else against.rows)
    traits = measure_rows(rows, session=session, threads=threads, progress=progress)
    readable = [number for number, one in enumerate(traits) if not one.error]
    pairs: list[CopyPair] = []
    if readable:
        pictures = _pictures([rows[number] for number in readable])
        found = search_copies(pictures, threads=threads, progress=progress).pairs
        pairs = [
            CopyPair(readable[one.first], readable[one.second], one.correlation, one.orientation)
            for one in found
        ]
    pairs = [one for one in pairs if not _proves_nothing(rows, traits, one)]
    pairs += _pair_exact(traits, {(one.first, one.second) for one in pairs})
    return Evidence(rows, len(manifest), tuple(traits), tuple(pairs), threads)


def _pictures(rows: Sequence[Row]) -> Iterator[SliceOrFile]:
    for path, group in groupby(rows, key=lambda row: row.path):
        same = list(group)
        if len(same) == 1:
            yield path, same[0].frame or 0
            continue
        for slice_ in read_frames(same):
            yield _insist(slice_)


def _insist(item: Slice | InputError) -> Slice:
    if isinstance(item, InputError):  # it could be read a moment ago
        raise item
    return item


def _proves_nothing(rows: Sequence[Row], traits: Sequence[Traits], pair: CopyPair) -> bool:
    """Whether two slices look alike only because they are neighbours, or at the end of a head."""
    first, second = rows[pair.first], rows[pair.second]
    if traits[pair.first].digest == traits[pair.second].digest:
        return False
    if _lies_at_end(first) or _lies_at_end(second):
        return True
    in_series = all(row.position is not None or row.frame is not None for row in (first, second))
    return in_series and bool(first.group) and first.group_key == second.group_key


def _lies_at_end(row: Row) -> bool:
    return row.position is not None and not ENDS[0] <= row.position <= ENDS[1]


def _pair_exact(traits: Sequence[Traits], known: set[tuple[int, int]]) -> list[CopyPair]:
    first: dict[bytes, int] = {}
    pairs = []
    for number, one in enumerate(traits):
        if one.error:
            continue
        other = first.setdefault(one.digest, number)
        if other != number and (other, number) not in known:
            pairs.append(CopyPair(other, number, 1.0, "same"))
    return pairs


def _number_components(count: int, pairs: Sequence[tuple[int, int]]) -> Numbers:
    sparse = load("scipy.sparse", "joining copies")
    graph = load("scipy.sparse.csgraph", "joining copies")
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    table = sparse.coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count, count))
    return np.asarray(graph.connected_components(table, directed=False)[1], np.int64)
