"""How far long work has come, and what a person should know of it: the caller decides who hears it.

Rooms below the command line print nothing. They tell a `Progress` and a `Notice` instead.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Notice", "Progress", "count_up", "stay_silent"]

Progress = Callable[[str, int, int], None]
"""Called with what is going on, the units that are done, and the units in all."""

Notice = Callable[[str], None]
"""Called with a sentence for a person."""


def stay_silent(*_: object) -> None:
    """Serves as a `Progress` or a `Notice` that nobody hears."""


def count_up(progress: Progress, what: str, total: int | None) -> Callable[[int], None]:
    """Turn "so many more" into "so many of all".

    Args:
        progress: told after each step.
        what: is going on, in a phrase.
        total: units in all; None if nobody knows, so that all known ones are done.

    Returns:
        A function that takes the number of units done since its last call.
    """
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(what, done, done if total is None else total)

    return advance
