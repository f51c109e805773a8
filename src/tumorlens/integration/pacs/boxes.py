"""What a watch has around it: where studies come from, who judges them, where answers go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tumorlens.integration.pacs.study_queue import QueuedStudy, StudyQueue

__all__ = ["Answer", "Answering", "Inbox", "Outbox", "Refused", "Unanswerable", "Unreachable"]


class Unanswerable(Exception):
    """Nothing can be said of a study, now or later. Its text names no patient and no path."""


class Unreachable(Exception):
    """The other side cannot be reached now. Its text says who and why, and names no patient."""


class Refused(Exception):
    """The other side has refused an object. Its text says who and why, and names no patient."""


class Inbox(Protocol):
    """Where studies come from.

    Attributes:
        keeps_images: nobody else has the images: those of a study that failed are kept.
    """

    keeps_images: bool

    def look(self, queue: StudyQueue) -> bool:
        """Put complete studies into the queue; gives whether others are still arriving."""
        ...

    def fetch(self, study: QueuedStudy, folder: Path) -> bool:
        """Put the images of a study into a folder; False if it has changed since or is gone."""
        ...

    def close(self) -> None:
        """Take in no more."""
        ...


class Outbox(Protocol):
    """Where answers go."""

    @property
    def name(self) -> str:
        """For the log."""
        ...

    def deliver(self, study: str, files: Mapping[str, Path]) -> Iterator[str]:
        """Send objects that are not there yet.

        Args:
            study: Study Instance UID.
            files: SOP Instance UID -> file.

        Yields:
            The UID of each object as soon as the other side has it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What was made of a study.

    Attributes:
        objects: SOP Instance UID -> name of the file.
        words: verdict and probability, for the log.
    """

    objects: dict[str, str]
    words: str


class Answering(Protocol):
    """Who judges studies."""

    def answer(self, study: QueuedStudy, images: Path, folder: Path) -> Answer:
        """Judge a study.

        Args:
            study: what it is called.
            images: folder that holds its images.
            folder: empty, for the objects.

        Raises:
            Unanswerable: no image can be read, or no object can be written.
        """
        ...
