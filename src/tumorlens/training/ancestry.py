"""Models that a training starts from or learns from: what they have seen, the new one has, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tumorlens.model.card import DataTerms
from tumorlens.model.registry import find_model
from tumorlens.model.seen_entry import decode_fingerprints
from tumorlens.model.session import Session

__all__ = ["Ancestor", "find_ancestors", "join_terms"]


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A model whose training pictures reach a new one through its weights or its judgement.

    Attributes:
        name: of its file, and the file's SHA-256.
        fingerprints: of what it was trained on; None if it does not tell.
        terms: of its data.
    """

    name: str
    fingerprints: tuple[bytes, ...] | None
    terms: tuple[DataTerms, ...]


def find_ancestors(models: Iterable[str | Path]) -> list[Ancestor]:
    """What there is to know of these models.

    Args:
        models: names or files.

    Raises:
        ModelFileError: one cannot be loaded.
    """
    return [_describe(Session(find_model(model), threads=1)) for model in models]


def join_terms(own: Sequence[DataTerms], ancestors: Iterable[Ancestor]) -> list[DataTerms]:
    """The terms of one's own data and of all ancestors', each once."""
    joined = {one.data: one for ancestor in ancestors for one in ancestor.terms}
    return list((joined | {one.data: one for one in own}).values())


def _describe(session: Session) -> Ancestor:
    seen = session.seen
    prints = None if seen is None else decode_fingerprints(seen, str(session.path))
    return Ancestor(
        name=f"{session.path.name} {session.sha256}",
        fingerprints=None if prints is None else tuple(one.tobytes() for one in prints),
        terms=tuple(session.card.data_terms),
    )
