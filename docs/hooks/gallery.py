"""Makes the pictures of the gallery again: ``make gallery``.

Runs the command on ``examples/``, and stores each overlay as a small JPEG.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
GALLERY = ROOT / "docs/images/gallery"
SHOWN = "flair_axial_synthetic_lesion"  # in README, in full
WIDTH = 960  # pixels: twice what a page shows of the plain slice and the one with heat


def main() -> None:
    """Draw the examples, and store what was drawn."""
    GALLERY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tumorlens", "predict", str(ROOT / "examples")]
        command += ["--heatmaps", folder, "--quiet", "--output", f"{folder}/findings.jsonl"]
        subprocess.run(command, check=True)
        for drawn in sorted(Path(folder).glob("*.heatmap.png")):
            store_small(drawn, GALLERY / f"{drawn.name.removesuffix('.heatmap.png')}.jpg")
        shutil.copy(Path(folder) / f"{SHOWN}.heatmap.png", GALLERY.with_name("verdict.png"))


def store_small(drawn: Path, target: Path) -> None:
    """Store a drawing as a JPEG of `WIDTH` pixels."""
    with Image.open(drawn) as picture:
        height = round(picture.height * WIDTH / picture.width)
        picture.convert("RGB").resize((WIDTH, height)).save(target, quality=82, optimize=True)


if __name__ == "__main__":
    main()
