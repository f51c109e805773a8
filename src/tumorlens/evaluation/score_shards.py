"""Scoring on many machines: each scores one shard of the rows, and the tables are joined.

The rows are known before any is scored. So groups are divided among the shards: the largest group
first, then by a hash, each to the shard with the fewest rows. So no shard is much larger than
another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tumorlens.data.choosing import Chosen
from tumorlens.data.rows import Row
from tumorlens.errors import DataError, UsageError
from tumorlens.evaluation.scores import Scores, join_scores
from tumorlens.shards import Shard, digest_identity

__all__ = ["PLACE", "SHARD", "join_shards", "take_shard"]

SHARD, PLACE = "shard", "place"
"""Columns of a table of a shard: ``2/5``, and where its row stands among all rows."""


def take_shard(chosen: Chosen, shard: Shard) -> Chosen:
    """The rows of one shard, each with its place among all. A group is whole in one shard.

    Raises:
        UsageError: there are fewer groups than shards.
    """
    rows = chosen.manifest.rows
    mine = _deal(rows, shard)
    kept = tuple(
        replace(row, extra=(*row.extra, (SHARD, str(shard)), (PLACE, str(place))))
        for place, row in enumerate(rows)
        if row.group_key in mine
    )
    return chosen._replace(manifest=replace(chosen.manifest, rows=kept))


def _deal(rows: Sequence[Row], shard: Shard) -> set[str]:
    """The groups of a shard: the same on every machine, whatever the order of the rows."""
    sizes = Counter(row.group_key for row in rows)
    if len(sizes) < shard.of:
        raise UsageError(
            f"`shard={shard}`: a group is never parted, and the rows have {len(sizes):,}; give at "
            f"most {len(sizes):,} shards"
        )
    filled = [0] * shard.of
    mine = set()
    for group in sorted(sizes, key=lambda name: (-sizes[name], digest_identity(name))):
        least = filled.index(min(filled))
        filled[least] += sizes[group]
        if least == shard.number - 1:
            mine.add(group)
    return mine


def join_shards(tables: Sequence[Scores]) -> Scores | None:
    """The tables of all shards as that of one run; None if they are no shards.

    Raises:
        DataError: some are shards and others are not, one is missing or stands there twice, or
            they are of different models or rows.
    """
    named = [_read_shard(table) for table in tables]
    if not any(named):
        return None
    known: dict[Shard, Scores] = {}
    for table, shard in zip(tables, named, strict=True):
        if shard is None:
            raise DataError(f"{table.name}: is no shard, as the other files are; leave it out")
        twin = known.setdefault(shard, table)
        if twin is not table:
            raise DataError(f"{table.name}: is shard {shard}, as {twin.name} is; name each once")
        _check_alike(table, tables[0])
    _check_all(known)
    joined = join_scores(tables)
    places = [int(dict(row.extra)[PLACE]) for row in joined.rows]
    if len(set(places)) < len(places):
        raise DataError(
            f"{tables[0].name}: the shards hold a row twice, so they are of different data; score "
            "them again"
        )
    whole = joined.take(sorted(range(len(places)), key=places.__getitem__))
    bare = tuple(replace(row, extra=_drop(row)) for row in whole.rows)
    return replace(whole, rows=bare, name=" + ".join(sorted(table.name for table in tables)))


def _read_shard(table: Scores) -> Shard | None:
    found = {dict(row.extra).get(SHARD, "") for row in table.rows}
    if found == {""}:
        return None
    try:
        (text,) = found
        places = [dict(row.extra)[PLACE] for row in table.rows]
        if not all(map(str.isdecimal, places)):
            raise ValueError
        return Shard.parse(text)
    except (ValueError, KeyError, UsageError):
        raise DataError(
            f"{table.name}: its columns {SHARD} and {PLACE} are not those of one shard; score it "
            "again, or remove the columns"
        ) from None


def _check_alike(table: Scores, first: Scores) -> None:
    for what in ("model", "operating_point"):
        theirs, ours = getattr(table, what), getattr(first, what)
        if theirs != ours:
            raise DataError(
                f"{table.name}: is of another run than {first.name}: it has the {what} {theirs} in "
                f"place of {ours}; score it again"
            )


def _check_all(known: dict[Shard, Scores]) -> None:
    """All shards of one division are there."""
    of = {shard.of for shard in known}
    if len(of) > 1:
        counts = " and ".join(map(str, sorted(of)))
        raise DataError(f"the files are shards of {counts}; name those of one division")
    numbers = {shard.number for shard in known}
    missing = [str(Shard(n, max(of))) for n in range(1, max(of) + 1) if n not in numbers]
    if missing:
        shards = "shard" if len(missing) == 1 else "shards"
        raise DataError(
            f"{shards} {', '.join(missing)} missing: figures over a part of the rows would look "
            "like those of all; score them, or name their files"
        )


def _drop(row: Row) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in row.extra if pair[0] not in (SHARD, PLACE))
