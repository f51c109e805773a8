"""Rounding that keeps a number on its side of a limit."""

import pytest

from tumorlens.digits import say_share, show_apart, show_probability


@pytest.mark.parametrize(
    ("value", "limits", "digits", "say", "shown"),
    [
        (0.123, (0.19, 0.52), 1, say_share, ("12.3 %", "19.0 %", "52.0 %")),
        (0.19085, (0.19086, 0.52), 1, say_share, ("19.085 %", "19.086 %", "52.000 %")),
        (1.0004, (1.0,), 2, None, ("1.0004", "1.0000")),
        (0.996, (1.0,), 2, None, ("0.996", "1.000")),
        (0.99, (1.0,), 2, None, ("0.99", "1.00")),
        (1.0, (1.0,), 2, None, ("1.00", "1.00")),
        (1.00000001, (1.0,), 2, None, ("1.00000", "1.00000")),
        (0.5, (), 1, say_share, ("50.0 %",)),
    ],
)
def test_a_number_stays_on_its_side_of_a_limit(value, limits, digits, say, shown):
    given = () if say is None else (say,)
    assert show_apart(value, limits, digits, *given) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0.0 %"),
        (0.0004, "<0.1 %"),
        (0.028, "2.8 %"),
        (0.63, "63.0 %"),
        (0.9999, ">99.9 %"),
        (1, "100.0 %"),
    ],
)
def test_a_probability_is_in_per_cent_and_never_rounded_to_certainty(value, shown):
    assert show_probability(value) == shown


def test_a_probability_is_told_from_its_threshold():
    assert show_probability(0.43498, (0.435,)) == "43.498 %"
