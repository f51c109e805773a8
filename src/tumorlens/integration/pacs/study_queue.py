"""The queue of a watch: SQLite on the disk, one state machine a study.

::

    received -> judged -> sent
        └──────────┴────> failed, left_out

A state changes in one transaction, after the work that it stands for has reached the disk. So a
watch that is killed takes up each study where it was, and sends nothing again. Other processes are
shut out, for two watches on one queue would send everything twice.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any, Literal, get_args

from tumorlens.errors import UsageError
from tumorlens.writing import may_write

__all__ = ["STATES", "Arrival", "QueuedStudy", "State", "StudyQueue"]

State = Literal["received", "judged", "sent", "left_out", "failed"]
STATES: tuple[State, ...] = get_args(State)

_SCHEMA = 1
_MOST_CRASHES = 5  # a study that ends the process each time must not hold up all others
_LONGEST_WAIT = 300.0  # seconds; a later time stands there only after a clock was set back

_TABLES = f"""
CREATE TABLE IF NOT EXISTS studies (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    study TEXT NOT NULL,
    content TEXT NOT NULL,
    images INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    arrived REAL NOT NULL,
    changed REAL NOT NULL,
    due REAL NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS studies_by_state ON studies (state, crashes, number);
CREATE TABLE IF NOT EXISTS objects (
    key TEXT NOT NULL,
    instance TEXT NOT NULL,
    name TEXT NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (key, instance)
);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
PRAGMA user_version = {_SCHEMA};
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A study that is complete.

    Attributes:
        study: its Study Instance UID.
        content: digest of the SOP Instance UIDs of the images that will be judged.
        images: how many there are; 0 if no series passes the filters.
    """

    study: str
    content: str
    images: int

    @property
    def key(self) -> str:
        """Names the study with its content. No UID can be read from it."""
        from hashlib import sha256

        return f"{sha256(self.study.encode()).hexdigest()[:12]}-{self.content[:12]}"


@dataclass(frozen=True, slots=True)
class QueuedStudy:
    """A study on its way.

    Attributes:
        key, study, content, images: see `Arrival`.
        state: where it is.
        arrived: when it was received, in seconds since 1970.
        tries: attempts that failed since the state changed.
        crashes: attempts that never ended.
    """

    key: str
    study: str
    content: str
    images: int
    state: State
    arrived: float
    tries: int
    crashes: int

    @property
    def label(self) -> str:
        """What it is called in the log: a digest of its Study Instance UID."""
        return self.key.partition("-")[0]


_COLUMNS = "key, study, content, images, state, arrived, tries, crashes"


@dataclass(slots=True)
class StudyQueue:
    """The studies of a watch. Several threads may use it.

    Args:
        path: of the database; made if it is not there.

    Raises:
        UsageError: another process has it open, or it cannot be read or written.
    """

    path: Path
    _base: sqlite3.Connection = field(init=False, repr=False)
    _lock: RLock = field(init=False, repr=False, default_factory=RLock)

    def __post_init__(self) -> None:
        with self._tell_errors():
            self._base = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False
            )
            self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            (schema,) = self._base.execute("PRAGMA user_version").fetchone()
            if schema > _SCHEMA:
                raise UsageError(
                    f"{self.path}: was written by a newer tumorlens; update, or name another "
                    "folder with `queue=`"
                )
            self._base.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")

    def close(self) -> None:
        self._base.close()

    def receive(self, arrival: Arrival, now: float) -> bool:
        """Take a study in; False if it is known already, with this very content."""
        state: State = "received" if arrival.images else "left_out"
        reason = "" if arrival.images else "no series passes the filters"
        done = self._execute(
            "INSERT OR IGNORE INTO studies (key, study, content, images, state, reason, arrived, "
            "changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (arrival.key, arrival.study, arrival.content, arrival.images, state, reason, now, now),
        )
        return done.rowcount == 1

    def take_next(self, now: float) -> QueuedStudy | None:
        """The study whose turn it is, or None. What has crashed before comes after the others."""
        found = self._execute(
            f"SELECT {_COLUMNS} FROM studies WHERE state IN ('received', 'judged') "
            "AND (due <= ? OR due > ?) ORDER BY crashes, number LIMIT 1",
            (now, now + _LONGEST_WAIT),
        ).fetchone()
        return None if found is None else QueuedStudy(*found)

    def begin(self, study: QueuedStudy) -> bool:
        """Note that work on a study begins; False if too many attempts never ended."""
        if study.crashes >= _MOST_CRASHES:
            return False
        self._execute("UPDATE studies SET crashes = crashes + 1 WHERE key = ?", (study.key,))
        return True

    def postpone(self, study: QueuedStudy, due: float) -> None:
        """Note that an attempt came to nothing, and when to try again."""
        self._execute(
            "UPDATE studies SET tries = tries + 1, crashes = 0, due = ? WHERE key = ?",
            (due, study.key),
        )
        self.count("retries")

    def release(self, study: QueuedStudy) -> None:
        """Note that an attempt was given up without a fault of the study's."""
        self._execute("UPDATE studies SET crashes = 0 WHERE key = ?", (study.key,))

    def end(self, study: QueuedStudy, state: State, now: float, reason: str = "") -> None:
        """Move a study on."""
        self._execute(
            "UPDATE studies SET state = ?, reason = ?, changed = ?, due = 0, tries = 0, "
            "crashes = 0 WHERE key = ?",
            (state, reason, now, study.key),
        )

    def judge(
        self, study: QueuedStudy, objects: Mapping[str, str], now: float, reason: str
    ) -> None:
        """Move a study on from received to judged.

        Args:
            study: the study.
            objects: SOP Instance UID -> name of the file.
            now: the time.
            reason: what was found, for the log.
        """
        with self._transact():
            self._base.execute("DELETE FROM objects WHERE key = ?", (study.key,))
            self._base.executemany(
                "INSERT INTO objects (key, instance, name) VALUES (?, ?, ?)",
                [(study.key, instance, name) for instance, name in objects.items()],
            )
            self.end(study, "judged", now, reason)

    def list_unsent(self, study: QueuedStudy) -> dict[str, str]:
        """SOP Instance UID -> name of the file, of objects that are still to be sent."""
        found = self._execute(
            "SELECT instance, name FROM objects WHERE key = ? AND NOT sent ORDER BY name",
            (study.key,),
        )
        return dict(found.fetchall())

    def mark_sent(self, study: QueuedStudy, instance: str) -> None:
        """Note that an object has arrived."""
        self._execute(
            "UPDATE objects SET sent = 1 WHERE key = ? AND instance = ?", (study.key, instance)
        )

    def find_reason(self, study: QueuedStudy) -> str:
        """What was said when the state changed last."""
        found = self._execute("SELECT reason FROM studies WHERE key = ?", (study.key,)).fetchone()
        return str(found[0]) if found else ""

    def find(self, key: str) -> QueuedStudy | None:
        """The study of a key, or None."""
        found = self._execute(f"SELECT {_COLUMNS} FROM studies WHERE key = ?", (key,)).fetchone()
        return None if found is None else QueuedStudy(*found)

    def revive(self, now: float) -> int:
        """Give failed studies another chance; says how many."""
        done = self._execute(
            "UPDATE studies SET state = 'received', changed = ?, due = 0, tries = 0, crashes = 0 "
            "WHERE state = 'failed'",
            (now,),
        )
        return done.rowcount

    def count_states(self) -> dict[State, int]:
        """State -> studies."""
        found = dict(self._execute("SELECT state, COUNT(*) FROM studies GROUP BY state").fetchall())
        return {state: found.get(state, 0) for state in STATES}

    def count_objects(self) -> int:
        """Objects that were sent."""
        (count,) = self._execute("SELECT COUNT(*) FROM objects WHERE sent").fetchone()
        return int(count)

    def find_oldest(self) -> float | None:
        """When the study that waits longest arrived."""
        (oldest,) = self._execute(
            "SELECT MIN(arrived) FROM studies WHERE state IN ('received', 'judged')"
        ).fetchone()
        return None if oldest is None else float(oldest)

    def read_mark(self, name: str) -> int | None:
        """A number that outlives the process; None if it was never written."""
        found = self._execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return None if found is None else int(found[0])

    def write_mark(self, name: str, value: int) -> None:
        self._execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))

    def list_marks(self, beginning: str) -> list[str]:
        """Names of the marks that begin with a text."""
        found = self._execute("SELECT name FROM marks WHERE name GLOB ?", (f"{beginning}*",))
        return [str(name) for (name,) in found.fetchall()]

    def delete_mark(self, name: str) -> None:
        self._execute("DELETE FROM marks WHERE name = ?", (name,))

    def count(self, name: str) -> None:
        """Add one to a mark."""
        self._execute(
            "INSERT INTO marks VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
            (name,),
        )

    def _execute(self, words: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        with self._lock, self._tell_errors():
            return self._base.execute(words, tuple(values))

    @contextmanager
    def _transact(self) -> Iterator[None]:
        with self._lock, self._tell_errors():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

    @contextmanager
    def _tell_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise UsageError(
                    f"{self.path}: another tumorlens watch works on this queue; end it, or name "
                    "another folder with `queue=`"
                ) from error
            raise self._unusable(error) from error
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error) -> UsageError:
        # Where a folder above may not be entered, `Path.exists` raises.
        places = [self.path] if os.path.exists(self.path) else []  # noqa: PTH110
        if not all(map(may_write, (*places, self.path.parent))):
            return UsageError(
                f"{self.path}: the queue cannot be written, for this file or its folder is "
                "read-only; permit writing, or name another folder with `queue=`"
            )
        return UsageError(
            f"{self.path}: the queue cannot be used ({error}); free space, or name another folder "
            "with `queue=`"
        )
