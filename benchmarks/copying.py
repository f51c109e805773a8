"""Ways in which pictures are copied on the web, for the benchmarks of copies and fingerprints."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from tumorlens.data.rows import Manifest, Row
from tumorlens.finding import SliceInfo
from tumorlens.imaging.slices import Slice

Picture = Image.Image
Augmentation = Callable[[Picture, np.random.Generator], Picture]


def load_picture(path: Path) -> Picture:
    with Image.open(path) as picture:
        return picture.convert("L")


def as_slice(picture: Picture) -> Slice:
    return Slice(np.asarray(picture, np.float32), SliceInfo("copy"))


def find_neighbours(manifest: Manifest) -> list[tuple[Row, Row]]:
    """Pairs of slices of one patient and sequence that follow each other, away from the ends."""
    series: dict[tuple[str, str, str], list[Row]] = {}
    for row in manifest.rows:
        if row.position is not None:
            series.setdefault((row.source, row.group, row.sequence), []).append(row)
    pairs = []
    for rows in series.values():
        rows.sort(key=lambda row: row.position or 0.0)
        inner = [row for row in rows if 0.15 < (row.position or 0.0) < 0.9]
        pairs += [pair for pair in pairwise(inner) if pair[0].path != pair[1].path]
    return pairs


def crop_head(picture: Picture, share: float, rng: np.random.Generator) -> Picture:
    """Cut off black margins, and up to ``share`` of the head on each side."""
    pixels = np.asarray(picture, float)
    mask = pixels > 0.12 * pixels.max()
    rows, columns = (np.flatnonzero(mask.mean(axis) > 0.02) for axis in (1, 0))
    if min(len(rows), len(columns)) < 16:
        return picture
    left, top, right, bottom = rng.uniform(0, share, 4)
    width, height = columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]
    return picture.crop(
        (
            int(columns[0] + left * width),
            int(rows[0] + top * height),
            int(columns[-1] + 1 - right * width),
            int(rows[-1] + 1 - bottom * height),
        )
    )


def recompress(picture: Picture, quality: int) -> Picture:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("L")


def bend(picture: Picture, gamma: float) -> Picture:
    return picture.point([round(255 * (value / 255) ** gamma) for value in range(256)])


def mix(picture: Picture, rng: np.random.Generator) -> Picture:
    """Several at once, as in the sets on the web."""
    copy = crop_head(picture, 0.03, rng).resize((200, 200))
    copy = copy.transpose(Image.Transpose(int(rng.integers(7))))
    return recompress(ImageEnhance.Brightness(copy).enhance(rng.uniform(0.8, 1.3)), 50)


CHANGES: dict[str, Augmentation] = {
    "exact": lambda p, _: p,
    "mirrored": lambda p, _: ImageOps.mirror(p),
    "upside-down": lambda p, _: ImageOps.flip(p),
    "turned 90": lambda p, _: p.transpose(Image.Transpose.ROTATE_90),
    "transposed": lambda p, _: p.transpose(Image.Transpose.TRANSPOSE),
    "half size": lambda p, _: p.resize((p.width // 2, p.height // 2), Image.Resampling.BILINEAR),
    "double size": lambda p, _: p.resize((p.width * 2, p.height * 2), Image.Resampling.BICUBIC),
    "stretched": lambda p, _: p.resize((256, 224)),
    "JPEG quality 30": lambda p, _: recompress(p, 30),
    "margins added": lambda p, _: ImageOps.expand(p, (20, 50, 60, 10), 0),
    "margins cut": lambda p, rng: crop_head(p, 0.0, rng),
    "cut 0-3 % a side": lambda p, rng: crop_head(p, 0.03, rng),
    "cut 0-6 % a side": lambda p, rng: crop_head(p, 0.06, rng),
    "cut 0-12 % a side": lambda p, rng: crop_head(p, 0.12, rng),
    "brighter x 1.4": lambda p, _: ImageEnhance.Brightness(p).enhance(1.4),
    "darker x 0.6": lambda p, _: ImageEnhance.Brightness(p).enhance(0.6),
    "gamma 0.6": lambda p, _: bend(p, 0.6),
    "gamma 1.6": lambda p, _: bend(p, 1.6),
    "contrast x 1.6": lambda p, _: ImageEnhance.Contrast(p).enhance(1.6),
    "equalised": lambda p, _: ImageOps.equalize(p),
    "sharpened": lambda p, _: p.filter(ImageFilter.UnsharpMask(2, 200, 0)),
    "blurred": lambda p, _: p.filter(ImageFilter.GaussianBlur(1.2)),
    "turned 3 degrees": lambda p, _: p.rotate(3, Image.Resampling.BILINEAR),
    "several at once": mix,
}
"""Name -> how a copy is made."""
