"""What is told of each series: notes on how it was read, and slices without an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from tumorlens.digits import say_count
from tumorlens.report.tables import kind_of_note, unanswered_words
from tumorlens.study_finding import SeriesFinding

__all__ = ["Notices"]

_MOST = 20  # lines of one kind in a run; of the others their number is told
_COUNTS = "slices without an answer"


class Notices:
    """Says each thing once a series; where many series are alike, how many more there are.

    Attributes:
        say: takes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self._said: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def tell(self, series: SeriesFinding, notes: Iterable[str], *, counted: bool) -> None:
        """Say what is to be said of one series, or of one picture.

        Args:
            series: what was counted over it.
            notes: of its slices, one after the other, with repetitions.
            counted: say how many slices have no answer, if the series has none either; else its
                verdict says what they were worth.
        """
        where = series.path
        if counted and series.series_instance_uid:
            where += f" (series {series.series_instance_uid})"
        for note in _sum_up(notes):
            self._tell(kind_of_note(note), f"{where}: {note}", note)
        words = unanswered_words(series.to_record())
        if words and counted and series.verdict is None:
            slices = say_count(len(series.findings), "slice")
            self._tell(
                _COUNTS, f"{where}: of {slices}, {', '.join(map(_say_count, words))}", _COUNTS
            )

    def close(self) -> None:
        """Say how many more there were of each kind."""
        for kind, count in self._said.items():
            if count > _MOST:
                self.say(f"{count - _MOST:,} more notes of this kind: {self._examples[kind]}")

    def _tell(self, kind: str, line: str, example: str) -> None:
        self._said[kind] += 1
        self._examples.setdefault(kind, example)
        if self._said[kind] <= _MOST:
            self.say(line)


def _say_count(words: str) -> str:
    """``8 uncertain`` as a part of a sentence."""
    count, _, state = words.partition(" ")
    return f"{count} {'is' if count == '1' else 'are'} {state}"


def _sum_up(notes: Iterable[str]) -> Iterator[str]:
    """Notes that are alike but for their numbers in one: the first, and how many more there are."""
    alike: dict[str, Counter[str]] = {}
    for note in notes:
        alike.setdefault(kind_of_note(note), Counter())[note] += 1
    for kind in alike.values():
        first, *others = kind
        more = sum(kind[other] for other in others)
        yield f"{first} (and {more:,} like it)" if more else first
