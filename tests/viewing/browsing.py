"""Chromium, headless, on the viewer's page; what it asks for and complains of is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    *("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),  # WebGL2 without a graphics card
)


@dataclass
class Visit:
    """One page, and what was heard of it.

    Attributes:
        page: of playwright.
        asked: addresses that it asked for.
        complaints: errors and warnings of its console, and exceptions that nobody caught.
    """

    page: Any
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def drop(self, *paths: Path) -> None:
        """Drop files and folders, as a person does."""
        session = self.page.context.new_cdp_session(self.page)
        data = {"items": [], "files": list(map(str, paths)), "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send(
                "Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data}
            )
        session.detach()


@contextmanager
def visit(
    url: str,
    *,
    size: tuple[int, int] = (1280, 800),
    scheme: str = "dark",
    options: tuple[str, ...] = OPTIONS,
) -> Iterator[Visit]:
    """Open a page in a browser of its own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(options))
        width, height = size
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        found = Visit(page)
        page.on("request", lambda request: found.asked.append(request.url))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on("console", lambda told: _listen(found, told))
        page.goto(url)
        page.wait_for_selector("body[data-ready]")
        try:
            yield found
        finally:
            browser.close()


def _listen(found: Visit, told: Any) -> None:
    # Software rendering says of itself that it reads pixels slowly.
    if told.type in ("error", "warning") and "GPU stall due to ReadPixels" not in told.text:
        found.complaints.append(told.text)
