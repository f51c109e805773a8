"""Numbers for people: counts, and rounded ones that never reach a limit by rounding alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["say_count", "say_share", "show_apart", "show_probability"]

_MORE = 3  # digits that may be added


def say_count(count: int, one: str, many: str = "") -> str:
    """``1 picture``, ``2,000 pictures``; ``many`` is the plural where an s is not enough."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def say_share(share: float, digits: int = 0) -> str:
    """A share of 1 in per cent, as all texts for people spell it: ``95 %``.

    Args:
        share: 1 is 100 %.
        digits: after the point.
    """
    return f"{share:.{digits}%}".replace("%", " %")


def show_apart(
    value: float,
    limits: Sequence[float],
    digits: int,
    say: Callable[[float, int], str] = "{:.{}f}".format,
) -> tuple[str, ...]:
    """A number and its limits, with as many digits as tell it from them.

    Args:
        value: the number.
        limits: what it is compared with.
        digits: after the point, where these are enough.
        say: writes a number with so many digits, e.g. `say_share`.

    Returns:
        The number, then the limits.
    """
    shown: tuple[str, ...] = ()
    for more in range(_MORE + 1):
        shown = tuple(say(one, digits + more) for one in (value, *limits))
        if shown[0] not in shown[1:] or value in limits:
            break
    return shown


def show_probability(value: float, limits: Sequence[float] = ()) -> str:
    """A tumor probability as everybody prints it: ``63.1 %``.

    It is never rounded to 0 or 100 %, which would be a certainty: ``<0.1 %``, ``>99.9 %``.

    Args:
        value: 0 to 1.
        limits: thresholds that it must be told from.
    """
    shown = show_apart(value, limits, 1, say_share)[0]
    if shown == "0.0 %" and value > 0:
        return "<0.1 %"
    return ">99.9 %" if shown == "100.0 %" and value < 1 else shown
