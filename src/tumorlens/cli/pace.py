"""How far long work has come: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from functools import cache, cached_property, partial
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any, cast

from tumorlens.cli.words import Voice

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

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
    """What a long run says: sentences, and how far it has come. A bar on a terminal, else lines.

    Args:
        voice: that speaks; a quiet one draws and says nothing.
        unit: what is counted, e.g. ``"files"``; may be empty, and may change on the way.
        dated: whether each line begins with the time of day where there is no terminal.
        on_output: results scroll on the same terminal, so the bar is drawn below them on standard
            output. They go to `console` or to `stream`.

    Attributes:
        drawn: whether there is a bar.
    """

    def __init__(
        self, voice: Voice, *, unit: str = "", dated: bool = False, on_output: bool = False
    ) -> None:
        self.voice = voice
        self.unit = unit
        self.dated = dated
        self.on_output = on_output
        seen = sys.stderr.isatty() and (sys.stdout.isatty() or not on_output)
        self.drawn = seen and not voice.quiet
        self._pace: Pace | None = None
        self._bar: Progress | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process has no part in what is drawn here."""
        return partial(Pulse, unit=self.unit, dated=self.dated), (self.voice,)

    def __enter__(self) -> Pulse:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    @property
    def console(self) -> Console | None:
        """What the bar is drawn on, if results scroll above it; else None."""
        return self._console if self.drawn and self.on_output else None

    @property
    def stream(self) -> IO[str] | None:
        """Takes text to show above the bar; None where there is no bar in the way."""
        return None if self.console is None else cast("IO[str]", _AboveBar(self.console))

    def say(self, words: str) -> None:
        """Say a sentence; it stands above the bar."""
        if self._bar is not None:
            _print_above(self._console, self.voice.spell(words) + "\n")
        else:
            dated = self.dated and not self.drawn
            self.voice.say(f"{datetime.now():%H:%M:%S} {words}" if dated else words)

    def advance(self, what: str, done: int, total: int) -> None:
        """Say how far ``what`` has come."""
        self._tell(what, done, lambda: total)

    def count(self, what: str, total: Callable[[], int | None]) -> Callable[[int], None]:
        """Say how far ``what`` has come, step by step.

        Args:
            what: is going on, in a word.
            total: gives the number of units, None if nobody knows; called once, and only if the
                bar is drawn or a line is due.

        Returns:
            A function that takes the number of units done since its last call.
        """
        done, known = 0, cache(total)

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self._tell(what, done, known)

        if self.drawn:
            self._draw(what, 0, total=known())
        return advance

    def _tell(self, what: str, done: int, total: Callable[[], int | None]) -> None:
        if self.drawn:
            self._draw(what, done, total())
        elif not self.voice.quiet:
            if self._pace is None or self._pace.what != what:
                self._pace = Pace(self.say, what)
            self._pace.unit = self.unit
            self._pace.tell(done, total)

    def _draw(self, what: str, done: int, total: int | None) -> None:
        if self._bar is None:
            self._bar = _open_bar(self._console)
            self._bar.add_task(what, total=total, unit="", rate="")
        bar, task = self._bar, self._bar.tasks[0]
        if task.description != what:
            bar.reset(task.id)
        rate = f"{done / max(task.elapsed or 0, 1e-9):,.0f}/s" if self.unit and done else ""
        bar.update(
            task.id, description=what, completed=done, total=total, unit=self.unit, rate=rate
        )
        if done == total:
            self._clear()

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(stderr=not self.on_output)

    def _clear(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _open_bar(console: Console) -> Progress:
    """A bar with count, rate and remaining time."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console, transient=True, redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
    bar.start()
    return bar


class _AboveBar:
    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        _print_above(self._console, text)

    def flush(self) -> None:
        """Rich prints at once."""


def _print_above(console: Console, text: str) -> None:
    console.print(text, end="", soft_wrap=True, markup=False, highlight=False)


def _write_time(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
