"""The caption below an overlay: verdict and why, file, notes, and what the markers mean."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from PIL import Image, ImageDraw, ImageFont

from tumorlens.finding import RESEARCH_USE, Finding, Verdict
from tumorlens.report.digits import show_apart
from tumorlens.report.pictures.heat import paint_scale, speaks
from tumorlens.report.pictures.markers import INK, MARKER, Color, Markers, draw_peak, find_font

__all__ = ["PAPER", "draw_caption"]

PAPER = (17, 19, 24)
_FAINT = (150, 156, 168)
_VERDICT_INK: dict[Verdict | None, Color] = {
    "tumor": (255, 122, 89),
    "no_tumor": (122, 214, 150),
    "uncertain": (255, 209, 102),
    "unfamiliar": (196, 164, 255),
    "not_judged": _FAINT,
    None: _FAINT,
}
_NOTE_INK = _VERDICT_INK["uncertain"]
_VERDICT_WORDS: dict[Verdict | None, str] = {
    "tumor": "tumor",
    "no_tumor": "no tumor",
    "uncertain": "uncertain",
    "unfamiliar": "unfamiliar",
    "not_judged": "not judged",
    None: "no verdict",
}
_LINE = 1.15  # units from line to line
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
    caption = Image.new("RGB", (width, round(unit * (7.4 + _LINE * len(notes)))), PAPER)
    pen = ImageDraw.Draw(caption)
    left, legend = unit * 0.7, width - unit * (_LEGEND + 0.7)
    large, small, tiny = (find_font(round(unit * size)) for size in (1.45, 0.9, 0.78))
    ink = _VERDICT_INK[finding.verdict]
    pen.text((left, unit * 0.45), _VERDICT_WORDS[finding.verdict], ink, large)
    y, room = unit * 2.25, legend - left - unit
    for line, words in enumerate(_explain(finding)):
        pen.text((left, y), _shorten(words, small, room), _FAINT if line else INK, small)
        y += unit * _LINE
    for words in notes:
        pen.text((left, y), _shorten(words, small, width - 2 * left), _NOTE_INK, small)
        y += unit * _LINE
    pen.text((left, y + unit * 0.35), RESEARCH_USE, _FAINT, tiny)
    if finding.verdict is not None:
        _draw_legend(caption, finding, markers, (round(legend), round(unit * 0.75)), unit)
    return caption


def _explain(finding: Finding) -> tuple[str, str, str]:
    name = PurePath(finding.info.path).name
    where = name if finding.info.frame == 0 else f"{name}, slice {finding.info.frame}"
    chance = finding.tumor_probability
    if finding.error is not None or chance is None:
        return finding.error or "", "", where
    if finding.verdict == "not_judged":
        share = finding.brain_share
        return "shows no brain", "" if share is None else f"brain in {share:.1%} of it", where
    if finding.verdict == "unfamiliar":
        level = finding.unfamiliarity
        words = "" if level is None else f"unfamiliarity {show_apart(level, (1.0,), 2)[0]}, over 1"
        return "unlike the training pictures", words, where
    shown, *limits = show_apart(chance, finding.thresholds or (), 1, "%")
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
        pen.text((x + unit, y - unit * 0.1), "region", _FAINT, font)
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
        yield threshold, f"region from {threshold:.2g}" if speaks(finding) else f"{threshold:.2g}"
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
