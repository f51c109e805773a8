"""`Following`: sends the shards of a run to an engine, and waits for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep

from tumorlens.digits import say_count
from tumorlens.errors import UsageError
from tumorlens.predicting.engines.job_books import JobBook
from tumorlens.predicting.engines.shard_jobs import ShardWork, judge_shard
from tumorlens.predicting.engines.submission import Engine, JobState
from tumorlens.progress import Notice, Progress
from tumorlens.writing import partial_path

__all__ = ["RESTARTS", "Following"]

RESTARTS = 2
"""How often a shard that failed is started again."""

_LOOKS = 3  # at a job that has ended, before its shard counts as failed: disks of a network lag


@dataclass(slots=True)
class _RecordCount:
    """Counts the lines that shards have written, and reads each but once."""

    read: dict[int, int] = field(default_factory=dict)
    lines: Counter[int] = field(default_factory=Counter)

    def count(self, book: JobBook) -> int:
        for number in book.numbers:
            path = book.file_of(number)
            try:
                self._add(number, path if path.exists() else partial_path(path))
            except OSError:  # it was renamed just now, or has not begun
                continue
        return self.lines.total()

    def _add(self, number: int, path: Path) -> None:
        begin = self.read.get(number, 0)
        if path.stat().st_size < begin:  # a torn line was cut off, or the shard began anew
            begin = self.lines[number] = 0
        with path.open("rb") as stream:
            stream.seek(begin)
            while chunk := stream.read(2**20):
                self.lines[number] += chunk.count(b"\n")
            self.read[number] = stream.tell()


@dataclass(slots=True)
class Following:
    """Where the shards of a run stand: each waits to be sent, is sent, done, or lost.

    Attributes:
        book: what was sent.
        engine: where to.
        work: what all jobs do alike.
        at_once: jobs that a machine of its own gets at the same time. Slurm sees to that itself.
        tell: told what goes on, the shards that are done, and the shards in all.
        say: takes sentences for a person.
        waiting, sent, done: numbers of shards.
        lost: number of a shard that failed too often -> what its job said last.
    """

    book: JobBook
    engine: Engine
    work: ShardWork
    at_once: int
    tell: Progress
    say: Notice
    waiting: list[int] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    lost: dict[int, str] = field(default_factory=dict)
    _failures: Counter[int] = field(default_factory=Counter)
    _looks: Counter[int] = field(default_factory=Counter)
    _told: set[str] = field(default_factory=set)
    _records: _RecordCount = field(default_factory=_RecordCount)

    def run(self, *, goes_on: bool) -> None:
        """Until each shard is done or lost.

        Args:
            goes_on: the book was taken up from an earlier run.

        Raises:
            UsageError: shards are lost; says which, and what their jobs said last.
        """
        book = self.book
        book.folder.mkdir(exist_ok=True)
        self.done = {number for number in book.numbers if book.is_done(number)}
        self.sent = set(book.jobs) - self.done
        self.waiting = [one for one in book.numbers if one not in self.done | self.sent]
        if goes_on:
            self.say(f"{len(self.done):,} of {book.shards:,} shards are done already")
            self._take_back()
        try:
            while self._step():
                sleep(self.engine.poll_seconds)
        except KeyboardInterrupt:
            self.engine.cancel([book.jobs[number] for number in self.sent])
            self.say(f"{len(self.sent):,} jobs were cancelled; go on with `resume=True`")
            raise
        if self.lost:
            raise UsageError(self._list_lost())

    def _take_back(self) -> None:
        """Jobs that ended without their driver are sent again, and are no failures of this run."""
        live = self._ask()
        ended = set() if live is None else self.sent - set(live)
        self.sent -= ended
        self.waiting = sorted([*self.waiting, *ended])

    def _step(self) -> bool:
        """Look at all jobs once, and send what may be sent; whether anything is left to do."""
        live = self._ask()
        for number in [] if live is None else sorted(self.sent - set(live)):
            self._settle(number)
        room = len(self.waiting)
        if self.engine.name == "local":
            room = max(self.at_once - len(self.sent), 0)
        self._submit(self.waiting[:room])
        self._tell_state(live or {})
        return bool(self.sent or self.waiting)

    def _ask(self) -> dict[int, JobState] | None:
        """The jobs that have not ended; None if the engine does not say."""
        names = {self.book.jobs[number]: number for number in self.sent}
        live = self.engine.find_live(names)
        if live is None:
            line = f"{self.engine.name} does not answer; its jobs are waited for"
            self._say_once(line, line)
            return None
        for reason, count in Counter(one.reason for one in live.values()).items():
            if reason:
                shards = say_count(count, "shard waits", "shards wait")
                self._say_once(reason, f"{shards}, and {self.engine.name} says: {reason}")
        return {names[job]: state for job, state in live.items()}

    def _settle(self, number: int) -> None:
        """See what came of a job that has ended; wait as long as the disk may lag behind."""
        self._looks[number] += 1
        if self.book.is_done(number):
            self.done.add(number)
        elif self._looks[number] < _LOOKS:
            return
        else:
            self._fail(number)
        self._looks[number] = 0
        self.sent.discard(number)

    def _fail(self, number: int) -> None:
        self._failures[number] += 1
        words = self.engine.explain(self.book.jobs[number])
        if self._failures[number] > RESTARTS:
            self.lost[number] = words
            return
        self.waiting.append(number)
        self.say(
            f"shard {self.book.name_shard(number)} failed ({words}); it goes on where it was, "
            f"restart {self._failures[number]} of {RESTARTS}"
        )

    def _submit(self, numbers: Sequence[int]) -> None:
        if not numbers:
            return
        book = self.book
        calls = [(self.work, str(book.name_shard(one)), str(book.file_of(one))) for one in numbers]
        book.jobs.update(zip(numbers, self.engine.submit(judge_shard, calls), strict=True))
        book.save()
        self.sent |= set(numbers)
        self.waiting = [one for one in self.waiting if one not in self.sent]

    def _tell_state(self, live: Mapping[int, JobState]) -> None:
        runs = sum(state.state == "runs" for state in live.values())
        waits = len(self.sent) + len(self.waiting) - runs
        records = self._records.count(self.book)
        self.tell(
            f"{records:,} records, {runs:,} run, {waits:,} wait", len(self.done), self.book.shards
        )

    def _say_once(self, what: str, line: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.say(line)

    def _list_lost(self) -> str:
        book, shards = self.book, say_count(len(self.lost), "shard")
        lines = "".join(
            f"\n  shard {book.name_shard(number)}: {words}"
            for number, words in sorted(self.lost.items())
        )
        return (
            f"{shards} of {book.shards:,} failed {RESTARTS + 1} times, and nothing was merged; "
            f"what is finished is kept in {book.folder}. Read the logs in {self.engine.folder}, "
            f"mend the cause, and go on with `resume=True`:{lines}"
        )
