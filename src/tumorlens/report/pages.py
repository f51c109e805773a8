"""`Page`: what a person reads, as one HTML file or as Markdown; the door of jinja2.

A page is a list of sections, a section a heading and blocks: paragraphs, facts, tables, plots,
galleries. Whoever has something to show builds these nouns and knows neither HTML nor Markdown.
The HTML is one file that loads nothing: style and pictures are inside, and a content security
policy forbids the browser everything else.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tumorlens.design.tokens import read_css
from tumorlens.finding import RESEARCH_USE, VERDICTS
from tumorlens.optional import load
from tumorlens.writing import write_text

__all__ = [
    "Block",
    "Fact",
    "Facts",
    "Gallery",
    "Notice",
    "Notices",
    "Page",
    "PageImage",
    "Plot",
    "Section",
    "Table",
    "Text",
    "Tile",
    "limit_rows",
    "render_html",
    "render_markdown",
    "write_page",
]

MOST_ROWS = 200
"""Rows of one table on a page; a page of a hundred thousand slices must stay readable."""
ROOMY = 25
"""Rows of a table that stand open; a longer one scrolls in a box, and its caption says so."""
WHOLE = 14
"""Rows of a table that a print does not part among two sheets of paper."""


@dataclass(frozen=True)
class Text:
    """Paragraphs, or the items of a list.

    Attributes:
        lines: one each.
        listed: as a list.
    """

    lines: tuple[str, ...]
    listed: bool = False


@dataclass(frozen=True)
class Fact:
    """One figure that is read first.

    Attributes:
        name: of the figure. The value of a fact named verdict gets the verdict's colour and sign.
        value: as text.
        remarks: what it rests on, a line each.
        warning: stands beside the value, so that no picture of it lacks it.
    """

    name: str
    value: str
    remarks: tuple[str, ...] = ()
    warning: str = ""


@dataclass(frozen=True)
class Facts:
    """The few figures that stand large at the top."""

    items: tuple[Fact, ...]


@dataclass(frozen=True)
class Table:
    """Rows of text; the first cell of each row heads it.

    Cells of a column named verdict get the colour and the sign of their verdict.

    Raises:
        ValueError: a row with another number of cells than there are columns.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"{self.caption}: a row of {len(row)} cells, {len(self.columns)} were expected"
                )


@dataclass(frozen=True)
class Plot:
    """A drawing.

    Attributes:
        svg: one ``<svg>`` element made by `tumorlens.report.drawing`; stands unescaped.
        alt: what it shows, for those who do not see it.
        caption: below it.
        narrow: the same drawing for a phone; a plot that has one takes the whole width of a page.
        warning: stands on the drawing, so that no picture of it lacks it.
    """

    svg: str
    alt: str
    caption: str = ""
    narrow: str = ""
    warning: str = ""


@dataclass(frozen=True)
class PageImage:
    """An encoded picture: its bytes, what it shows, its media type and size in pixels."""

    data: bytes
    alt: str
    size: tuple[int, int]
    media: str = "image/jpeg"

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return f"data:{self.media};base64,{base64.b64encode(self.data).decode('ascii')}"


@dataclass(frozen=True)
class Tile:
    """Pictures that belong together (a slice and its evidence, two copies) and what is said.

    Attributes:
        title: what they are.
        pictures: side by side.
        lines: what is said of them.
        verdict: as people read it; stands above the lines, in its colour and with its sign.
    """

    title: str
    pictures: tuple[PageImage, ...]
    lines: tuple[str, ...] = ()
    verdict: str = ""


@dataclass(frozen=True)
class Gallery:
    """Tiles side by side."""

    caption: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Notice:
    """One thing to act on.

    Attributes:
        level: how bad it is: critical, serious, notable or minor.
        title: what it is called.
        kind: what sort of thing it is.
        words: what was found.
        advice: what to do.
        weight: 0 to 1, drawn as a bar.
    """

    level: str
    title: str
    kind: str
    words: str
    advice: str
    weight: float


@dataclass(frozen=True)
class Notices:
    """Things to act on, the worst first."""

    items: tuple[Notice, ...]


