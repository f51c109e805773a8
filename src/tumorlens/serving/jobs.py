"""`Jobs`: judging in the background, one job after another, each with its progress and its end."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal

from tumorlens.errors import TumorlensError, UsageError
from tumorlens.serving.judging import Heard, Judgement, judge_files

if TYPE_CHECKING:
    from tumorlens.detector import Detector

__all__ = ["Job", "Jobs", "State"]

State = Literal["waiting", "judging", "done", "failed", "stopped"]
MOST_NOTICES = 200


class _Stopped(Exception):
    """Somebody does not want the answer any more."""


@dataclass(slots=True, eq=False)
class Job:
    """Files that are judged, or will be.

    Attributes:
        key: names the job; nobody can guess it.
        title: for people.
        paths: files, folders and patterns.
        below: names in records are relative to this folder; None: they are as in ``paths``.
        folder: of the job's own files.
        state: ``waiting``, ``judging``, ``done``, ``failed`` (see ``error``) or ``stopped``.
        heard: how far it has come.
        notices: sentences for a person.
        judgement: what came of it, once it is done.
        error: why it failed, in a sentence.
        begun: when judging began, by `time.monotonic`; None before.
        ended: when it ended, in whatever way; None before.
    """

    key: str
    title: str
    paths: tuple[str, ...]
    below: Path | None
    folder: Path
    state: State = "waiting"
    heard: Heard = field(default_factory=Heard)
    notices: list[str] = field(default_factory=list)
    judgement: Judgement | None = None
    error: str | None = None
    begun: float | None = None
    ended: float | None = None
    _stop: Event = field(default_factory=Event)

    def hear(self, heard: Heard) -> None:
        """Take note of the progress, and end the run if nobody wants it any more."""
        self.heard = heard
        if self._stop.is_set():
            raise _Stopped

    def note(self, words: str) -> None:
        """Keep a sentence, as long as there are not too many."""
        if len(self.notices) < MOST_NOTICES:
            self.notices.append(words)

    def run(self, detector: Detector) -> None:
        """Judge the files. What goes wrong stands in ``error``."""
        self.begun = time.monotonic()
        try:
            self._judge(detector)
        finally:
            self.ended = time.monotonic()

    def _judge(self, detector: Detector) -> None:
        if self._stop.is_set():
            self.state = "stopped"
            return
        self.state = "judging"
        try:
            self.judgement = judge_files(
                self.paths, detector, self.folder,
                below=self.below, hear=self.hear, notice=self.note,
            )  # fmt: skip
            self.state = "done"
        except _Stopped:
            self.state = "stopped"
        except TumorlensError as error:
            self._fail(str(error))
        except Exception as error:  # one strange file must not end a service
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, why: str) -> None:
        """Say why without naming folders of this computer, and free the room of what was begun."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.error = why.replace(f"{self.folder}{os.sep}", "")
        self.state = "failed"  # last, for others look at it

    def stop(self) -> None:
        """End the run at its next slice."""
        self._stop.set()


class Jobs:
    """Jobs of one process, run one after another: a single one uses all threads of the detector.

    Args:
        detector: judges.
        most: jobs that are kept; a further one is refused until one is deleted.
        parent: where the folders of jobs are made; None: where the system has such folders.
    """

    def __init__(self, detector: Detector, *, most: int = 200, parent: Path | None = None) -> None:
        self.detector = detector
        self._most, self._parent = most, parent
        self._jobs: dict[str, Job] = {}
        self._ends: dict[str, Callable[[], None]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="judging")

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def start(
        self,
        paths: tuple[str, ...],
        *,
        title: str,
        below: Path | None = None,
        at_end: Callable[[], None] | None = None,
    ) -> Job:
        """Judge files as soon as it is their turn.

        Args:
            paths: files, folders and patterns.
            title: for people.
            below: names in records are relative to this folder.
            at_end: called when the job is deleted; removes its files, for example.

        Raises:
            UsageError: there are too many jobs.
        """
        if len(self._jobs) >= self._most:
            raise UsageError(f"{self._most} results are kept already; delete some first")
        folder = Path(tempfile.mkdtemp(prefix="tumorlens-", dir=self._parent))
        job = Job(secrets.token_urlsafe(12), title, paths, below, folder)
        self._jobs[job.key] = job
        self._ends[job.key] = at_end or (lambda: None)
        self._pool.submit(job.run, self.detector)
        return job

    def find(self, key: str) -> Job | None:
        """The job of this key."""
        return self._jobs.get(key)

    def delete(self, key: str) -> None:
        """Stop a job and forget it, with all that was kept of it. An unknown key is no error."""
        job = self._jobs.pop(key, None)
        if job is None:
            return
        job.stop()
        at_end = self._ends.pop(key)

        def clean() -> None:
            shutil.rmtree(job.folder, ignore_errors=True)
            at_end()

        if job.ended is None:
            self._pool.submit(clean)  # when it has ended: it may write until then
        else:
            clean()

    def close(self) -> None:
        """Stop and delete all jobs; returns when no trace of them is left."""
        for key in list(self._jobs):
            self.delete(key)
        self._pool.shutdown()
