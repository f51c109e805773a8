"""`Desk`: judges what requests hand in, keeps results of jobs for a while, and knows no HTTP."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

from tumorlens.detector import Detector
from tumorlens.integration.service.ceilings import DEFAULT_SERVICE, ServiceLimits
from tumorlens.integration.service.counters import Counters
from tumorlens.integration.service.problems import Problem
from tumorlens.serving.deposits import Deposit
from tumorlens.serving.jobs import Job, Jobs
from tumorlens.serving.judging import Heard, Judgement, judge_files
from tumorlens.version import __version__

__all__ = ["Desk", "Place", "check_read"]

Result = TypeVar("Result")
SWEEPS = 20  # looks at the results in the time that they are kept
LONGEST_PAUSE = 15.0  # seconds between two looks
AGAIN = {"Retry-After": "5"}


class _TooLong(Exception):
    """The time of a request is up."""


class Answer:
    """One request that waits for its verdict: its own thread, stopped at its next slice."""

    def __init__(self, deposit: Deposit, detector: Detector) -> None:
        self.notices: list[str] = []
        self._deposit, self._detector, self._late = deposit, detector, Event()

    def judge(self) -> Judgement:
        """Judge the files, and remove them.

        Raises:
            TumorlensError: none of them is an image.
        """
        deposit = self._deposit
        try:
            self._check_time(Heard())
            return judge_files(
                deposit.paths, self._detector, None,
                below=deposit.files, hear=self._check_time, notice=self.notices.append,
            )  # fmt: skip
        finally:
            self._deposit.close()

    def stop(self) -> None:
        """Nobody waits any more."""
        self._late.set()

    def _check_time(self, _: Heard) -> None:
        if self._late.is_set():
            raise _TooLong


class Place:
    """One of the places of requests with files; free when the request *and* its thread are done.

    All is called in the thread of the event loop.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave, self._holds = leave, 1

    def hold_until(self, done: asyncio.Future[Any]) -> None:
        """Keep the place until then, too: a thread may outlive the answer to its request."""
        self._holds += 1
        done.add_done_callback(lambda _: self._release())

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        self._holds -= 1
        if not self._holds:
            self._leave()


