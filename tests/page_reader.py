"""Reads a page as a browser would, and refuses what it would load or run."""

from __future__ import annotations

from html.parser import HTMLParser

LOADING = {
    "script",
    "link",
    "iframe",
    "object",
    "embed",
    "base",
    "form",
    "video",
    "audio",
    "source",
}
VOID = {"meta", "img", "br", "hr", "input", "link"}


class PageReader(HTMLParser):
    """Collects text, names and references; notes what no page may hold.

    Attributes:
        faults: what would load, run, stand unescaped or lack a text for those who do not see.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.pictures = 0
        self.words: list[str] = []
        self.css = ""
        self.feed(text)
        self.close()
        self.faults += [
            f"{name} stands twice" for name in set(self.ids) if self.ids.count(name) > 1
        ]
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if tag in LOADING:
            self.faults.append(f"<{tag}>")
        if tag == "img":
            self.pictures += 1
            if not values.get("alt"):
                self.faults.append("a picture without a text")
        for name, value in values.items():
            self._check(tag, name, value or "")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.css += data
            if "@import" in data or "url(" in data:
                self.faults.append("style loads something")
        else:
            self.words.append(data)

    def _check(self, tag, name, value):
        if name == "id":
            self.ids.append(value)
        if name.startswith("on") or name in ("srcset", "xmlns"):
            self.faults.append(f"{tag} {name}")
        if name in ("href", "src") and not value.startswith(("#", "data:image/")):
            self.faults.append(f"{tag} {name}={value[:60]}")
        if "//" in value and name not in ("src", "aria-label", "alt"):
            self.faults.append(f"{tag} {name}={value[:60]}")
        if name in ("style", "clip-path") and "url(" in value and "url(#" not in value:
            self.faults.append(f"{tag} {name}={value[:60]}")
