"""Splits that a model can be believed on: no group on two sides."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from tumorlens.data.balance import deal_groups
from tumorlens.data.public_sets.catalogue import SETS
from tumorlens.data.rows import Manifest, Row
from tumorlens.digits import say_share
from tumorlens.errors import DataError, UsageError
from tumorlens.optional import load

__all__ = [
    "FRACTIONS",
    "PARTS",
    "By",
    "fold_manifest",
    "hold_out_groups",
    "hold_out_pictures",
    "leave_out",
    "split_manifest",
]

PARTS = ("train", "validation", "test")
"""The parts of a split by fractions, in their order."""

FRACTIONS = (0.7, 0.15, 0.15)
"""Shares of the parts, where the caller names none."""

By = Literal["group", "source"]

_UNEVEN = 0.05  # difference between a part's share of a kind and the wanted one that is told


def split_manifest(
    manifest: Manifest,
    *,
    folds: int | None = None,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    by: By = "group",
) -> tuple[Manifest, list[str]]:
    """Split by groups, or by whole sources, into train, validation and test, or into K folds.

    Every kind of slice (source, sequence, class) is spread over the parts as evenly as whole
    groups allow. The same seed and rows give the same split.

    By sources, no source stands in two parts: sources that share a group stay
    together, and tumors, slices without tumor and sequences are spread as evenly as they allow.

    Args:
        manifest: one set, or several merged; its old splits are replaced.
        folds: K >= 2, in place of ``fractions``; the splits are then ``0`` to ``K - 1``.
        fractions: of train, validation and test, sum 1; a part of 0 stays empty.
        seed: settles ties between groups.
        by: ``group``, or ``source`` for whole sources.

    Returns:
        The manifest with its splits, and notes: in a sentence each, which splits were replaced,
        and where balance gave way.

    Raises:
        UsageError: fewer than two folds, fractions that do not add up to 1, or an unknown ``by``.
        DataError: fewer groups, or sources, than parts.
    """
    if by not in ("group", "source"):
        raise UsageError(f"`folds_by=` is group or source, got {by!r}")
    groups = {key: number for number, key in enumerate(manifest.groups)}
    if by == "source":
        groups = _join_sources(manifest.rows)
    units = len(set(groups.values()))
    if folds is not None:  # before a list of them is made
        _require_groups(manifest, units, folds, f"0 to {folds - 1}", by)
    names, shares = _parts(folds, fractions)
    _require_groups(manifest, units, len(names), ", ".join(names), by)
    kinds, counts = _count(manifest.rows, groups, by)
    dealt = deal_groups(counts, shares, seed)
    rows = (replace(row, split=names[dealt[groups[row.group_key]]]) for row in manifest.rows)
    notes = _tell_uneven(kinds, counts, dealt, names, shares)
    return manifest.with_rows(rows), [*_tell_replaced(manifest.rows), *notes]


def _tell_replaced(rows: Sequence[Row]) -> list[str]:
    """A note on splits that the rows had: what was kept for a test may now be trained on."""
    old = Counter(row.split for row in rows if row.split)
    shown = ", ".join(f"{name} ({count:,})" for name, count in old.most_common(5))
    return [f"splits that the data had are replaced: {shown}"] * bool(old)


def _require_groups(manifest: Manifest, groups: int, parts: int, names: str, by: By) -> None:
    if groups < parts:
        what = f"1 {by}" if groups == 1 else f"{groups} {by}s"
        more = "patients" if by == "group" else "sources"
        raise DataError(
            f"{manifest.name}: {what} cannot be split into {parts} parts ({names}); expected at "
            f"least one {by} a part: ask for fewer parts or add {more}"
        )


def _join_sources(rows: Sequence[Row]) -> dict[str, int]:
    """Group -> number of its source; sources that share a group have one number."""
    sources: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        sources[row.group_key].add(row.source)
    joined = {source: source for source in sorted({row.source for row in rows})}
    for shared in sources.values():
        old = {joined[source] for source in shared}
        first = min(old)
        joined = {source: first if name in old else name for source, name in joined.items()}
    numbers = {name: number for number, name in enumerate(sorted(set(joined.values())))}
    return {group: numbers[joined[min(shared)]] for group, shared in sources.items()}


def fold_manifest(
    manifest: Manifest, *, folds: int, seed: int = 0, by: By = "group"
) -> tuple[Manifest, list[str]]:
    """The folds that a manifest names itself, or else K folds as `split_manifest` deals.

    Args:
        manifest: its own folds are kept if every row's split is a fold number.
        folds: K >= 2; the manifest's own must be ``0`` to ``K - 1``.
        seed: settles ties between groups.
        by: ``group``, or ``source`` for folds by source.

    Returns:
        The manifest with its folds, and notes: in a sentence each.

    Raises:
        UsageError: fewer than two folds.
        DataError: the manifest names other folds than asked for, or a group stands in two of
            them; or there are fewer groups than folds.
    """
    if manifest.rows and all(row.split.isdecimal() for row in manifest.rows):
        _check_folds(manifest, folds)
        return manifest, ["the folds of the column split are kept"]
    return split_manifest(manifest, folds=folds, seed=seed, by=by)


def _check_folds(manifest: Manifest, folds: int) -> None:
    names = sorted({row.split for row in manifest.rows}, key=int)
    if names != [str(number) for number in range(folds)]:
        raise DataError(
            f"{manifest.name}: its column split names the folds {', '.join(names)}; expected 0 to "
            f"{folds - 1}: give `folds={len(names)}`, or empty the column to have them dealt anew"
        )
    sides: dict[str, set[str]] = {}
    for row in manifest.rows:
        sides.setdefault(row.group_key, set()).add(row.split)
    crossing = [(key, sorted(names)) for key, names in sides.items() if len(names) > 1]
    if crossing:
        key, names = crossing[0]
        many = f"{len(crossing)} groups stand" if len(crossing) > 1 else "1 group stands"
        raise DataError(
            f"{manifest.name}: {many} in two folds, {key!r} in {' and '.join(names)}; "
            "give each patient one fold, or split the data anew"
        )


def _parts(
    folds: int | None, fractions: Sequence[float]
) -> tuple[list[str], npt.NDArray[np.float64]]:
    if folds is not None:
        if folds < 2:
            raise UsageError(f"expected 2 folds or more, got {folds}")
        return [str(number) for number in range(folds)], np.full(folds, 1 / folds)
    shares = np.array(fractions, np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6:
        given = " ".join(f"{share:g}" for share in fractions)
        raise UsageError(
            f"fractions: expected three numbers from 0, for train, validation and test, "
            f"that add up to 1, got {given}"
        )
    names = [name for name, share in zip(PARTS, shares, strict=True) if share > 0]
    return names, shares[shares > 0]


def _count(
    rows: Sequence[Row], groups: Mapping[str, int], by: By = "group"
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The kinds of slices, and (G, S) how many of each every group, or source, holds."""
    kind_of = [_kind(row) if by == "group" else _kind_anywhere(row) for row in rows]
    kinds = sorted(set(kind_of))
    numbers = {kind: number for number, kind in enumerate(kinds)}
    counts = np.zeros((len(set(groups.values())), len(kinds)), np.int64)
    for row, kind in zip(rows, kind_of, strict=True):
        counts[groups[row.group_key], numbers[kind]] += 1
    return kinds, counts


