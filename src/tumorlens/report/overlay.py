"""`draw`: one slice with its evidence, as a person looks at it.

The picture shows the slice in its own pixels, made square where the spacing is not, and enlarged
in whole steps if it is small. Heat is drawn where the model sees evidence and fades to nothing
where it sees none, so that the anatomy stays visible under it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from tumorlens.finding import RESEARCH_USE, Box, Finding, Verdict
from tumorlens.imaging.contents import DRAWN_BY
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.voxels import find_range
from tumorlens.report.colors import color_table

__all__ = ["LARGEST_SIDE", "LEAST_SIDE", "THUMBNAIL", "draw", "draw_thumbnail", "encode"]

LEAST_SIDE = 512
"""The longer side of the drawn slice, at least, in pixels: text must be readable."""

LARGEST_SIDE = 4096
"""The longer side of the drawn slice, at most; larger slices are reduced."""

THUMBNAIL = 256
"""The longer side of a thumbnail, at most."""

_PAPER = (17, 19, 24)
_INK = (236, 238, 242)
_FAINT = (150, 156, 168)
_MARK = (120, 220, 255)  # boxes and peak: a hue that neither greys nor the heat scale hold
_TRUTH = (122, 214, 150)  # what people drew
_DARK = (0, 0, 0)
_VERDICT_INK: dict[Verdict | None, tuple[int, int, int]] = {
    "tumor": (255, 122, 89),
    "no_tumor": (122, 214, 150),
    "uncertain": (255, 209, 102),
    "unfamiliar": (196, 164, 255),
    None: _FAINT,
}
_VERDICT_WORDS: dict[Verdict | None, str] = {
    "tumor": "tumor",
    "no_tumor": "no tumor",
    "uncertain": "uncertain",
    "unfamiliar": "unfamiliar",
    None: "no verdict",
}
_HEAT_FROM, _HEAT_FULL, _HEAT_OPACITY = 0.15, 0.65, 0.55
_HEAT_FIRST = 0.25  # the scale begins in violet: black would darken the anatomy

Array = npt.NDArray[np.float32]
Affine = npt.NDArray[np.float64]
Edges = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class _View:
    """How pixels of the slice become pixels of the drawing.

    Attributes:
        scale: drawing pixels per slice pixel, (x, y).
        size: (width, height) of the drawn slice.
        unit: height of a line of text, by which everything around the slice is measured.
    """

    scale: tuple[float, float]
    size: tuple[int, int]
    unit: int

    @classmethod
    def of(cls, slice_: Slice) -> _View:
        height, width = slice_.pixels.shape
        row, column = slice_.info.spacing_mm or (1.0, 1.0)
        finest = min(row, column)
        across, down = column / finest, row / finest
        longest = max(width * across, height * down)
        zoom = -(-LEAST_SIDE // longest) if longest < LEAST_SIDE else 1.0
        zoom = min(zoom, LARGEST_SIDE / longest)
        scale = (across * zoom, down * zoom)
        size = (max(1, round(width * scale[0])), max(1, round(height * scale[1])))
        return cls(scale, size, max(16, round(max(size) / 32)))

    def place(self, x: float, y: float) -> tuple[float, float]:
        return x * self.scale[0], y * self.scale[1]


def draw(slice_: Slice, finding: Finding) -> Image.Image:
    """The slice with heat map, boxes, strongest point, verdict and legend, as an RGB image.

    Args:
        slice_: the slice that was judged.
        finding: what was found in it. Without ``activation`` (a finding that was read from a
            record) the picture has no heat, without boxes and peak no marks. Boxes are drawn
            where the verdict is tumor or uncertain, the peak unless it is no_tumor.

    Returns:
        The slice in its own pixels: square, enlarged in whole steps to a longer side of at least
        `LEAST_SIDE`, reduced to at most `LARGEST_SIDE`; a caption below.
    """
    view = _View.of(slice_)
    return _frame(_show_evidence(slice_, finding, view), finding, view)


def encode(picture: Image.Image) -> bytes:
    """A drawing as PNG that says who drew it, so that no later run takes it for a scan."""
    text = PngInfo()
    text.add_text("Software", f"{DRAWN_BY} overlay")
    stream = io.BytesIO()
    # Level 1 is three times as fast as Pillow's own and a tenth larger.
    picture.save(stream, "PNG", compress_level=1, pnginfo=text)
    return stream.getvalue()


def draw_thumbnail(
    slice_: Slice,
    finding: Finding | None = None,
    *,
    annotated: Sequence[Edges] = (),
    side: int = THUMBNAIL,
) -> tuple[bytes, tuple[int, int]]:
    """A small JPEG of the slice, for a gallery: no caption.

    Args:
        slice_: the slice.
        finding: its evidence is drawn; None: the slice as it is.
        annotated: boxes that people drew, in pixels of the slice.
        side: the longer side, at most, in pixels.

    Returns:
        The encoded picture and its (width, height).
    """
    view = _View.of(slice_)
    if finding is None:
        picture = _show_plain(slice_, view)
    else:
        picture = _show_evidence(slice_, finding, view)
    pen = ImageDraw.Draw(picture)
    for x0, y0, x1, y1 in annotated:
        edges = (*view.place(x0, y0), *view.place(x1, y1))
        pen.rectangle(edges, outline=_TRUTH, width=max(3, view.unit // 6))
    picture.thumbnail((side, side))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=82, optimize=True)
    return stream.getvalue(), picture.size


def _show_plain(slice_: Slice, view: _View) -> Image.Image:
    return Image.fromarray(_grey(slice_)).resize(view.size, _resampling(view)).convert("RGB")


def _show_evidence(slice_: Slice, finding: Finding, view: _View) -> Image.Image:
    picture = _show_plain(slice_, view)
    if finding.activation is not None and finding.to_pixels is not None:
        picture = _blend_heat(picture, finding, view)
    pen = ImageDraw.Draw(picture)
    for box in _shown_boxes(finding):
        _draw_box(pen, box, view)
    if _shows_peak(finding):
        _draw_peak(pen, view.place(*finding.peak_xy or (0, 0)), view.unit)
    if slice_.info.sides_known and slice_.info.plane in ("axial", "coronal"):
        _draw_sides(pen, view)
    return picture


def _grey(slice_: Slice) -> npt.NDArray[np.uint8]:
    """Greys by the file's own window; by the middle 99.4 % of the values if it has none or a
    senseless one."""
    pixels = slice_.pixels
    low, high = find_range(pixels)
    if low == high:
        return np.full(pixels.shape, 128, np.uint8)
    if slice_.info.window is not None:
        center, width = slice_.info.window
        first, last = center - width / 2, center + width / 2
        # A window that misses the values would show one flat grey.
        if width > 0 and first < high and last > low and width < 20 * (high - low):
            low, high = first, last
    greys = np.clip((pixels - low) * (255.0 / (high - low)), 0, 255)
    return np.asarray(greys, np.uint8)


def _resampling(view: _View) -> Image.Resampling:
    """Smooth while enlarging a little; plain squares where a pixel is larger than a word."""
    return Image.Resampling.NEAREST if min(view.scale) > 16 else Image.Resampling.BICUBIC


def _blend_heat(picture: Image.Image, finding: Finding, view: _View) -> Image.Image:
    heat = _heat(finding, view).resize(view.size, Image.Resampling.BICUBIC)
    return Image.composite(_colored(heat), picture, heat.point(_OPACITY))


def _heat(finding: Finding, view: _View) -> Image.Image:
    """Activation as 0 to 255, smoothly between the centres of cells, at a part of the view's size.

    The few cells hold no detail that the last enlargement could lose.
    """
    activation, to_pixels = finding.activation, finding.to_pixels
    assert activation is not None and to_pixels is not None
    size = finding.image_size or activation.shape[1]
    width, height = (max(1, side // 4) for side in view.size)
    cells = np.diag([activation.shape[1] / size, activation.shape[0] / size, 1.0])
    pixels = np.vstack([to_pixels, [0.0, 0.0, 1.0]])
    drawing = np.diag(
        [view.size[0] / (view.scale[0] * width), view.size[1] / (view.scale[1] * height), 1.0]
    )
    to_cells = cells @ np.linalg.inv(pixels) @ drawing
    drawn = Image.fromarray(np.asarray(activation, np.float32) * np.float32(255)).transform(
        (width, height),
        Image.Transform.AFFINE,
        tuple(to_cells[:2].ravel()),
        Image.Resampling.BICUBIC,
    )
    return drawn.convert("L")


def _colored(heat: Image.Image) -> Image.Image:
    colors = heat.copy()
    colors.putpalette(color_table(first=_HEAT_FIRST).tobytes())
    return colors.convert("RGB")


def _opacities() -> list[int]:
    """Nothing below `_HEAT_FROM`, full from `_HEAT_FULL`, a smooth step between."""
    along = (np.arange(256) / 255 - _HEAT_FROM) / (_HEAT_FULL - _HEAT_FROM)
    along = np.clip(along, 0.0, 1.0)
    step = along * along * (3 - 2 * along) * 255 * _HEAT_OPACITY
    return [int(value) for value in step]


_OPACITY = _opacities()


def _draw_box(pen: ImageDraw.ImageDraw, box: Box, view: _View) -> None:
    x0, y0 = view.place(box.x0, box.y0)
    x1, y1 = view.place(box.x1, box.y1)
    line = max(2, view.unit // 10)
    edges = (x0, y0, max(x0 + 1, x1 - 1), max(y0 + 1, y1 - 1))
    pen.rectangle(_grow(edges, line // 2), outline=_DARK, width=line * 2)
    pen.rectangle(edges, outline=_MARK, width=line)
    words, font = f"{box.score:.2f}", _font(round(view.unit * 0.75))
    above = y0 - view.unit
    _draw_outlined(pen, (x0, above if above >= 0 else y0 + line * 2), words, font, _MARK)


def _grow(edges: tuple[float, ...], by: float) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = edges
    return x0 - by, y0 - by, x1 + by, y1 + by


def _shown_boxes(finding: Finding) -> tuple[Box, ...]:
    """A frame around weak evidence would contradict a verdict that sees no tumor, or gives none.

    The record keeps the regions whatever the verdict.
    """
    return (finding.boxes or ()) if finding.verdict in ("tumor", "uncertain") else ()


def _shows_peak(finding: Finding) -> bool:
    """The strongest point of a slice that holds nothing would draw the eye to nothing."""
    return finding.peak_xy is not None and finding.verdict != "no_tumor"


def _draw_peak(pen: ImageDraw.ImageDraw, point: tuple[float, float], unit: int) -> None:
    x, y = point
    arm = unit * 0.5
    for color, width in ((_DARK, max(4, unit // 5)), (_MARK, max(2, unit // 10))):
        pen.line((x - arm, y, x + arm, y), color, width)
        pen.line((x, y - arm, x, y + arm), color, width)


def _draw_sides(pen: ImageDraw.ImageDraw, view: _View) -> None:
    """Radiological display: the patient's right is on the viewer's left."""
    font = _font(round(view.unit * 1.4))
    y = view.size[1] / 2 - view.unit * 0.7
    _draw_outlined(pen, (view.unit * 0.4, y), "R", font, _INK)
    right = view.size[0] - view.unit * 0.4 - font.getlength("L")
    _draw_outlined(pen, (right, y), "L", font, _INK)


def _draw_outlined(
    pen: ImageDraw.ImageDraw,
    point: tuple[float, float],
    words: str,
    font: ImageFont.FreeTypeFont,
    ink: tuple[int, int, int],
) -> None:
    stroke = max(1, round(font.size / 10))
    pen.text(point, words, ink, font, stroke_width=stroke, stroke_fill=_DARK)


def _frame(picture: Image.Image, finding: Finding, view: _View) -> Image.Image:
    """The slice on a dark sheet wide enough for the caption below it."""
    unit = view.unit
    width = max(view.size[0], LEAST_SIDE, unit * 26)
    caption = _draw_caption(finding, width, unit)
    sheet = Image.new("RGB", (width, view.size[1] + caption.height), _PAPER)
    sheet.paste(picture, ((width - view.size[0]) // 2, 0))
    sheet.paste(caption, (0, view.size[1]))
    return sheet


def _draw_caption(finding: Finding, width: int, unit: int) -> Image.Image:
    """Verdict and file on the left, the scales on the right, one line about use below."""
    caption = Image.new("RGB", (width, round(unit * 6.3)), _PAPER)
    pen = ImageDraw.Draw(caption)
    left, legend = unit * 0.7, width - unit * 12.7
    large, small, tiny = (_font(round(unit * size)) for size in (1.45, 0.9, 0.78))
    ink = _VERDICT_INK[finding.verdict]
    pen.text((left, unit * 0.45), _VERDICT_WORDS[finding.verdict], ink, large)
    room = legend - left - unit
    for line, words in enumerate(_explain(finding)):
        at = (left, unit * (2.25 + 1.15 * line))
        pen.text(at, _shorten(words, small, room), _INK if line == 0 else _FAINT, small)
    if finding.verdict is not None:
        _draw_legend(caption, finding, (round(legend), round(unit * 0.75)), unit)
    pen.text((left, unit * 4.95), RESEARCH_USE, _FAINT, tiny)
    return caption


def _explain(finding: Finding) -> tuple[str, str]:
    name = PurePath(finding.info.path).name
    where = name if finding.info.frame == 0 else f"{name}, slice {finding.info.frame}"
    if finding.error is not None or finding.tumor_probability is None:
        return finding.error or "", where
    return f"tumor probability {finding.tumor_probability:.1%}", where


def _draw_legend(caption: Image.Image, finding: Finding, at: tuple[int, int], unit: int) -> None:
    """The scale of evidence as it looks over grey, the probability on its own scale, the marks."""
    pen, font = ImageDraw.Draw(caption), _font(round(unit * 0.78))
    x, y = at
    size = (round(unit * 12), round(unit * 0.7))
    bar = _scale_bar(size)
    pen.text((x, y - unit * 0.25), "evidence of a tumor", _INK, font)
    y += round(unit * 0.9)
    caption.paste(bar, (x, y))
    for value in (0.0, 0.5, 1.0):
        words = f"{value:.1f}"
        middle = x + size[0] * value - font.getlength(words) * value
        pen.text((middle, y + unit * 0.75), words, _FAINT, font)
    y += round(unit * 2.4)
    if _shown_boxes(finding):
        side, line = unit * 0.7, max(2, unit // 10)
        pen.rectangle((x, y, x + side, y + side), outline=_MARK, width=line)
        pen.text((x + unit, y - unit * 0.1), "region", _FAINT, font)
        x += round(unit * 4.5)
    if _shows_peak(finding):
        _draw_peak(pen, (x + unit * 0.4, y + unit * 0.35), round(unit * 0.8))
        pen.text((x + unit * 1.2, y - unit * 0.1), "strongest point", _FAINT, font)


def _scale_bar(size: tuple[int, int]) -> Image.Image:
    heat = Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90).resize(size)
    grey = Image.new("RGB", size, (110, 110, 110))
    return Image.composite(_colored(heat), grey, heat.point(_OPACITY))


def _shorten(words: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """The words, or their two ends around an ellipsis where they are too long."""
    shown = clean = "".join(letter if letter.isprintable() else "?" for letter in words)
    keep = len(clean)
    while font.getlength(shown) > room and keep > 4:
        keep -= 1
        shown = clean[: keep // 2] + "…" + clean[-(keep // 2) :]
    return shown


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(max(8, size))
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
