"""A site: pictures of heads on the disk, some with a bright lesion, and their manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

HEADER = "path,source,group,sequence,label,tumor_class,split,box,position,note"
LESION = (26, 30, 42, 46)
"""x0 y0 x1 y1 of the lesion of every tumor slice."""


def write_site(
    folder: Path,
    patients: int = 6,
    slices: int = 2,
    *,
    seed: int = 0,
    split: str = "",
    healthy: bool = False,
) -> Path:
    """One slice with and one without lesion a patient, and so on; gives the manifest.

    ``healthy``: no patient has a lesion.

    Brightness differs from lesion to lesion and from head to head, so that a model which looks
    for brightness (`models.write_tiny_model`) errs now and then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    lines = [HEADER]
    for patient in range(patients):
        for number in range(slices):
            ill = number % 2 == 0 and not healthy
            name = f"{patient}-{number}.png"
            write_head(folder / name, rng, rng.integers(150, 255) if ill else None)
            box = " ".join(map(str, LESION)) if ill else ""
            label = "tumor" if ill else "no_tumor"
            group = f"{folder.name}-{patient}"
            lines.append(f"{name},{folder.name},{group},T1c,{label},,{split},{box},0.5,")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def write_head(path: Path, rng: np.random.Generator, lesion: int | None) -> None:
    """An ellipse of middling brightness with noise and a bright rim, and maybe a brighter block."""
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    radius = np.hypot(x / 0.8, y / 0.9)
    head = np.where(radius < 1, rng.integers(90, 150), 0).astype(float)
    spots = rng.uniform(-0.7, 0.7, (40, 2))  # no two brains are alike
    across, down = (np.exp(-((x[0] - place[:, None]) ** 2) / 0.01) for place in spots.T)
    head += (down.T * rng.normal(0, 15, 40)) @ across * (radius < 1)
    head[(radius > 0.93) & (radius < 1)] = 220
    if lesion is not None:
        x0, y0, x1, y1 = LESION
        head[y0:y1, x0:x1] = lesion
    head += rng.normal(0, 8, head.shape) * (radius < 1)
    Image.fromarray(np.clip(head, 0, 255).astype(np.uint8)).save(path)
