"""A page of `tumorlens web` on a loopback server, in a real browser that tells what went wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
SECONDS = 120


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, in silence."""

    extensions_map = {  # noqa: RUF012
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
    }

    def log_message(self, *words: object) -> None:
        """Quiet."""


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Address of a folder on loopback, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def open_browser() -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(BROWSER), args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, what it complained of, and where it sent requests."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, context: Any) -> Watched:
        """A new page of a browser or a context."""
        one = cls(context.new_page())
        one.page.on("console", one._hear)
        one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
        one.page.on("request", lambda request: one.requests.add(request.url))
        return one

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, address: str) -> None:
        """Load the page and wait until it is ready, or has judged its first example."""
        self.page.goto(address)
        self.page.wait_for_selector(
            "body[data-state=ready], body[data-state=done], body[data-state=failed]",
            timeout=SECONDS * 1000,
        )

    def judge(self, files: Path | Sequence[Path], how: str = "choose") -> dict[str, Any]:
        """What the page says of files: its numbers, or ``{"failed": words}``."""
        named = [files] if isinstance(files, Path) else list(files)
        self.page.evaluate("document.body.dataset.state = 'asked'")
        if how == "choose":
            self.page.set_input_files("#files", named)
        else:
            self._drop(named)
        return self.wait()

    def wait(self) -> dict[str, Any]:
        """What the page says when it is done."""
        self.page.wait_for_selector(
            "body[data-state=done], body[data-state=failed]", timeout=SECONDS * 1000
        )
        found = self.page.evaluate("document.body.dataset.finding")
        return json.loads(found) if found else {"failed": self.page.inner_text("#status")}

    def _drop(self, files: Sequence[Path]) -> None:
        """As a person does, folders too."""
        session = self.page.context.new_cdp_session(self.page)
        data = {"items": [], "files": list(map(str, files)), "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            place = {"type": kind, "x": 200, "y": 300, "data": data}
            session.send("Input.dispatchDragEvent", place)
        session.detach()
