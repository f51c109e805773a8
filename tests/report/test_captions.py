"""Captions: what does not fit is cut, soon."""

from __future__ import annotations

import pytest

from tumorlens.report.pictures.captions import _shorten, find_font


class CountingFont:
    """A real font that counts how often it measures."""

    def __init__(self, size):
        self.font, self.calls = find_font(size), 0

    def getlength(self, words):
        self.calls += 1
        return self.font.getlength(words)


@pytest.mark.parametrize("count", [60, 65_535])
def test_a_long_name_keeps_both_ends_and_is_measured_few_times(count):
    font = CountingFont(12)
    shown = _shorten("first" + "x" * count + "last.png", font, 150)
    assert shown.startswith("first") and shown.endswith("last.png") and "…" in shown
    assert 100 < font.font.getlength(shown) <= 150
    assert font.calls < 30


def test_a_text_that_fits_stays_and_one_without_room_keeps_its_ends():
    font = find_font(12)
    assert _shorten("x.png", font, 150) == "x.png"
    assert _shorten("a long name.png", font, 1) == "a …ng"
    assert _shorten("abc", font, 1) == "abc"
    assert _shorten("a\nb", font, 150) == "a?b"