class Desk:
    """What the answers of a service are made from.

    Short requests are judged side by side, a thread each; jobs one after another, with all threads.

    Args:
        detector: the model; gives its session, threads and operating point.
        limits: of the service.
        parent: where its temporary folder is made; None: where the system has such folders.

    Attributes:
        folder: of all files; removed at the end.
        counters: for Prometheus.
    """

    def __init__(
        self,
        detector: Detector,
        limits: ServiceLimits = DEFAULT_SERVICE,
        *,
        parent: Path | None = None,
    ) -> None:
        self.limits = limits
        self.folder = Path(tempfile.mkdtemp(prefix="tumorlens-serve-", dir=parent))
        self.detector = _reopen(detector, detector.threads, limits)
        self._single = _reopen(detector, 1, limits)
        self.jobs = Jobs(self.detector, most=limits.max_results, parent=self.folder)
        self._judging = ThreadPoolExecutor(detector.threads, thread_name_prefix="answering")
        self._drawing = ThreadPoolExecutor(2, thread_name_prefix="drawing")
        self._in_hand = 0
        self._counted: set[str] = set()
        self.counters = Counters(__version__, detector.name, self._count_jobs, self._count_in_hand)
        self._ended = Event()
        self._sweeper = Thread(target=self._sweep_until_end, name="sweeping", daemon=True)
        self._sweeper.start()

    def take_place(self) -> Place:
        """Take one of the places of requests with files.

        Raises:
            Problem: all are taken.
        """
        if self._in_hand >= self.limits.max_requests:
            raise Problem(
                429,
                f"{self.limits.max_requests} requests are in hand already; try again in a moment",
                headers=AGAIN,
            )
        self._in_hand += 1
        return Place(self._leave)

    def open_deposit(self) -> Deposit:
        """A folder for the files of one request."""
        return Deposit(self.limits.upload, self.limits.reading, self.folder)

    async def answer(
        self, deposit: Deposit, place: Place, seconds: float
    ) -> tuple[Judgement, list[str]]:
        """Judge a deposit at once, and remove it.

        Args:
            deposit: the files.
            place: of the request.
            seconds: after which nobody waits any more.

        Returns:
            What came of it, and sentences for a person.

        Raises:
            Problem: it took too long, or no file could be read.
            TumorlensError: none of the files is an image.
        """
        waiting = Answer(deposit, self._single)
        done = asyncio.get_running_loop().run_in_executor(self._judging, waiting.judge)
        place.hold_until(done)
        try:
            judgement = await asyncio.wait_for(asyncio.shield(done), max(seconds, 0.001))
        except (TimeoutError, _TooLong):
            raise Problem(
                503,
                f"judging took longer than {self.limits.seconds:g} seconds; send it to /jobs",
                headers=AGAIN,
            ) from None
        finally:
            waiting.stop()
            done.add_done_callback(_forget)
        self._count(judgement)
        check_read(judgement)
        return judgement, waiting.notices

    def check_room(self) -> None:
        """Find out whether one more job may be kept.

        Raises:
            Problem: there are too many.
        """
        if len(list(self.jobs)) >= self.limits.max_results:
            raise Problem(
                503,
                f"{self.limits.max_results} jobs are kept already; delete one, or try again later",
                headers={"Retry-After": "60"},
            )

    def start_job(self, deposit: Deposit) -> Job:
        """Judge a deposit when it is its turn, and keep the result for a while.

        Raises:
            Problem: there are too many jobs.
        """
        self.check_room()
        return self.jobs.start(
            (str(deposit.files),), title="", below=deposit.files, at_end=deposit.close
        )

    def find_job(self, key: str) -> Job:
        """A job that is kept.

        Raises:
            Problem: there is none of this key.
        """
        job = self.jobs.find(key)
        if job is None:
            raise Problem(404, "no such job; results are deleted after a while")
        return job

    async def draw(self, make: Callable[..., Result], *arguments: Any) -> Result:
        """Make a page or a picture, two at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._drawing, make, *arguments)

    def close(self) -> None:
        """Stop everything and remove all files."""
        self._ended.set()
        self._sweeper.join()
        for pool in (self._judging, self._drawing):
            pool.shutdown(cancel_futures=True)
        self.jobs.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sweep(self) -> None:
        """Delete results that are old, and stop jobs that take too long."""
        now = time.monotonic()
        for job in self.jobs:
            if job.ended is not None:
                self._count_job(job)
                if now - job.ended >= self.limits.keep_seconds:
                    self.jobs.delete(job.key)
                    self._counted.discard(job.key)
            elif job.begun is not None and now - job.begun >= self.limits.job_seconds:
                job.stop()

    def _sweep_until_end(self) -> None:
        shortest = min(self.limits.keep_seconds, self.limits.job_seconds)
        while not self._ended.wait(min(LONGEST_PAUSE, shortest / SWEEPS)):
            self.sweep()

    def _count_job(self, job: Job) -> None:
        if job.key not in self._counted and job.judgement is not None:
            self._counted.add(job.key)
            self._count(job.judgement)

    def _count(self, judgement: Judgement) -> None:
        studies = Counter(str(study.verdict or "none") for study in judgement.studies)
        self.counters.count_verdicts(judgement.counts, studies)

    def _count_jobs(self) -> Counter[str]:
        return Counter(job.state for job in self.jobs)

    def _count_in_hand(self) -> int:
        return self._in_hand

    def _leave(self) -> None:
        self._in_hand -= 1


def check_read(judgement: Judgement) -> None:
    """Refuse a judgement of files that could not be read, not one of them.

    Raises:
        Problem: says what is wrong with each.
    """
    if set(judgement.counts) != {"error"}:
        return
    failed = [
        {"path": one["path"], "error": one["error"]} for one in judgement.records if one["error"]
    ]
    first = failed[0]
    more = f" (and {len(failed) - 1:,} more)" if len(failed) > 1 else ""
    raise Problem(422, f"{first['path']}: {first['error']}{more}", files=failed[:100])


def _reopen(detector: Detector, threads: int, limits: ServiceLimits) -> Detector:
    """The same model, with the limits of the service."""
    return Detector(
        detector.session, operating_point=detector.operating_point, threads=threads,
        batch_size=detector.batch_size, limits=limits.reading, mirror=detector.mirror,
    )  # fmt: skip


def _forget(done: asyncio.Future[Any]) -> None:
    """An answer that came too late: its error is of no interest."""
    if not done.cancelled():
        done.exception()
