"""The loop of a watch: look for studies, judge them, send the answers; again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from tumorlens.digits import say_count
from tumorlens.errors import UsageError
from tumorlens.integration.pacs.boxes import (
    Answering,
    Inbox,
    Outbox,
    Refused,
    Unanswerable,
    Unreachable,
)
from tumorlens.integration.pacs.spool import Spool
from tumorlens.integration.pacs.study_queue import QueuedStudy, StudyQueue
from tumorlens.integration.pacs.watch_metrics import write_metrics
from tumorlens.progress import Notice, stay_silent

__all__ = ["Watch"]

_FIRST_WAIT, _LONGEST_WAIT = 2.0, 300.0  # seconds until the next try
_MOST_REFUSALS = 5
_LATER = "nothing is lost, start the watch again later"


@dataclass(slots=True)
class Watch:
    """A watch over one inbox.

    Attributes:
        inbox, outbox: where studies come from, and where answers go.
        answerer: the model.
        spool: the folder of the watch.
        every: seconds between two looks.
        log: takes a line a study.
        notice: takes sentences for a person.
        metrics: file for numbers in Prometheus's text format.
        stop: set it, and the watch ends after the study at hand.
    """

    inbox: Inbox
    outbox: Outbox
    answerer: Answering
    spool: Spool
    queue: StudyQueue
    every: float = 5.0
    log: Notice = stay_silent
    notice: Notice = stay_silent
    metrics: Path | None = None
    stop: Event = field(default_factory=Event)
    clock: Callable[[], float] = time.time
    _misses: int = 0
    _numbers_missed: bool = False
    _next_look: float = 0.0

    def revive(self) -> int:
        """Give studies that failed another chance; says how many."""
        return self.queue.revive(self.clock())

    def run(self, *, once: bool = False) -> bool:
        """Work until `stop` is set.

        Args:
            once: end when nothing is left to do now.

        Returns:
            Whether nothing went wrong: no study of this run failed or waits for another try.
        """
        sound = True
        while not self.stop.is_set():
            arriving = self._look(once)
            study = self.queue.take_next(self.clock())
            if study is not None:
                sound = self._advance(study) and sound
            self._tell_metrics()
            if study is not None:
                continue
            if once and not arriving:
                break
            self.stop.wait(min(self.every, 1.0) if once else self.every)
        return sound and not self._misses

    def _look(self, once: bool) -> bool:
        """Take in what is complete. Called between two studies, too, but not more often than due.

        Gives whether something is arriving; that a source cannot be reached is told once.
        """
        now = time.monotonic()
        if now < self._next_look:
            return True
        try:
            arriving = self.inbox.look(self.queue)
        except Unreachable as error:
            again = _LATER if once else "the watch tries again until it answers"
            return self._miss(now, f"{error}; {again}")
        except OSError as error:  # e.g. no room for what was received
            again = _LATER if once else "the watch tries again until it does not"
            return self._miss(now, f"{_tell_disk(error)}; {again}")
        if self._misses:
            self.notice("the source answers again")
        took = time.monotonic() - now
        self._misses, self._next_look = 0, now + max(min(self.every, 1.0), 10 * took)
        return arriving

    def _miss(self, now: float, words: str) -> bool:
        self._misses += 1
        self._next_look = now + _back_off(self._misses)
        self.queue.count("unreachable")
        if self._misses == 1:
            self.notice(words)
        return False

    def _advance(self, study: QueuedStudy) -> bool:
        """Do the next step of a study; gives whether all went well."""
        if not self.queue.begin(study):
            self._give_up(study, "its work was cut off too often")
            return False
        try:
            self._work(study)
        except (KeyboardInterrupt, UsageError):
            self.queue.release(study)
            raise
        except Unanswerable as error:
            self._give_up(study, str(error))
        except Unreachable as error:
            self._postpone(study, str(error))
        except OSError as error:
            self._postpone(study, _tell_disk(error))
        except Refused as error:
            self._try_again(study, str(error))
        except Exception as error:  # one odd study may fail in any library, and others wait
            self._try_again(study, f"its work ended in {type(error).__name__}")
        else:
            return True
        return False

    def _work(self, study: QueuedStudy) -> None:
        if study.state == "received":
            self._judge(study)
        else:
            self._send(study)

    def _try_again(self, study: QueuedStudy, reason: str) -> None:
        """Put a study off that is at fault itself, but not for ever."""
        if study.tries + 1 < _MOST_REFUSALS:
            self._postpone(study, reason)
        else:
            self._give_up(study, reason)

    def _judge(self, study: QueuedStudy) -> None:
        images, begin = self.spool.find_images(study), time.monotonic()
        if not images.exists():
            there = self._fetch(study, images)
            if not there:
                reason = "changed or was removed before it was judged"
                self.queue.end(study, "left_out", self.clock(), reason)
                self.log(f"study {study.label} left out: it {reason}")
                self.spool.drop(study)
                return
        with self.spool.fill(self.spool.find_objects(study)) as folder:
            answer = self.answerer.answer(study, images, folder)
        seconds = time.monotonic() - begin
        words = f"{answer.words}, judged in {seconds:.1f} s"
        self.queue.judge(study, answer.objects, self.clock(), words)

    def _fetch(self, study: QueuedStudy, images: Path) -> bool:
        with self.spool.fill(images) as folder:
            return self.inbox.fetch(study, folder)

    def _send(self, study: QueuedStudy) -> None:
        folder = self.spool.find_objects(study)
        files = {
            instance: folder / name for instance, name in self.queue.list_unsent(study).items()
        }
        sent = 0
        for instance in self.outbox.deliver(study.study, files):
            self.queue.mark_sent(study, instance)
            sent += 1
        if sent < len(files):
            raise Unreachable(f"{self.outbox.name} has not taken every object")
        words, now = self.queue.find_reason(study), self.clock()
        self.queue.end(study, "sent", now, words)
        self.spool.drop(study)
        count = say_count(len(files), "object")
        age = max(0.0, now - study.arrived)
        self.log(f"study {study.label} sent: {words}, {count}, {age:.1f} s after arrival")

    def _postpone(self, study: QueuedStudy, reason: str) -> None:
        wait = _back_off(study.tries + 1)
        self.queue.postpone(study, self.clock() + wait)
        self.log(f"study {study.label} waits {wait:.0f} s: {reason}")

    def _give_up(self, study: QueuedStudy, reason: str) -> None:
        self.queue.end(study, "failed", self.clock(), reason)
        if not self.inbox.keeps_images:
            self.spool.drop(study)
        kept = f"; its images are in {self.spool.find(study)}" if self.inbox.keeps_images else ""
        self.log(f"study {study.label} failed: {reason}{kept}")

    def _tell_metrics(self) -> None:
        if self.metrics is None:
            return
        try:
            write_metrics(self.metrics, self.queue, self.clock())
        except UsageError as error:
            if not self._numbers_missed:
                self.notice(f"{error}; the watch goes on without these numbers")
            self._numbers_missed = True
        else:
            self._numbers_missed = False


def _tell_disk(error: OSError) -> str:
    return f"the disk fails ({error.strerror or type(error).__name__})"


def _back_off(tries: int) -> float:
    """Seconds to wait after so many failed attempts: 2, 4, 8 … 300."""
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(tries - 1, 16))
