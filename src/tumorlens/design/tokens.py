"""`tokens.css` for Python: the same colours and signs in pictures as on pages."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

from tumorlens.finding import VERDICTS, Verdict

__all__ = ["Color", "Theme", "find_color", "find_sign", "list_colors", "list_heat", "read_css"]

Color = tuple[int, int, int]
Theme = Literal["light", "dark"]

_DECLARED = re.compile(r"--([a-z0-9-]+):\s*([^;]+);")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_HEX = re.compile(r"#[0-9a-f]{6}\b")
_POINT = re.compile(r"(\d+)% (\d+)%")


@cache
def read_css() -> str:
    """The text of `tokens.css` without its comments, to be put into a page or beside it."""
    text = Path(__file__).with_name("tokens.css").read_text(encoding="utf-8")
    return _COMMENT.sub("", text).lstrip()


def find_color(name: str, theme: Theme = "dark") -> Color:
    """A colour as (red, green, blue), 0 to 255.

    Args:
        name: of the token, without the two hyphens, or a verdict as records write it.
        theme: pictures are dark.

    Raises:
        KeyError: no colour has that name.
    """
    return list_colors(theme)[name.replace("_", "-")]


@cache
def list_colors(theme: Theme) -> dict[str, Color]:
    """All colours of a theme: name of the token -> (red, green, blue)."""
    known: dict[str, Color] = {}
    for name, value in _read_declarations().items():
        pair = _HEX.findall(value)
        if re.fullmatch(r"#[0-9a-f]{6}|light-dark\(.*\)", value):
            known[name] = _parse(pair[0] if theme == "light" else pair[-1])
    return known


@cache
def list_heat() -> tuple[Color, ...]:
    """The scale of evidence, evenly spaced, from none to most."""
    stops = _read_declarations()["heat-scale"].split(", ")
    named = (re.fullmatch(r"var\(--(.+)\)", stop) for stop in stops)
    return tuple(
        find_color(name[1]) if name else _parse(stop)
        for name, stop in zip(named, stops, strict=True)
    )


@cache
def find_sign(verdict: Verdict) -> tuple[tuple[float, float], ...]:
    """The corners of a verdict's sign: (x, y) in a square from 0 to 1."""
    assert verdict in VERDICTS
    corners = _POINT.findall(_read_declarations()[f"{verdict.replace('_', '-')}-sign"])
    return tuple((int(x) / 100, int(y) / 100) for x, y in corners)


@cache
def _read_declarations() -> dict[str, str]:
    """What ``:root`` declares; later rules only choose among it."""
    root = read_css().split("}")[0]
    return {name: re.sub(r"\s+", " ", value) for name, value in _DECLARED.findall(root)}


def _parse(color: str) -> Color:
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