Block = Text | Facts | Table | Plot | Gallery | Notices


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """One page for people.

    Attributes:
        title: of the page.
        lead: one sentence or two below it.
        sections: in reading order; those without blocks are left out.
        command: the command that made the page; may be empty.
        versions: library -> version, at the end.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[Section, ...]:
        """The sections that hold something."""
        return tuple(section for section in self.sections if section.blocks)


def limit_rows(
    rows: Iterable[tuple[str, ...]], *, more: str, most: int = MOST_ROWS
) -> tuple[tuple[str, ...], ...]:
    """The first rows, and one that says how many follow and where they are (``more``)."""
    known = tuple(rows)
    if len(known) <= most:
        return known
    rest = (f"… and {len(known) - most:,} more: {more}", *[""] * (len(known[0]) - 1))
    return (*known[:most], rest)


def render_html(page: Page) -> str:
    """The page as one HTML file that loads nothing.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    template = _open_templates().get_template("page.html.jinja")
    text: str = template.render(
        page=page, research_use=RESEARCH_USE, tokens=read_css(), roomy=ROOMY, whole=WHOLE
    )
    return text


def write_page(path: Path, page: Page, *, overwrite: bool = False) -> None:
    """Write the page as HTML, whole or not at all.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    write_text(path, render_html(page), overwrite=overwrite)


def render_markdown(page: Page) -> str:
    """The page as Markdown: text, facts and tables; plots and pictures by what they show."""
    parts = [f"# {_mark(page.title)}", _mark(page.lead), f"**{RESEARCH_USE}**"]
    for section in page.shown:
        parts.append(f"## {_mark(section.heading)}")
        parts += [_write_block(block) for block in section.blocks]
    if page.command:
        parts.append(f"Made by {_mark(page.command)}")
    if page.versions:
        known = ", ".join(f"{name} {version}" for name, version in page.versions.items())
        parts.append(_mark(known))
    return "\n\n".join(filter(None, parts)) + "\n"


_PER_CENT = re.compile(r"(?<=\d) %")


@cache
def _open_templates() -> Any:
    jinja2 = load("jinja2", "pages")
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_clean,
    )
    templates.filters["kind"] = lambda block: type(block).__name__.lower()
    templates.tests["number"] = _is_number
    templates.tests["verdict"] = lambda words: words.replace(" ", "_") in VERDICTS
    return templates


def _clean(value: Any) -> Any:
    """Control and direction-changing characters of a file's name must not reorder the page.

    No line breaks before the sign of per cent.
    """
    if type(value) is not str:
        return value
    if not value.isprintable():
        value = "".join(one if one.isprintable() or one == "\n" else "�" for one in value)
    return _PER_CENT.sub("\N{NO-BREAK SPACE}%", value)


def _is_number(cell: str) -> bool:
    return re.match(r"[-+–−]?\.?\d[^a-zA-Z/]*$|–?$", cell) is not None


def _write_block(block: Block) -> str:
    match block:
        case Text():
            start = "- " if block.listed else ""
            return ("\n" if block.listed else "\n\n").join(
                start + _mark(line) for line in block.lines
            )
        case Facts():
            return "\n".join(
                f"- {_mark(one.name)}: **{_mark(one.value)}** ({_mark('; '.join(one.remarks))})"
                for one in block.items
            )
        case Table():
            return _write_table(block)
        case Notices():
            return "\n".join(
                f"{n}. **{_mark(one.title)}** ({_mark(one.level)}, {_mark(one.kind)}): "
                f"{_mark(one.words)}. {_mark(one.advice)}"
                for n, one in enumerate(block.items, 1)
            )
        case Plot():
            return ""
        case Gallery():
            return "\n".join(f"- {_mark(tile.title)}" for tile in block.tiles)


def _write_table(table: Table) -> str:
    head, *body = (
        "| " + " | ".join(map(_mark, row)) + " |" for row in (table.columns, *table.rows)
    )
    return "\n".join([_mark(table.caption), "", head, "|" + "---|" * len(table.columns), *body])


_SPECIAL = re.compile(r"([\\`*_\[\]<>|#&~])")


def _mark(words: str) -> str:
    """Text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", str(_clean(words)).replace("\n", " "))