def _kind(row: Row) -> str:
    return " ".join(filter(None, (row.source, row.sequence, row.class_name or "unlabelled")))


def _kind_anywhere(row: Row) -> str:
    """Where whole sources are dealt, a kind is the same in all of them."""
    return " ".join(filter(None, (row.sequence, row.label or "unlabelled")))


def _tell_uneven(
    kinds: Sequence[str],
    counts: npt.NDArray[np.int64],
    dealt: npt.NDArray[np.int64],
    names: Sequence[str],
    shares: npt.NDArray[np.float64],
) -> list[str]:
    held = np.stack([counts[dealt == part].sum(0) for part in range(len(names))])
    notes = []
    for number, kind in enumerate(kinds):
        total, groups = int(counts[:, number].sum()), int((counts[:, number] > 0).sum())
        got = held[:, number] / total
        if np.abs(got - shares).max() > _UNEVEN + 1e-9:
            told = ", ".join(
                f"{name} holds {say_share(share)} and not {say_share(wanted)}"
                for name, share, wanted in zip(names, got, shares, strict=True)
                if abs(share - wanted) > _UNEVEN
            )
            of = "1 group" if groups == 1 else f"{groups} groups"
            notes.append(f"{kind} ({total} slices in {of}) could not be spread evenly: {told}")
    return notes


