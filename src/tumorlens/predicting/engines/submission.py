"""The door to submitit, which starts jobs: as an array of Slurm, or as processes of this machine.

Whether a job still runs is asked of Slurm's queue, which every cluster has, and not of its
accounting, which many have not. How a job ended is read from what its shard left on the disk.
"""

from __future__ import annotations

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage
from typing import Any, ClassVar, Literal

from tumorlens.errors import TumorlensError, UsageError
from tumorlens.optional import load
from tumorlens.workers import available_cores

__all__ = ["ENGINES", "Engine", "JobState", "LocalEngine", "SlurmEngine"]

_YEAR = 60 * 24 * 365  # minutes: a process of this machine is never ended for its age
_HOURS = 60 * 4  # minutes that Slurm is asked for unless the caller names others

_ROOM = 64 * 2**10  # bytes of a disk that is as good as full
_LONGEST = 600  # characters of what submitit or sbatch says

_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD")
_RUNNING = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
_USUAL = ("", "None", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime")


@dataclass(frozen=True, slots=True)
class JobState:
    """Of a job that has not ended.

    Attributes:
        state: ``runs`` or ``waits``.
        reason: why it waits, if that needs a person.
    """

    state: Literal["runs", "waits"]
    reason: str = ""


class Engine(ABC):
    """Starts jobs, knows which have not ended, and cancels them.

    Args:
        folder: for scripts and logs, seen by all machines.
        settings: parameters of submitit's executor.
    """

    name: ClassVar[str]
    poll_seconds: ClassVar[float]

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        self.settings = dict(settings)

    @abstractmethod
    def find_live(self, jobs: Iterable[str]) -> dict[str, JobState] | None:
        """Those of the jobs that have not ended; None if nobody can tell now."""

    @abstractmethod
    def cancel(self, jobs: Iterable[str]) -> None:
        """End jobs, if they have not ended."""

    def submit(self, function: Callable[..., None], calls: Sequence[Sequence[Any]]) -> list[str]:
        """Start a job for each call, and give their names.

        Raises:
            UsageError: the engine refuses them; says why.
            MissingExtra: submitit is not there.
        """
        try:
            executor = self._open()
            return self._start(executor, function, calls)
        except TumorlensError:
            raise
        except OSError as error:
            raise UsageError(
                f"{self.folder}: cannot be written ({error.strerror or error}); free space or "
                "choose another place, and go on with `resume=True`"
            ) from error
        except Exception as error:  # submitit's errors have no common base
            raise UsageError(
                f"`engine={self.name}`: its jobs cannot be started; `job=` changes how: "
                f"{_tell(error)}"
            ) from error

    def explain(self, job: str) -> str:
        """Why a job ended before its time, in a phrase: its last words, if it had any."""
        words = self._read_last_words(job)
        if words:
            return words
        if disk_usage(self.folder).free < _ROOM:
            return f"no room is left on the disk of {self.folder.parent}"
        return "it was ended from outside"

    def _read_last_words(self, job: str) -> str:
        with suppress(OSError):
            text = self._log_of(job).read_text(encoding="utf-8", errors="replace")
            lines = [line for line in text.splitlines() if line.strip()]
            told = [line for line in lines if not line.startswith(_SUBMITIT)]
            return told[-1].split(": ", 1)[-1] if told else ""
        return ""

    @abstractmethod
    def _open(self) -> Any:
        """An executor."""

    def _start(
        self, executor: Any, function: Callable[..., None], calls: Sequence[Sequence[Any]]
    ) -> list[str]:
        return [str(job.job_id) for job in executor.map_array(function, *zip(*calls, strict=True))]

    def _log_of(self, job: str) -> Path:
        return self.folder / f"{job}_0_log.err"


_SUBMITIT = "submitit "
"""What lines of submitit's own log begin with."""


class LocalEngine(Engine):
    """Processes of this machine. They go on if the process that started them ends."""

    name = "local"
    poll_seconds = 0.5

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        super().__init__(folder, settings)
        self._own: dict[str, Any] = {}

    def find_live(self, jobs: Iterable[str]) -> dict[str, JobState]:
        return {job: JobState("runs") for job in jobs if self._is_alive(job)}

    def cancel(self, jobs: Iterable[str]) -> None:
        import signal

        for job in jobs:
            if self._is_alive(job):
                with suppress(OSError):
                    os.kill(int(job), signal.SIGINT)

    def _open(self) -> Any:
        executor = load("submitit", "`engine=local`").AutoExecutor(self.folder, cluster="local")
        executor.update_parameters(**{"timeout_min": _YEAR} | self.settings)
        return executor

    def _start(
        self, executor: Any, function: Callable[..., None], calls: Sequence[Sequence[Any]]
    ) -> list[str]:
        jobs = executor.map_array(function, *zip(*calls, strict=True))
        self._own |= {str(job.job_id): job for job in jobs}
        return [str(job.job_id) for job in jobs]

    def _is_alive(self, job: str) -> bool:
        own = self._own.get(job)
        if own is not None:
            return str(own.state) == "RUNNING"
        try:
            os.kill(int(job), 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return self._is_ours(job)

    def _is_ours(self, job: str) -> bool:
        """Whether the number is of a job of this folder, and not of a later process."""
        try:
            words = Path(f"/proc/{int(job)}/cmdline").read_bytes()
        except OSError:  # no /proc: better wait for a stranger than start a shard twice
            return not Path("/proc/self").exists()
        return os.fsencode(self.folder) in words


class SlurmEngine(Engine):
    """An array of Slurm."""

    name = "slurm"
    poll_seconds = 5.0

    def find_live(self, jobs: Iterable[str]) -> dict[str, JobState] | None:
        wanted = set(jobs)
        arrays = ",".join(sorted({job.partition("_")[0] for job in wanted}))
        if not arrays:
            return {}
        command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={arrays}"]
        try:
            told = subprocess.run(
                [*command, "--format=%i|%T|%r"], capture_output=True, text=True, check=False,
                timeout=60,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return None
        if told.returncode and "Invalid job id" not in told.stderr:
            return None
        rows = [line.strip().split("|") for line in told.stdout.splitlines()]
        states = {row[0]: _read_state(row[1], row[2]) for row in rows if len(row) == 3}
        return {job: state for job, state in states.items() if job in wanted and state is not None}

    def cancel(self, jobs: Iterable[str]) -> None:
        named = list(jobs)
        for begin in range(0, len(named), 500):
            with suppress(OSError):
                subprocess.run(["scancel", *named[begin : begin + 500]], check=False, timeout=60)

    def _open(self) -> Any:
        executor = load("submitit", "`engine=slurm`").AutoExecutor(self.folder, cluster="slurm")
        executor.update_parameters(**{"timeout_min": _HOURS, "name": "tumorlens"} | self.settings)
        return executor


def _read_state(state: str, reason: str) -> JobState | None:
    """What Slurm's words mean; None for a job that has ended."""
    if state in _WAITING:
        return JobState("waits", "" if reason in _USUAL else reason)
    return JobState("runs") if state in _RUNNING else None


def _tell(error: Exception) -> str:
    """What submitit says, in one line that is not too long."""
    return " ".join(str(error).split())[:_LONGEST]


def count_cores(at_once: int) -> int:
    """Threads of each of so many processes of this machine."""
    return max(1, available_cores() // at_once)


ENGINES: dict[str, type[Engine]] = {"slurm": SlurmEngine, "local": LocalEngine}
"""Word for an engine -> what it is."""
