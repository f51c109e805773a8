"""How far long work has come: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache, partial
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any, cast

from tumorlens.cli.words import Voice

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Bar", "Pace", "Pulse", "open_bar"]

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


class Bar:
    """A progress bar, or nothing where nobody looks.

    Attributes:
        advance: takes the number of units that were done since the last call.
        say: takes a line for the person, which may not tear the bar.
        console: what the bar is drawn on, if results scroll above it; else None.
    """

    def __init__(
        self,
        advance: Callable[[int], None],
        say: Callable[[str], None],
        console: Console | None = None,
    ) -> None:
        self.advance = advance
        self.say = say
        self.console = console

    @property
    def stream(self) -> IO[str] | None:
        """Takes text to show above the bar; None where there is no bar in the way."""
        return None if self.console is None else cast("IO[str]", _AboveBar(self.console))


class _AboveBar:
    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        self._console.print(text, end="", soft_wrap=True, markup=False, highlight=False)

    def flush(self) -> None:
        """Rich prints at once."""


def _count_for(pace: Pace, total: Callable[[], int | None]) -> Callable[[int], None]:
    done, known = 0, cache(total)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        pace.tell(done, known)

    return advance


@contextmanager
def open_bar(
    voice: Voice, what: str, total: Callable[[], int | None], *, unit: str, on_output: bool = False
) -> Iterator[Bar]:
    """A bar with rate and remaining time on a terminal; without one, a line now and then.

    Args:
        voice: a quiet one draws and says nothing.
        what: what is going on, in a word.
        total: gives the number of units; called only if the bar is drawn, or a line is due.
        unit: what is counted, e.g. ``"files"``.
        on_output: results scroll on the same terminal, so the bar is drawn below them on standard
            output; print through its ``console`` then.
    """
    if voice.quiet:
        yield Bar(lambda count: None, voice.say)
        return
    if not sys.stderr.isatty() or (on_output and not sys.stdout.isatty()):
        yield Bar(_count_for(Pace(voice.say, what, unit), total), voice.say)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=not on_output)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed}}/{{task.total}} {unit}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    start = perf_counter()
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as progress:
        task = progress.add_task(what, total=total(), rate="")

        def advance(count: int) -> None:
            done = progress.tasks[task].completed + count
            rate = f"{done / max(perf_counter() - start, 1e-9):,.0f}/s"
            progress.update(task, advance=count, rate=rate)

        def say(words: str) -> None:
            console.print(voice.spell(words), soft_wrap=True, markup=False, highlight=False)

        yield Bar(advance, say, console if on_output else None)


def _write_time(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
