"""Pictures of heads whose verdicts under `models.write_tiny_model` are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image


def paint_slice(
    spot: tuple[int, int] | None = (40, 30), size: tuple[int, int] = (128, 112)
) -> npt.NDArray[np.uint8]:
    """A grey disc on black, as 8 bits; with a ``spot`` (x, y) a bright square of 20 pixels there.

    The tiny model calls the spot a tumor and the bare disc none.
    """
    height, width = size
    y, x = np.mgrid[:height, :width]
    radius = np.hypot((x - width / 2) / (width * 0.42), (y - height / 2) / (height * 0.42))
    pixels = np.where(radius < 1, 90 + (x * 3 + y * 5) % 23, 0).astype(np.uint8)
    pixels[(radius > 0.95) & (radius < 1)] = 220  # the scalp: bright, but too thin for a cell
    if spot is not None:
        pixels[spot[1] : spot[1] + 20, spot[0] : spot[0] + 20] = 250
    return pixels


def write_folder(folder: Path, tumors: int = 3, healthy: int = 3) -> list[Path]:
    """PNG files ``t0.png`` … and ``n0.png`` …."""
    folder.mkdir(parents=True, exist_ok=True)
    named = [(f"t{index}.png", (30 + 2 * index, 30)) for index in range(tumors)]
    spots: list[tuple[str, tuple[int, int] | None]] = [*named]
    spots += [(f"n{index}.png", None) for index in range(healthy)]
    paths = []
    for name, spot in spots:
        path = folder / name
        Image.fromarray(paint_slice(spot)).save(path)
        paths.append(path)
    return sorted(paths)
