"""Photographs every report page as a person sees it: ``make screenshots``.

Builds one page of each kind, opens it in chromium at three widths, light and dark, prints it as
PDF, and stores all of that in a folder. ``--keep`` also stores a few of them, small, for the
documentation.

    python docs/hooks/screenshots.py --output screenshots --keep
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs/images/pages"
SIZES = {1440: 900, 768: 1024, 390: 844}
THEMES = ("light", "dark")
KEPT = {
    "study-desk": ("study", 1440, "light"),
    "study-phone": ("study", 390, "dark"),
    "verdict-tablet": ("verdict", 768, "dark"),
    "evaluation-desk": ("evaluation", 1440, "light"),
    "card-desk": ("card", 1440, "dark"),
    "audit-phone": ("audit", 390, "light"),
}
"""Name in the documentation -> page, width, theme."""
PARTS = {
    "audit-findings": "What to do, the worst finding first",
    "audit-twins": "Pictures side by side",
    "audit-shortcuts": "Shortcuts: what predicts the label",
}
"""Picture of docs/images -> heading of the audit's section that it shows."""
SMALL = {1440: 720, 768: 480, 390: 300}
"""Width of a page -> that of its small picture."""


def main() -> None:
    """Build, open and store the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=ROOT / "screenshots")
    parser.add_argument("--keep", action="store_true", help=f"also fill {PAGES.name}/ of the docs")
    parser.add_argument("--only", nargs="*", default=[], help="pages, e.g. study card")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    from playwright.sync_api import sync_playwright

    from report_pages import write_pages

    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        files = write_pages(Path(folder), options.only)
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
        )
        for name, file in files.items():
            shoot(browser, name, file, options.output)
        if options.keep and "audit" in files:
            keep_parts(browser, files["audit"])
        browser.close()
    if options.keep:
        keep(options.output)


def shoot(browser: Any, name: str, file: Path, output: Path) -> None:
    """Whole pages as PNG, and the print."""
    for width, height in SIZES.items():
        for theme in THEMES:
            size = {"width": width, "height": height}
            page = browser.new_page(viewport=size, color_scheme=theme)
            page.goto(file.as_uri())
            page.screenshot(path=output / f"{name}-{width}-{theme}.png", full_page=True)
            if (width, theme) == (1440, "light"):
                page.pdf(path=output / f"{name}.pdf", format="A4", print_background=False)
            page.close()


def keep_parts(browser: Any, file: Path) -> None:
    """Sections of the audit as the pages on audits show them."""
    page = browser.new_page(viewport={"width": 880, "height": 900}, color_scheme="light")
    page.goto(file.as_uri())
    for name, heading in PARTS.items():
        shot = page.locator(f"section:has(> h2:text-is('{heading}'))").screenshot()
        with Image.open(io.BytesIO(shot)) as whole:
            first = whole.convert("RGB").crop((0, 0, whole.width, min(whole.height, 1200)))
        first.quantize(128).save(PAGES.parent / f"{name}.png", optimize=True)
    page.close()


def keep(output: Path) -> None:
    """What a screen shows first of some pages, as small pictures for the documentation."""
    PAGES.mkdir(parents=True, exist_ok=True)
    for kept, (name, width, theme) in KEPT.items():
        file = output / f"{name}-{width}-{theme}.png"
        if not file.is_file():
            continue
        with Image.open(file) as shot:
            first = shot.crop((0, 0, width, min(shot.height, round(1.6 * SIZES[width]))))
            small = first.convert("RGB")
            small.thumbnail((SMALL[width], 10_000))
            stream = io.BytesIO()
            small.save(stream, "JPEG", quality=80, optimize=True)
        (PAGES / f"{kept}.jpg").write_bytes(stream.getvalue())


if __name__ == "__main__":
    main()
