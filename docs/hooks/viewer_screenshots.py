"""Photograph the viewer at three widths, in dark and in light.

    make screenshots-view                                    # a painted volume; needs nilearn
    python docs/hooks/viewer_screenshots.py --scans FILE...   # scans of one's own: not for the docs

Without ``--scans`` the two pictures of docs/how-to/view.md are written anew, too. Needs chromium,
playwright and the extra view.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "src"))

SIZES = ((1440, 900), (768, 1024), (390, 844))
KEPT = {(1440, "dark"): ("view-desk.jpg", 1000), (390, "light"): ("view-phone.jpg", 300)}
"""(width, scheme) -> picture of the docs and its width."""
GAP = 3
"""Between painted slices, in mm."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scans", type=Path, nargs="+", help="default: a painted volume")
    parser.add_argument("--output", type=Path, default=ROOT / "screenshots")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        scans = options.scans or [paint_study(Path(place)), *list_pictures()]
        for path in photograph([str(path) for path in scans], options.output):
            print(path)
    if not options.scans:
        keep(options.output)


def photograph(scans: list[str], output: Path) -> list[Path]:
    """The viewer with the study that asks loudest, and before anything was dropped."""
    from viewing.browsing import visit
    from viewing.viewers import open_viewer

    written = []
    for words in ([], scans):
        with open_viewer(*words) as viewer:
            for size in SIZES:
                for scheme in ("dark", "light"):
                    with visit(viewer.url, size=size, scheme=scheme) as found:
                        name = f"{'scene' if words else 'empty'}-{size[0]}-{scheme}.png"
                        written.append(output / name)
                        shoot(found.page, output / name, filled=bool(words))
    return written


def shoot(page: Any, path: Path, *, filled: bool) -> None:
    """One picture, once everything is there; a phone's is as long as the page."""
    if filled:
        shown = "body[data-shown] #loading[hidden]"
        page.wait_for_selector(shown, state="attached", timeout=120_000)
        page.wait_for_timeout(1500)
    page.screenshot(path=path, full_page=True)


def paint_study(folder: Path) -> Path:
    """A FLAIR of the MNI template with a lesion through several slices, as NIfTI."""
    import nibabel as nib

    painter = load_painter()
    slices = [
        painter.add_scanner_noise(paint_level(painter, level), level + 100)
        for level in range(-22, 66, GAP)
    ]
    voxels = np.clip(np.stack(slices) * 1000, 0, 4095).astype(np.int16).transpose(2, 1, 0)
    affine = np.diag([-1.0, -1.0, GAP, 1.0])
    affine[:3, 3] = voxels.shape[0] / 2, voxels.shape[1] / 2, -22
    path = folder / "painted_study_FLAIR.nii.gz"
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def paint_level(painter: ModuleType, level: int) -> Any:
    """The template at a height in mm, with what of the lesion lies there."""
    from dataclasses import replace

    tissue, whole = painter.read_template(level), painter.GLIOMA_FLAIR
    picture = painter.shade_flair(tissue)
    left = whole.radius**2 - (level - 36) ** 2
    if left < 16:
        return picture
    return painter.paint(picture, tissue, replace(whole, radius=left**0.5))


def load_painter() -> ModuleType:
    """examples/paint_lesions.py, which is no package."""
    spec = importlib.util.spec_from_file_location("painter", ROOT / "examples/paint_lesions.py")
    assert spec is not None and spec.loader is not None
    painter = importlib.util.module_from_spec(spec)
    sys.modules["painter"] = painter  # where its dataclasses look for their types
    spec.loader.exec_module(painter)
    return painter


def list_pictures() -> list[Path]:
    names = ("t2_axial_normal.png", "t1c_axial_synthetic_lesion.dcm", "t1_sagittal_normal.png")
    return [ROOT / "examples" / name for name in names]


def keep(output: Path) -> None:
    """The pictures of the docs: smaller, and with all colours, for heat has many."""
    from PIL import Image

    for (width, scheme), (name, kept) in KEPT.items():
        picture = Image.open(output / f"scene-{width}-{scheme}.png").convert("RGB")
        picture = picture.crop((0, 0, width, min(picture.height, 900)))
        picture.thumbnail((kept, 2000))
        picture.save(ROOT / "docs/images/pages" / name, quality=82, optimize=True)


if __name__ == "__main__":
    main()
