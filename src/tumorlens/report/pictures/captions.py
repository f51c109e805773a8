"""The caption below an overlay: verdict and why, file, notes, and what the markers mean."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from PIL import Image, ImageDraw, ImageFont

from tumorlens.design.tokens import find_color
from tumorlens.digits import say_share, show_apart, show_probability
from tumorlens.finding import RESEARCH_USE, Finding, Verdict
from tumorlens.report.pictures.heat import paint_scale, speaks, tell_weak
from tumorlens.report.pictures.markers import (
    DARK,
    INK,
    MARKER,
    Markers,
    draw_peak,
    draw_sign,
    find_font,
)

__all__ = ["PAPER", "draw_caption"]

PAPER = find_color("picture")
_FAINT = find_color("muted")
_NOTE_INK = find_color("uncertain")
_VERDICT_WORDS: dict[Verdict | None, str] = {
    "tumor": "tumor",
    "no_tumor": "no tumor",
    "uncertain": "uncertain",
    "unfamiliar": "unfamiliar",
    "not_judged": "not judged",
    None: "no verdict",
}
_ON_SCALE: tuple[Verdict, ...] = ("no_tumor", "uncertain", "tumor")
_LINE = 1.15  # units from line to line
_SCALE = 1.9  # units that the line of the probability takes
_LEGEND = 12  # units that the scale is wide
_LEAST_LETTERS = 4  # that are left of a text


def draw_caption(finding: Finding, markers: Markers, width: int, unit: int) -> Image.Image:
    """Verdict and file on the left, the scales on the right, notes and one line about use below.

    Args:
        finding: what was found.
        markers: what of it is drawn.
        width: in pixels.
        unit: height of a line of text, in pixels.
    """
    notes = list(_list_notes(finding, markers))
    scaled = _has_scale(finding)
    height = unit * (7.4 + _LINE * len(notes) + _SCALE * scaled)
    caption = Image.new("RGB", (width, round(height)), PAPER)
    pen = ImageDraw.Draw(caption)
    left, legend = unit * 0.7, width - unit * (_LEGEND + 0.7)
    small, tiny = (find_font(round(unit * size)) for size in (0.9, 0.78))
    y, room = unit * 2.25, legend - left - unit
    _draw_verdict(pen, finding, (left, unit * 0.45), room, unit)
    for line, words in enumerate(_explain(finding)):
        if scaled and line == 2:
            _draw_scale(pen, finding, (left, y + unit * 0.6), min(room, unit * 18), unit)
            y += unit * _SCALE
        pen.text((left, y), _shorten(words, small, room), _FAINT if line else INK, small)
        y += unit * _LINE
    for words in notes:
        pen.text((left, y), _shorten(words, small, width - 2 * left), _NOTE_INK, small)
        y += unit * _LINE
    pen.text((left, y + unit * 0.35), RESEARCH_USE, _FAINT, tiny)
    if finding.verdict is not None:
        _draw_legend(caption, finding, markers, (round(legend), round(unit * 0.75)), unit)
    return caption


def _draw_verdict(
    pen: ImageDraw.ImageDraw, finding: Finding, at: tuple[float, float], room: float, unit: int
) -> None:
    """Sign and word, and that there is some evidence where the picture shows it."""
    (x, y), large = at, find_font(round(unit * 1.45))
    ink = _FAINT
    if finding.verdict is not None:
        ink = find_color(finding.verdict)
        draw_sign(pen, finding.verdict, (x, y + unit * 0.4), unit * 1.05)
        x += unit * 1.5
    words = _VERDICT_WORDS[finding.verdict]
    pen.text((x, y), words, ink, large)
    weak, font = tell_weak(finding), find_font(round(unit * 0.9))
    if weak:
        start = x + large.getlength(words) + unit * 0.6
        shown = _shorten(weak, font, room - (start - at[0]))
        pen.text((start, y + unit * 0.5), shown, _NOTE_INK, font)


def _has_scale(finding: Finding) -> bool:
    """Whether a probability stands between thresholds."""
    return finding.thresholds is not None and finding.verdict in ("tumor", "uncertain", "no_tumor")


def _draw_scale(
    pen: ImageDraw.ImageDraw, finding: Finding, at: tuple[float, float], width: float, unit: int
) -> None:
    """The probability as a mark on a line from 0 to 100 %, between the thresholds."""
    assert finding.thresholds is not None and finding.tumor_probability is not None
    (x, y), font = at, find_font(round(unit * 0.7))
    ends = (0.0, *finding.thresholds, 1.0)
    thick = unit * 0.28
    for verdict, low, high in zip(_ON_SCALE, ends, ends[1:], strict=False):
        if high > low:
            edges = (x + low * width, y - thick / 2, x + high * width - 1, y + thick / 2)
            pen.rectangle(edges, fill=find_color(verdict))
    place, half = x + finding.tumor_probability * width, unit * 0.32
    pen.rectangle((place - unit * 0.16, y - half, place + unit * 0.16, y + half), INK, DARK)
    low, high = finding.thresholds
    words = [say_share(level, 1) for level in sorted({low, high})]
    end = x - unit
    for level, shown in zip((low, high), words, strict=False):
        start = max(x + level * width - font.getlength(shown) / 2, end + unit * 0.4)
        pen.text((start, y + unit * 0.38), shown, _FAINT, font)
        end = start + font.getlength(shown)


def _explain(finding: Finding) -> tuple[str, str, str]:
    name = PurePath(finding.info.path).name
    where = name if finding.info.frame == 0 else f"{name}, slice {finding.info.frame}"
    chance = finding.tumor_probability
    if finding.error is not None or chance is None:
        return finding.error or "", "", where
    if finding.verdict == "not_judged" and (finding.outside or 0) > 1:
        return "no MRI of the brain as the model knows it", "", where
    if finding.verdict == "not_judged":
        share = finding.brain_share
        words = "" if share is None else f"brain in {say_share(share, 1)} of it"
        return "shows no brain", words, where
    if finding.verdict == "unfamiliar":
        level = finding.unfamiliarity
        words = "" if level is None else f"unfamiliarity {show_apart(level, (1.0,), 2)[0]}, over 1"
        return "unlike the training pictures", words, where
    limits = show_apart(chance, finding.thresholds or (), 1, say_share)[1:]
    shown = show_probability(chance, finding.thresholds or ())
    return f"tumor probability {shown}", _explain_verdict(finding, limits), where


def _explain_verdict(finding: Finding, limits: Sequence[str]) -> str:
    """The threshold that the probability reached or missed."""
    if not limits:
        return ""
    low, high = limits
    return {
        "tumor": f"tumor from {high}",
        "no_tumor": f"no tumor under {low}",
        "uncertain": f"between {low} and {high}",
    }[finding.verdict or ""]


def _list_notes(finding: Finding, markers: Markers) -> Iterator[str]:
    """What the reader noted, in one line, and evidence where there can be none."""
    if finding.info.notes:
        first, *others = finding.info.notes
        yield f"{first} (and {len(others)} more)" if others else first
    if markers.outside:
        yield "the strongest evidence lies outside of the head"


def _draw_legend(
    caption: Image.Image, finding: Finding, markers: Markers, at: tuple[int, int], unit: int
) -> None:
    """The scale of evidence as it looks over grey, and the markers."""
    pen, font = ImageDraw.Draw(caption), find_font(round(unit * 0.78))
    x, y = at
    size = (round(unit * _LEGEND), round(unit * 0.7))
    pen.text((x, y - unit * 0.25), _name_scale(finding), INK, font)
    y += round(unit * 0.9)
    caption.paste(paint_scale(finding, size), (x, y))
    for value, words in _list_ticks(finding):
        middle = x + size[0] * value - font.getlength(words) * value
        pen.text((middle, y + unit * 0.75), words, _FAINT, font)
    y += round(unit * 2.4)
    if markers.boxes:
        side, line = unit * 0.7, max(2, unit // 10)
        pen.rectangle((x, y, x + side, y + side), outline=MARKER, width=line)
        pen.text((x + unit, y - unit * 0.1), "box", _FAINT, font)
        x += round(unit * 4.5)
    if markers.peak is not None:
        draw_peak(pen, (x + unit * 0.4, y + unit * 0.35), round(unit * 0.8))
        pen.text((x + unit * 1.2, y - unit * 0.1), "strongest point", _FAINT, font)


def _name_scale(finding: Finding) -> str:
    if speaks(finding):
        return "evidence of a tumor, cell by cell"
    return (
        "evidence too weak for a tumor"
        if finding.verdict == "no_tumor"
        else "evidence, not to be relied on"
    )


def _list_ticks(finding: Finding) -> Iterator[tuple[float, str]]:
    yield 0.0, "0"
    threshold = finding.cell_threshold
    if threshold is not None and 0.15 < threshold < 0.85:
        yield threshold, f"box from {threshold:.2g}" if speaks(finding) else f"{threshold:.2g}"
    yield 1.0, "1"


def _shorten(words: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """The words, or their two ends around an ellipsis where they are too long."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in words)
    if font.getlength(clean) <= room:
        return clean

    def cut(keep: int) -> str:
        return clean[: keep // 2] + "…" + clean[-(keep // 2) :]

    # By halves: a name inside an archive may have 65,535 letters.
    sizes = range(_LEAST_LETTERS, len(clean))
    fitting = bisect(sizes, room, key=lambda keep: font.getlength(cut(keep)))
    return cut(sizes[max(0, fitting - 1)]) if sizes else clean
