"""Small pictures of the slices of a series, plain and with heat, and the montage of them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import PurePath

from PIL import Image, ImageDraw

from tumorlens.digits import say_count, show_probability
from tumorlens.finding import RESEARCH_USE, Finding
from tumorlens.imaging.slices import Slice
from tumorlens.report.pictures.captions import PAPER
from tumorlens.report.pictures.heat import tell_weak
from tumorlens.report.pictures.heatmaps import name_series
from tumorlens.report.pictures.markers import INK, find_font
from tumorlens.report.pictures.overlay import draw_thumbnail, encode
from tumorlens.studies.assembling import is_loose
from tumorlens.study_finding import SeriesFinding

__all__ = ["Album", "Pair", "choose_shown", "name_montage", "paint_montage"]

SHOWN = 12
"""Slices of a series that are shown, spread evenly, beside those to open first."""

_COLUMNS = 4
_CAPTION = 22  # pixels below a pair of pictures
_HEADING = 56

SINGLES = 12
"""Pictures without a series that are shown of each verdict."""

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Pair:
    """One slice, plain and with its heat.

    Attributes:
        plain, heat: encoded as JPEG.
        size: (width, height) of both, in pixels.
        name: of the slice: its number, or the name of its file.
        verdict: as people read it.
        chance: its tumor probability, and what has to stand beside heat; may be empty.
    """

    plain: bytes
    heat: bytes
    size: tuple[int, int]
    name: str
    verdict: str
    chance: str

    @property
    def words(self) -> str:
        """All of it in a line."""
        return f"{self.name}: {', '.join(filter(None, (self.verdict, self.chance)))}"


@dataclass(slots=True)
class Album:
    """Keeps the pictures of all slices until their series has ended; then only those shown.

    Attributes:
        pairs: the pictures.
        singles: pictures that belong to no series: verdict -> the places of those shown.
        counts: verdict -> pictures that belong to no series.
    """

    pairs: dict[Place, Pair] = field(default_factory=dict)
    singles: dict[str, list[Place]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def keep(self, slice_: Slice, finding: Finding) -> None:
        """Draw a slice small, plain and with heat."""
        plain, size = draw_thumbnail(slice_)
        heat, _ = draw_thumbnail(slice_, finding)
        verdict = (finding.verdict or "error").replace("_", " ")
        pair = Pair(plain, heat, size, _name(finding), verdict, _tell_chance(finding))
        self.pairs[finding.info.place()] = pair

    def settle_single(self, finding: Finding) -> None:
        """Count a picture without a series; forget it if enough of its verdict are shown."""
        verdict, place = finding.verdict or "error", finding.info.place()
        self.counts[verdict] += 1
        shown = self.singles.setdefault(verdict, [])
        if len(shown) < SINGLES:
            shown.append(place)
        elif place not in shown:
            self.pairs.pop(place, None)

    def settle(self, series: SeriesFinding) -> None:
        """Forget the slices of a series that nothing will show."""
        shown = set(choose_shown(series)) | set(_first(series))
        for one in series.findings:
            if one.info.place() not in shown:
                self.pairs.pop(one.info.place(), None)

    def find(self, places: Sequence[Place]) -> list[Pair]:
        """The pairs of some slices, as far as they were kept."""
        return [self.pairs[place] for place in places if place in self.pairs]


def choose_shown(series: SeriesFinding) -> list[Place]:
    """Slices spread evenly over a series, those to open first among them, in its order."""
    places = [one.info.place() for one in series.findings if one.error is None]
    count = min(SHOWN, len(places))
    chosen = {places[int((number + 0.5) * len(places) / count)] for number in range(count)}
    chosen |= set(_first(series))
    return [place for place in places if place in chosen]


def paint_montage(series: SeriesFinding, album: Album) -> bytes:
    """One picture of a series: its slices side by side, each plain and with heat, as PNG.

    Raises:
        ValueError: the album holds none of its slices.
    """
    pairs = album.find(choose_shown(series))
    if not pairs:
        raise ValueError(f"{series.path}: no slice was kept in the album")
    width, height = (max(pair.size[axis] for pair in pairs) for axis in (0, 1))
    columns = min(_COLUMNS, len(pairs))
    rows = ceil(len(pairs) / columns)
    size = (columns * 2 * width, _HEADING + rows * (height + _CAPTION) + _CAPTION)
    sheet = Image.new("RGB", size, PAPER)
    pen, font = ImageDraw.Draw(sheet), find_font(14)
    heading = word_series(series)
    if len(pairs) < series.slices:
        heading += f", of which {len(pairs)} are shown"
    pen.text((12, 14), heading, INK, find_font(20))
    for number, pair in enumerate(pairs):
        row, column = divmod(number, columns)
        x, y = column * 2 * width, _HEADING + row * (height + _CAPTION)
        for step, data in enumerate((pair.plain, pair.heat)):
            sheet.paste(Image.open(io.BytesIO(data)), (x + step * width, y))
        pen.text((x + 6, y + height + 2), pair.words, INK, font)
    pen.text((12, size[1] - _CAPTION + 2), RESEARCH_USE, INK, font)
    return encode(sheet)


def name_montage(series: SeriesFinding) -> str:
    """The name of the file of a series' montage: named after it, told from others by a digest."""
    return f"{name_series(series)}.montage.png"


def word_series(series: SeriesFinding) -> str:
    """Verdict, sequence and plane of a series, in a line."""
    verdict = (series.verdict or "no verdict").replace("_", " ")
    parts = [verdict, series.sequence, series.plane, say_count(series.slices, "slice")]
    return ", ".join(filter(None, parts))


def _first(series: SeriesFinding) -> list[Place]:
    return [one.place() for one in series.first_slices]


def _name(finding: Finding) -> str:
    info = finding.info
    if info.instance_number is not None:
        return f"instance {info.instance_number}"
    return PurePath(info.path).name if is_loose(info) else f"slice {info.frame}"


def _tell_chance(finding: Finding) -> str:
    """The probability, where the verdict rests on it, and what must stand beside faint heat."""
    chance = finding.tumor_probability
    if chance is None or finding.verdict in ("unfamiliar", "not_judged"):
        return ""
    shown = show_probability(chance, finding.thresholds or ())
    return "; ".join(filter(None, (shown, tell_weak(finding))))
