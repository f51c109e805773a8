"""`draw`: one slice with its evidence, as a person looks at it.

The picture shows the slice in its own pixels, made square where the spacing is not, and enlarged
in whole steps if it is small. Heat is drawn where the model sees evidence and fades to nothing
where it sees none, so that the anatomy stays visible under it. No color and no mark contradicts the
verdict in the caption.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from tumorlens.arguments import check_arguments
from tumorlens.design.tokens import find_color
from tumorlens.errors import UsageError
from tumorlens.finding import Finding
from tumorlens.imaging.files.contents import DRAWN_BY
from tumorlens.imaging.pixels.outline import outline_head
from tumorlens.imaging.slices import Slice
from tumorlens.report.pictures.captions import PAPER, draw_caption
from tumorlens.report.pictures.heat import blend_heat, paint_greys
from tumorlens.report.pictures.markers import (
    Markers,
    choose_markers,
    draw_box,
    draw_peak,
    draw_sides,
)

__all__ = [
    "LARGEST_SIDE",
    "LEAST_SIDE",
    "THUMBNAIL",
    "Overlay",
    "draw",
    "draw_thumbnail",
    "encode",
]

LEAST_SIDE = 512
"""The longer side of the drawn slice, at least, in pixels: text must be readable."""

LARGEST_SIDE = 4096
"""The longer side of the drawn slice, at most; larger slices are reduced."""

THUMBNAIL = 256
"""The longer side of a thumbnail, at most."""

_TRUTH = find_color("truth")  # what people drew

_MARK = f"{DRAWN_BY} overlay"
_SIGNED = ("PNG", "JPEG", "TIFF")
_SOFTWARE = 305  # TIFF 6.0, section 8

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


class Overlay(Image.Image):
    """A drawing that says who drew it wherever it is saved, so that it is never judged as a scan.

    PNG, JPEG and TIFF can say so. Other formats are refused.
    """

    @classmethod
    def of(cls, picture: Image.Image) -> Overlay:
        """The picture itself, under this class."""
        overlay = cls()
        overlay.__dict__.update(picture.__dict__)
        return overlay

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        """As Pillow saves it, with the text ``Software`` (a comment in a JPEG).

        Raises:
            UsageError: the format has no place for the mark, or the name tells none.
        """
        _check_format(fp, format)
        own = {
            "comment": _MARK,
            **params,
            "pnginfo": _sign(params.get("pnginfo")),
            "tiffinfo": {**dict(params.get("tiffinfo") or {}), _SOFTWARE: _MARK},
        }
        super().save(fp, format, **own)


def _check_format(fp: Any, format: str | None) -> None:
    """Refuse a format without a place for the mark; a stream needs a name of the format."""
    named = fp if isinstance(fp, (str, os.PathLike)) else getattr(fp, "name", "")
    suffix = os.path.splitext(os.fspath(named))[1] if isinstance(named, (str, os.PathLike)) else ""  # noqa: PTH122
    chosen = format or Image.registered_extensions().get(suffix.lower(), suffix)
    if chosen.upper() not in _SIGNED:
        raise UsageError(
            f"{named or 'the drawing'}: {chosen or 'this'} cannot carry the mark of a drawing, by "
            "which no later run takes it for a scan; save it as PNG, JPEG or TIFF"
        )


@check_arguments()
def draw(slice_: Slice, finding: Finding) -> Overlay:
    """The slice as it is, and beside it with heat map, boxes and strongest point; verdict, legend.

    Args:
        slice_: the slice that was judged.
        finding: what was found in it. Without ``activation`` (a finding that was read from a
            record) the picture has no heat, without boxes and peak no markers. Boxes and strongest
            point are drawn where the verdict is tumor or uncertain, and nothing outside of the
            head; heat is faint below the model's cell threshold, and wherever the verdict is
            another.

    Returns:
        An RGB image of the slice twice, plain on the left, in its own pixels: square, enlarged in
        whole steps to a longer side of at least `LEAST_SIDE`, reduced to at most `LARGEST_SIDE`;
        a caption below. Saved as PNG, JPEG or TIFF it carries the mark by which no later run takes
        it for a scan.
    """
    view = _View.of(slice_)
    picture, markers = _show_evidence(slice_, finding, view)
    pair = _put_side_by_side(_show_plain(slice_, view), picture)
    width = max(pair.width, 2 * LEAST_SIDE, view.unit * 26)
    return Overlay.of(_frame(pair, draw_caption(finding, markers, width, view.unit)))


def encode(picture: Image.Image, source: str = "") -> bytes:
    """A drawing as PNG that says who drew it, so that no later run takes it for a scan.

    Args:
        picture: the drawing.
        source: what stands for the scan that it shows.
    """
    stream, texts = io.BytesIO(), PngInfo()
    if source:
        texts.add_text("Source", source)
    # Level 1 is three times as fast as Pillow's own and a tenth larger.
    picture.save(stream, "PNG", compress_level=1, pnginfo=_sign(texts))
    return stream.getvalue()


def _sign(texts: PngInfo | None) -> PngInfo:
    """Who drew a PNG, before all that the caller says of it."""
    signed = PngInfo()
    signed.add_text("Software", _MARK)
    signed.chunks += texts.chunks if texts is not None else []
    return signed


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
        picture, _ = _show_evidence(slice_, finding, view)
    pen = ImageDraw.Draw(picture)
    for x0, y0, x1, y1 in annotated:
        edges = (*view.place(x0, y0), *view.place(x1, y1))
        pen.rectangle(edges, outline=_TRUTH, width=max(3, view.unit // 6))
    picture.thumbnail((side, side))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=82, optimize=True)
    return stream.getvalue(), picture.size


def _show_plain(slice_: Slice, view: _View) -> Image.Image:
    greys = Image.fromarray(paint_greys(slice_))
    return greys.resize(view.size, _resampling(view)).convert("RGB")


def _resampling(view: _View) -> Image.Resampling:
    """Smooth while enlarging a little; plain squares where a pixel is larger than a word."""
    return Image.Resampling.NEAREST if min(view.scale) > 16 else Image.Resampling.BICUBIC


def _show_evidence(slice_: Slice, finding: Finding, view: _View) -> tuple[Image.Image, Markers]:
    outline = outline_head(slice_)
    picture = blend_heat(_show_plain(slice_, view), outline, finding, view.scale)
    markers = choose_markers(finding, outline, slice_.pixels.shape)
    pen = ImageDraw.Draw(picture)
    for box in markers.boxes:
        corners = view.place(box.x0, box.y0), view.place(box.x1, box.y1)
        draw_box(pen, corners, box.score, view.unit)
    if markers.peak is not None:
        draw_peak(pen, view.place(*markers.peak), view.unit)
    if slice_.info.sides_known and slice_.info.plane in ("axial", "coronal"):
        draw_sides(pen, view.size, view.unit)
    return picture, markers


def _put_side_by_side(plain: Image.Image, picture: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (plain.width + picture.width, picture.height), PAPER)
    sheet.paste(plain, (0, 0))
    sheet.paste(picture, (plain.width, 0))
    return sheet


def _frame(picture: Image.Image, caption: Image.Image) -> Image.Image:
    """The pictures in the middle of a dark sheet, the caption below them."""
    sheet = Image.new("RGB", (caption.width, picture.height + caption.height), PAPER)
    sheet.paste(picture, ((caption.width - picture.width) // 2, 0))
    sheet.paste(caption, (0, picture.height))
    return sheet
