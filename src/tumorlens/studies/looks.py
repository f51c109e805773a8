"""`Looks`: plane, sequence and skull of a series as its pixels show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tumorlens.finding import Finding

__all__ = ["Looks"]

QUESTIONS = ("plane", "sequence", "skull")
SURE = 0.5
"""Smallest mean probability at which a word is used for the series."""
CONTRADICTS = 0.9
"""Smallest mean probability at which a contradiction to the file is reported."""


@dataclass(frozen=True)
class Looks:
    """Mean probabilities over the judged slices of a series.

    Attributes:
        chances: question -> word -> probability; empty where the model does not tell.
    """

    chances: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Looks:
        """Average over the slices that were judged."""
        seen = [one.appearance for one in findings if one.appearance is not None]
        if not seen:
            return cls({})
        told = {name: [getattr(one, name) for one in seen] for name in QUESTIONS}
        return cls(
            {
                name: {word: float(np.mean([one[word] for one in of_each])) for word in of_each[0]}
                for name, of_each in told.items()
            }
        )

    def find(self, question: str) -> str | None:
        """The most probable word, if it is probable enough."""
        word, chance = self._best(question)
        return word if chance >= SURE else None

    def doubt(self, question: str, said: str | None) -> Iterator[str]:
        """A sentence if the pixels contradict what the file says."""
        word, chance = self._best(question)
        if said in (None, word, "oblique") or chance < CONTRADICTS:
            return
        yield f"the file says that the {question} is {said}, but the slices look like {word}"

    def _best(self, question: str) -> tuple[str | None, float]:
        chances = self.chances.get(question, {})
        return max(chances.items(), key=lambda one: one[1]) if chances else (None, 0.0)
