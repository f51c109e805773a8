"""Splits that a model can be believed on: no group on two sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import Manifest, Row
from tumorlens.errors import DataError
from tumorlens.optional import load

__all__ = ["hold_out_groups", "leave_out"]


def hold_out_groups(
    rows: tuple[Row, ...], share: float, seed: int, *, by_picture: bool = False
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Part rows into two sides by groups, alike in source, sequence and label.

    Args:
        rows: to part.
        share: of the groups held out.
        seed: of the choice.
        by_picture: ignore groups, as the paper did.

    Returns:
        Indices kept, indices held out.
    """
    folds = max(2, round(1 / share))
    groups = [str(place) if by_picture else row.group_key for place, row in enumerate(rows)]
    if len(set(groups)) < folds:
        raise DataError(
            f"{len(set(groups))} groups are too few to hold out {share:.0%} of them; "
            f"at least {folds} are needed"
        )
    strata = [f"{row.source}|{row.sequence}|{row.label}" for row in rows]
    splitter = load("sklearn.model_selection", "a split by groups").StratifiedGroupKFold(
        folds, shuffle=True, random_state=seed
    )
    kept, held = next(iter(splitter.split(np.zeros(len(rows)), strata, groups)))
    return np.asarray(kept, np.intp), np.asarray(held, np.intp)


def leave_out(manifest: Manifest, names: Sequence[str]) -> tuple[Manifest, Manifest, Manifest]:
    """Part a manifest into what may be trained on and what is held out.

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
    if not found:
        raise DataError(
            f"{manifest.name}: no source or set is named {name!r}; "
            f"sources: {', '.join(sorted(sources))}; sets: {', '.join(sorted(manifest.members))}"
        )
    return found
