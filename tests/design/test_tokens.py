"""The design tokens: complete, readable by everybody, and the same in CSS and in Python."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from tumorlens.design.tokens import Theme, find_color, find_sign, list_colors, list_heat, read_css
from tumorlens.finding import VERDICTS

NAMES = [
    "bg",
    "surface",
    "raised",
    "text",
    "muted",
    "line",
    "accent",
    "focus",
    "tumor",
    "no-tumor",
    "uncertain",
    "unfamiliar",
    "not-judged",
    "tumor-soft",
    "no-tumor-soft",
    "uncertain-soft",
    "unfamiliar-soft",
    "not-judged-soft",
    "space-1",
    "space-2",
    "space-3",
    "space-4",
    "space-5",
    "space-6",
    "radius",
    "font",
    "mono",
    "size-small",
    "size-text",
    "size-title",
    "size-hero",
    "heat-low",
    "heat-mid",
    "heat-high",
]
GROUNDS = ("bg", "surface", "raised")
INKS = ("text", "muted", "accent", *(verdict.replace("_", "-") for verdict in VERDICTS))
THEMES: tuple[Theme, ...] = ("light", "dark")


def measure_luminance(color: tuple[int, ...]) -> float:
    """Relative luminance of WCAG 2.2."""
    shares = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in color)
    ]
    return float(np.dot(shares, (0.2126, 0.7152, 0.0722)))


def measure_contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Contrast ratio of WCAG 2.2, 1 to 21."""
    dark, light = sorted(map(measure_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard():
    assert measure_contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert measure_contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_name_is_declared(name):
    assert f"--{name}:" in read_css()


@pytest.mark.parametrize(("theme", "ink", "ground"), list(product(THEMES, INKS, GROUNDS)))
def test_text_is_readable(theme, ink, ground):
    assert measure_contrast(find_color(ink, theme), find_color(ground, theme)) >= 4.5


@pytest.mark.parametrize(("theme", "verdict"), list(product(THEMES, VERDICTS)))
def test_verdict_and_text_are_readable_on_its_soft_ground(theme, verdict):
    soft = find_color(f"{verdict}-soft", theme)
    assert measure_contrast(find_color(verdict, theme), soft) >= 4.5
    assert measure_contrast(find_color("text", theme), soft) >= 7


@pytest.mark.parametrize(("theme", "ground"), list(product(THEMES, GROUNDS)))
def test_focus_and_curves_stand_out(theme, ground):
    for name in ("focus", *(f"plot-{number}" for number in range(1, 7))):
        assert measure_contrast(find_color(name, theme), find_color(ground, theme)) >= 3


@pytest.mark.parametrize("verdict", VERDICTS)
def test_verdict_is_readable_on_a_picture(verdict):
    assert measure_contrast(find_color(verdict), find_color("picture")) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_colors_of_verdicts_differ(theme):
    for one, other in combinations(VERDICTS, 2):
        apart = np.subtract(find_color(one, theme), find_color(other, theme))
        assert np.abs(apart).sum() > 60, (one, other)


def test_signs_of_verdicts_differ_in_shape():
    masks = {verdict: fill(find_sign(verdict)) for verdict in VERDICTS}
    for one, other in combinations(VERDICTS, 2):
        union = (masks[one] | masks[other]).sum()
        assert (masks[one] & masks[other]).sum() / union < 0.75, (one, other)


def fill(corners: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The pixels of a polygon, by the even-odd rule."""
    y, x = (np.mgrid[:40, :40] + 0.5) / 40
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:
            crosses = (y0 <= y) != (y1 <= y)
            inside ^= crosses & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return inside


def test_heat_rises_in_lightness_from_its_low_to_its_high_end():
    heat = list_heat()
    assert (heat[0], heat[-1]) == (find_color("heat-low"), find_color("heat-high"))
    assert heat[len(heat) // 2] == find_color("heat-mid")
    assert (np.diff([measure_luminance(color) for color in heat]) > 0).all()


def test_pictures_have_one_theme():
    light, dark = list_colors("light"), list_colors("dark")
    for name in ("picture", "heat-low", "heat-mid", "heat-high", "mark", "truth"):
        assert light[name] == dark[name]


def test_unknown_name_is_an_error():
    with pytest.raises(KeyError):
        find_color("font")