def hold_out_groups(
    rows: tuple[Row, ...], share: float, seed: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Divide rows into two sides by groups, alike in source, sequence and class.

    Args:
        rows: to part.
        share: of the rows of the second side, to be met as nearly as whole groups allow.
        seed: of the choice.

    Returns:
        Indices of the first side, and of the second.

    Raises:
        DataError: so few groups that one of them is more than the share.
    """
    least = max(2, round(1 / share))
    groups = {key: number for number, key in enumerate(sorted({row.group_key for row in rows}))}
    if len(groups) < least:
        count = "1 group is" if len(groups) == 1 else f"{len(groups)} groups are"
        raise DataError(
            f"{count} too few to hold out {say_share(share)} of them; at least {least} are needed: "
            "add patients, or leave the group empty where it is no patient"
        )
    _, counts = _count(rows, groups)
    dealt = deal_groups(counts, np.array([1 - share, share]), seed)
    held = np.array([dealt[groups[row.group_key]] == 1 for row in rows])
    return np.flatnonzero(~held), np.flatnonzero(held)


def hold_out_pictures(
    rows: tuple[Row, ...], share: float, seed: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Divide rows into two sides at random, alike in label, whatever their groups.

    This is how the paper and most of its kind split: copies and patients stand on both sides. It
    serves to repeat their figures, and to show what such figures are worth.

    Returns:
        Indices of the first side, and of the second: ``share`` of the rows, to the next whole
        number.
    """
    kept, held = load("sklearn.model_selection", "a split by pictures").train_test_split(
        np.arange(len(rows)),
        test_size=round(share * len(rows)),
        stratify=[row.label for row in rows],
        random_state=seed,
    )
    return np.sort(kept), np.sort(held)


def leave_out(manifest: Manifest, names: Sequence[str]) -> tuple[Manifest, Manifest, Manifest]:
    """Divide a manifest into what may be trained on and what is held out.

    Args:
        manifest: one set, or several merged.
        names: sources, or sets, which stand for all their sources; left out together.

    Returns:
        (kept, held out, neither): ``neither`` holds the rows of other sources that share a
        group with a row held out; they may serve neither side.

    Raises:
        DataError: a name that is neither a source nor a set of this manifest, or nothing kept.
    """
    out = {source for name in names for source in _sources_of(manifest, name)}
    held_groups = {row.group_key for row in manifest.rows if row.source in out}

    def is_held(row: Row) -> bool:
        return row.source in out

    def is_neither(row: Row) -> bool:
        return row.source not in out and row.group_key in held_groups

    kept = manifest.where(lambda row: row.group_key not in held_groups)
    if not kept.rows:
        raise DataError(
            f"{manifest.name}: nothing is left without {', '.join(names)}; "
            "leave out fewer sources or add other sets"
        )
    return kept, manifest.where(is_held), manifest.where(is_neither)


def _sources_of(manifest: Manifest, name: str) -> Iterable[str]:
    sources = set(manifest.sources)
    found = {source for source in sources if source == name or source.startswith(f"{name}/")}
    found |= sources.intersection(manifest.members.get(name, ()))
    if name in SETS:  # a manifest that was merged and written has forgotten its sets
        found |= sources.intersection(SETS[name].sources)
    if not found:
        raise DataError(
            f"{manifest.name}: no source or set is named {name!r}; "
            f"sources: {', '.join(sorted(sources))}; sets: {', '.join(sorted(manifest.members))}"
            f"{_hint_at_folder(manifest, name)}"
        )
    return found


def _hint_at_folder(manifest: Manifest, name: str) -> str:
    """What to do where the folder of a site was meant, and all sites were given as one set."""
    if not any(name in row.path.parent.parts for row in manifest.rows):
        return ""
    return (
        f"; {name} is a folder inside a set: give it and the folders beside it as sets of their "
        "own, or write a manifest with the column source"
    )
