"""Photographs the page of `tumorlens web` with its first example: ``make screenshots``.

Stores it in three widths, light and dark, and two small pictures for the documentation.

    python docs/hooks/web_page_pictures.py --output screenshots
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from tumorlens.viewing.web.site import write_web_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs/images/pages"
SIZES = {1440: 900, 768: 1024, 390: 844}
KEPT = {"web-desk": (1440, "dark", 720), "web-phone": (390, "light", 300)}
"""Name in the documentation -> width, theme, width of the small picture."""


def main() -> None:
    """Write the page, open it, store what a screen shows first."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=ROOT / "screenshots")
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    place = ROOT / "tests/viewing/web/pages.py"
    spec = importlib.util.spec_from_file_location("web_pages", place)
    assert spec is not None and spec.loader is not None
    pages = sys.modules["web_pages"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    with tempfile.TemporaryDirectory() as folder, pages.open_browser() as browser:
        write_web_page(Path(folder) / "page")
        with pages.serve(Path(folder) / "page") as address:
            for width, height in SIZES.items():
                for theme in ("light", "dark"):
                    watched = open_page(pages, browser, address, (width, height), theme)
                    watched.page.screenshot(path=output / f"web-{width}-{theme}.png")
                    watched.page.close()
    for name, (width, theme, small) in KEPT.items():
        with Image.open(output / f"web-{width}-{theme}.png") as shot:
            picture = shot.convert("RGB")
            picture.thumbnail((small, 10_000))
            picture.save(PAGES / f"{name}.jpg", quality=82, optimize=True)


def open_page(pages: Any, browser: Any, address: str, size: tuple[int, int], theme: str) -> Any:
    """The page with the verdict on its first example."""
    view = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=view, color_scheme=theme, service_workers="block")
    watched = pages.Watched.of(context)
    watched.open(address)
    watched.wait()
    watched.page.wait_for_timeout(300)  # a transition
    return watched


if __name__ == "__main__":
    main()
