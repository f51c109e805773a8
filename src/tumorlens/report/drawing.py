"""Drawings for pages and pictures; the door of matplotlib.

A plot of a page is SVG with the page's own ink: colours are drawn as stand-ins and then named as
the variables of the page's style, so that one drawing serves a light, a dark and a printed page.
Words stay words, which a browser can find, scale and read aloud.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tumorlens.design.tokens import find_color
from tumorlens.finding import RESEARCH_USE
from tumorlens.imaging.files.contents import DRAWN_BY
from tumorlens.optional import load
from tumorlens.report.pages import Plot
from tumorlens.writing import replace_when_done

__all__ = [
    "FAINT",
    "HUES",
    "INK",
    "SHEET",
    "TRAINING",
    "VALIDATION",
    "Drawing",
    "draw_twice",
    "open_picture",
    "save_picture",
    "shorten_label",
]

TRAINING, VALIDATION = (
    f"#{bytes(find_color(name, 'light')).hex()}" for name in ("plot-1", "plot-2")
)
"""Of pictures, which are white."""

INK, FAINT, GRID, SHEET = "#010101", "#020202", "#030303", "#040404"
HUES = ("#050505", "#060606", "#070707", "#080808", "#090909", "#0a0a0a")
_VARIABLES = dict(
    zip(
        (INK, FAINT, GRID, SHEET, *HUES),
        ["text", "muted", "grid", "surface", *(f"plot-{number}" for number in range(1, 7))],
        strict=True,
    )
)
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "grid.color": GRID,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.solid_capstyle": "round",
}


class Drawing:
    """A figure in the page's style, from its first line to its SVG."""

    def __init__(self, width: float, height: float) -> None:
        self._style = load("matplotlib", "plots").rc_context(_STYLE)
        self._size = (width, height)

    def __enter__(self) -> Drawing:
        self._style.__enter__()
        self.figure = load("matplotlib.figure", "plots").Figure(
            figsize=self._size, layout="constrained"
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._style.__exit__(*error)

    def axes(self) -> Any:
        """The field that is drawn into."""
        return self.figure.subplots()

    def finish(self, alt: str, caption: str) -> Plot:
        """The drawing as a block of a page."""
        return Plot(self.render(caption + alt), alt, caption)

    def render(self, salt: str) -> str:
        """The drawing as SVG; names of its parts come from ``salt``."""
        stream = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        # Names of parts must differ between the drawings of a page, and not from run to run.
        load("matplotlib", "plots").rcParams["svg.hashsalt"] = salt
        with warnings.catch_warnings():  # a name in a script that the measuring font lacks
            warnings.simplefilter("ignore", UserWarning)
            self.figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
        return _adopt(stream.getvalue())


NARROW = 4.0
"""Inches of a drawing for a phone: there, 10 points are read as 11."""
WIDE = 9.6
"""Inches of a drawing across the page."""


def draw_twice(
    paint: Callable[[Drawing, bool], None],
    heights: tuple[float, float],
    *,
    alt: str,
    caption: str,
) -> Plot:
    """A drawing across the page, and the same for a phone, so that nobody has to scroll it.

    Args:
        paint: draws on a sheet; told whether the sheet is narrow.
        heights: of the wide and of the narrow drawing, in inches.
        alt, caption: of the plot.
    """
    drawn = []
    for width, height in zip((WIDE, NARROW), heights, strict=True):
        with Drawing(width, height) as sheet:
            paint(sheet, width == NARROW)
            drawn.append(sheet.render(f"{width} {caption}{alt}"))
    return Plot(drawn[0], alt, caption, narrow=drawn[1])


_COLOR = re.compile(rf"(?<=[le]: )(?:{'|'.join(_VARIABLES)})(?=[;\"])")  # of fill and stroke
_FONT = re.compile(r"(?<=px; )font-family: [^;\"]*; ")  # the page has its own
_DROPPED = re.compile(
    r"<metadata>.*?</metadata>|<style type=.*?</style>| xmlns(?::xlink)?=\"[^\"]*\"", re.DOTALL
)


def _adopt(text: str) -> str:
    """The bare ``<svg>``: in the page's colours, with names of parts that no other drawing has."""
    svg = text[text.index("<svg") :].strip()
    svg = _DROPPED.sub("", re.sub(r"<g id=\"[^\"]*\"", "<g", svg))
    svg = _FONT.sub("", svg).replace("xlink:href", "href")
    head, _, body = svg.partition(">")
    head = re.sub(r" (width|height|version)=\"[^\"]*\"", "", head) + ' aria-hidden="true"'
    svg = _COLOR.sub(lambda found: f"var(--{_VARIABLES[found[0]]})", f"{head}>{body}")
    return re.sub(r"\n\s*", "\n", svg)


def open_picture(width: float, height: float) -> Any:
    """An empty figure, in inches, that no page shall hold."""
    return load("matplotlib.figure", "plots").Figure(figsize=(width, height), layout="constrained")


def save_picture(figure: Any, picture: Path, *, overwrite: bool = False) -> None:
    """Write a figure as PNG, with the sentence of research use."""
    figure.text(0.99, 0.01, RESEARCH_USE, ha="right", fontsize=7, color="#555555")
    with replace_when_done(picture, overwrite=overwrite) as partial:
        figure.savefig(partial, format="png", dpi=130, metadata={"Software": DRAWN_BY})


def shorten_label(name: str, most: int = 24) -> str:
    """A name as a label: printable, and short."""
    clean = "".join(letter if letter.isprintable() else "�" for letter in name) or "(none)"
    return clean if len(clean) <= most else clean[: most - 1] + "…"
