"""Which inputs of a run are done: the detector takes them ahead of their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.files.sources import Source

__all__ = ["Place", "Trail"]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A source that was handed out, and by which names its slices may come back.

    Its ``number`` counts the inputs of the run.
    """

    found: Source | InputError
    names: frozenset[str]
    number: int = 0

    @classmethod
    def of(cls, found: Source | InputError, number: int = 0) -> Place:
        parts = found.parts if isinstance(found, Source) else ()
        return cls(found, frozenset({found.path, *(part.path for part in parts)}), number)

    @property
    def is_named(self) -> bool:
        """Whether the caller named this very file."""
        return isinstance(self.found, Source) and self.found.named

    @property
    def files(self) -> int:
        return len(self.found.files) if isinstance(self.found, Source) else 1

    def holds(self, info: SliceInfo) -> bool:
        """Whether a slice is of this source; several series may lie at one path."""
        uid = self.found.series_uid if isinstance(self.found, Source) else None
        same = uid is None or info.series_instance_uid in (None, uid)
        return same and info.path in self.names


class Trail:
    """Follows the findings through the sources that were handed out.

    Args:
        advance: takes the number of files that are done.
    """

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._ahead: deque[Place] = deque()

    def hand_out(self, found: Source | InputError, number: int = 0) -> None:
        self._ahead.append(Place.of(found, number))

    def follow(self, info: SliceInfo) -> Place | None:
        """The source of a slice; the ones before it are done. None if there is none."""
        done = next((i for i, place in enumerate(self._ahead) if place.holds(info)), 0)
        if done:
            self._advance(sum(self._ahead.popleft().files for _ in range(done)))
        return self._ahead[0] if self._ahead else None

    def close(self) -> None:
        """The run has ended, and with it what was handed out."""
        self._advance(sum(place.files for place in self._ahead))
        self._ahead.clear()
