"""How far long work has come: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tumorlens.cli.words import Voice

__all__ = ["Pace", "Pulse"]

SECONDS = 30.0
"""Between two lines of a log."""


class Pace:
    """Lines for a log, where no bar can be drawn: at most one in `SECONDS`, none of short work.

    Args:
        say: takes a line.
        what: is going on, in a word.
        unit: what is counted, e.g. ``"files"``; may be empty.
    """

    def __init__(self, say: Callable[[str], None], what: str, unit: str = "") -> None:
        self.say = say
        self.what = what
        self.unit = unit
        self.began = self.last = perf_counter()

    def tell(self, done: int, total: Callable[[], int | None]) -> None:
        """Say how far it has come, if the last line is long enough ago.

        Args:
            done: units.
            total: gives the number of all, None if nobody knows; called only if a line is due.
        """
        now = perf_counter()
        if now - self.last < SECONDS:
            return
        self.last = now
        rate, of = done / (now - self.began), total()
        words = f"{self.what}: {done:,}" + (f" of {of:,}" if of else "")
        left = ""
        if of and rate and done >= min(10, of / 10):  # the first units pay for the start
            left = f", about {_write_time((of - done) / rate)} left"
        self.say(f"{words} {self.unit}".rstrip() + f" after {_write_time(now - self.began)}{left}")


class Pulse:
    """What a long run says: sentences, and between them how far it has come.

    Args:
        voice: that speaks.
        dated: whether each line begins with the time of day where there is no terminal.
    """

    def __init__(self, voice: Voice, *, dated: bool = True) -> None:
        self.voice = voice
        self.dated = dated
        self.drawn = not voice.quiet and sys.stderr.isatty()
        self._what = ""
        self._pace: Pace | None = None
        self._bar: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process has no part in what is drawn here."""
        return partial(Pulse, dated=self.dated), (self.voice,)

    def __enter__(self) -> Pulse:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def say(self, words: str) -> None:
        """Say a sentence; a bar makes way."""
        self._clear()
        dated = self.dated and not self.drawn
        self.voice.say(f"{datetime.now():%H:%M:%S} {words}" if dated else words)

    def advance(self, what: str, done: int, total: int) -> None:
        """Say how far ``what`` has come."""
        if self.drawn:
            self._draw(what, done, total)
        elif not self.voice.quiet:
            if what != self._what or self._pace is None:
                self._what, self._pace = what, Pace(self.say, what)
            self._pace.tell(done, lambda: total)

    def _draw(self, what: str, done: int, total: int) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(
                console=Console(stderr=True), transient=True, redirect_stdout=False,
                redirect_stderr=False,
            )  # fmt: skip
            self._bar.add_task(what, total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=what, completed=done, total=total)
        if done >= total:
            self._clear()

    def _clear(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _write_time(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
