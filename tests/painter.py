"""Painted heads, so that tests need no patient: ellipses with a skull, bright blobs as tumors."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Painting:
    """A slice and its lesion, both (H, W) uint8; the mask is empty without a tumor."""

    pixels: Picture
    mask: Picture

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Half-open x0, y0, x1, y1 of the lesion."""
        rows, columns = np.nonzero(self.mask)
        return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def paint_slice(seed: int, *, tumor: bool, size: int = 96, place: float = 0.45) -> Painting:
    """A head on black: skull, brain with grain, and a bright blob at the side if ``tumor``.

    Args:
        place: how far the blob stands from the midline, in half widths of the head.
    """
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    wide, high = rng.uniform(0.60, 0.68), rng.uniform(0.75, 0.85)
    radius = np.sqrt((x / wide) ** 2 + (y / high) ** 2)
    pixels = np.where(radius < 1, 60.0, 0.0)
    pixels[(radius > 0.9) & (radius < 1)] = 170
    brain = radius < 0.86
    pixels[brain] = 90 + rng.normal(0, 4, (size, size))[brain]
    side = -1 if rng.random() < 0.5 else 1
    centre = (side * place * wide, rng.uniform(-0.3, 0.3))
    blob = np.hypot(x - centre[0], y - centre[1]) < rng.uniform(0.14, 0.2)
    mask = (blob & brain) if tumor else np.zeros_like(brain)
    pixels[mask] = 225
    return Painting(np.clip(pixels, 0, 255).astype(np.uint8), mask.astype(np.uint8) * 255)


def write_class_folders(
    folder: Path, count: int = 14, *, names: Sequence[str] = ("no", "yes"), size: int = 96
) -> Path:
    """``count`` pictures in each of two class folders: without tumor, with tumor."""
    for tumor, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            painting = paint_slice(2 * number + tumor, tumor=bool(tumor), size=size)
            Image.fromarray(painting.pixels).save(folder / name / f"{name}{number:02}.png")
    return folder


def write_manifest(
    folder: Path,
    patients: int = 14,
    *,
    annotation: str = "mask",
    source: str = "painted",
    classes: Sequence[str] = (),
    **columns: Sequence[str],
) -> Path:
    """A ``manifest.csv``: each patient has one slice with a tumor and one without.

    Args:
        annotation: ``mask``, ``box`` or nothing.
        classes: tumor classes, dealt out in turn.
        columns: further columns, one value a patient.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for patient in range(patients):
        for tumor in (False, True):
            painting = paint_slice(1000 + 2 * patient + tumor, tumor=tumor)
            name = f"p{patient:02}-{'tumor' if tumor else 'normal'}"
            Image.fromarray(painting.pixels).save(folder / f"{name}.png")
            row = {
                "path": f"{name}.png",
                "source": source,
                "group": f"{source}-{patient:02}",
                "sequence": "FLAIR",
                "label": "tumor" if tumor else "no_tumor",
                **{column: values[patient] for column, values in columns.items()},
            }
            if tumor and classes:
                row["tumor_class"] = classes[patient % len(classes)]
            if tumor and annotation == "mask":
                Image.fromarray(painting.mask).save(folder / f"{name}-mask.png")
                row["mask"] = f"{name}-mask.png"
            if tumor and annotation == "box":
                row["box"] = " ".join(str(edge) for edge in painting.box)
            rows.append(row)
    file = folder / "manifest.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, sorted({key for row in rows for key in row}))
        table.writeheader()
        table.writerows(rows)
    return file
