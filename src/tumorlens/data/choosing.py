"""Reads the data that a caller names, and chooses the rows that are used and their groups."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tumorlens.data.class_names import find_patient, spell_split
from tumorlens.data.manifest import keep_split, merge_manifests, read_data
from tumorlens.data.rows import Manifest, Row, tell_repeats
from tumorlens.digits import say_count
from tumorlens.progress import Notice, Progress, count_up, stay_silent
from tumorlens.workers import available_cores

__all__ = [
    "Choice",
    "Chosen",
    "DataSource",
    "choose_rows",
    "group_copies",
    "list_sets",
    "read_sets",
]

DataSource = str | os.PathLike[str] | Manifest
"""A folder of class folders, the path of a manifest, or a manifest that is read already."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows of the data are used, and how they are grouped.

    Attributes:
        split: only rows of this split; None for all rows.
        classes: name of a class folder -> label or tumor class, in addition to the known names.
        shared_groups: whether a group's name means the same patient in all sets. None refuses
            sets in which one name stands twice.
        twins: whether copies of one picture are joined into one group. None joins them where a
            row has no group.
    """

    split: str | None = None
    classes: Mapping[str, str] | None = None
    shared_groups: bool | None = None
    twins: bool | None = None


class Chosen(NamedTuple):
    """The rows that are used.

    Attributes:
        manifest: the rows.
        elsewhere: keys of the groups that are also in another split.
    """

    manifest: Manifest
    elsewhere: frozenset[str]


def list_sets(data: DataSource | Iterable[DataSource]) -> tuple[DataSource, ...]:
    """A list of sets, also if a single set was given."""
    return (data,) if isinstance(data, (str, os.PathLike, Manifest)) else tuple(data)


def read_sets(
    data: Iterable[DataSource],
    *,
    classes: Mapping[str, str] | None = None,
    shared_groups: bool | None = None,
    notice: Notice = stay_silent,
) -> Manifest:
    """Read all sets and join them into one manifest.

    Args:
        data: at least one set.
        classes: as in `Choice`; manifests that are read already keep their labels.
        shared_groups: as in `Choice`.
        notice: called with a sentence on what is left out of a folder.

    Raises:
        DataError: says what could not be read, where, and what to do.
    """
    sets = [
        one if isinstance(one, Manifest) else read_data(one, classes=classes or {}, notice=notice)
        for one in data
    ]
    return merge_manifests(sets, shared_groups=shared_groups)


def group_copies(
    manifest: Manifest,
    wanted: bool | None = None,
    *,
    threads: int | None = None,
    progress: Progress = stay_silent,
    notice: Notice = stay_silent,
) -> Manifest:
    """Join copies of one picture into one group.

    Args:
        manifest: the rows.
        wanted: as `twins` in `Choice`.
        threads: threads to use; by default one for each core.
        progress: called twice for each image.
        notice: called with a sentence on the number of different images.

    Raises:
        MissingExtra: the nearest-neighbour index is not installed.
    """
    missing = sum(not row.group for row in manifest.rows)
    if wanted is False or (wanted is None and not missing):
        return manifest
    from tumorlens.data.duplicates.copy_search import group_manifest

    steps = 2 * len(manifest)  # each picture is described, then compared
    grouped, copies = group_manifest(
        manifest,
        threads=threads or available_cores(),
        progress=count_up(progress, "looking for copies", steps),
    )
    notice(
        f"{missing} of {len(manifest)} slices had no group; "
        f"{len(manifest)} pictures are {copies.distinct} different ones"
    )
    return grouped


def choose_rows(
    data: Iterable[DataSource],
    choice: Choice,
    *,
    threads: int | None = None,
    progress: Progress = stay_silent,
    notice: Notice = stay_silent,
) -> Chosen:
    """Read all sets, group copies, and keep the rows that are asked for.

    Copies are looked for before a split is taken, so that a copy on another side is found.

    Args:
        data: at least one set.
        choice: which rows, and how they are grouped.
        threads: threads to use; by default one for each core.
        progress: called during the search for copies.
        notice: called with a sentence on the copies, and on what is left out of a folder.

    Raises:
        DataError: data that cannot be read, or no row of that split.
    """
    whole = read_sets(
        data, classes=choice.classes, shared_groups=choice.shared_groups, notice=notice
    )
    for told in (tell_repeats(whole.rows), *_tell_groups(whole.rows)):
        if told:
            notice(told)
    whole = group_copies(whole, choice.twins, threads=threads, progress=progress, notice=notice)
    if choice.split is None:
        return Chosen(whole, frozenset())
    own = ("", spell_split(choice.split))
    others = {row.group_key for row in whole.rows if row.split not in own}
    return Chosen(keep_split(whole, choice.split), frozenset(others))


def _tell_groups(rows: Sequence[Row]) -> Iterator[str]:
    """Sentences on slices of one patient that may stand in several groups."""
    named = [row for row in rows if not row.group and find_patient(row.path.name)]
    if named:
        yield (
            f"{say_count(len(named), 'slice has', 'slices have')} no group, though names such as "
            f"{named[0].path.name} tell a patient: add a column group, or a patient may stand on "
            "two sides"
        )
    spellings = defaultdict(set)
    for row in rows:
        spellings[re.sub(r"(?<!\d)0+(?=\d)", "", row.group.casefold())].add(row.group)
    alike = [sorted(names) for names in spellings.values() if len(names) > 1]
    if alike:
        yield (
            f"groups that differ only in upper and lower case or in zeros: {len(alike):,}, such as "
            f"{alike[0][0]!r} and {alike[0][1]!r}; they count as different patients, so spell "
            "each patient in one way"
        )
