"""The documentation: what it quotes stands in the sources, and each page has its place."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def read_strings() -> str:
    """Every string of the sources, a line each; a value that is filled in counts as a gap."""
    strings = []
    for path in sorted((ROOT / "src/tumorlens").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                values = (getattr(part, "value", "") for part in node.values)
                strings.append("".join(one if isinstance(one, str) else "…" for one in values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.append(node.value)
    return "\n".join(strings)


def list_messages() -> list[str]:
    """The messages that the page on troubleshooting explains."""
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    _, _, tables = text.partition("## Reading files")
    return re.findall(r"^\| `([^`]+)` \|", tables, re.M)


@pytest.fixture(scope="module")
def strings():
    return read_strings()


@pytest.mark.parametrize("message", list_messages())
def test_each_message_that_is_explained_is_one_of_the_sources(strings, message):
    pattern = "[^\n]*".join(re.escape(part.strip()) for part in message.split("…"))
    assert re.search(pattern, strings), f"no message of the sources says {message!r}"


def test_each_page_has_a_place_in_the_navigation():
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    made = {"reference/command.md"}
    assert listed == pages | made


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.ipynb")), ids=lambda path: path.stem)
def test_the_page_of_a_notebook_shows_the_code_of_its_cells(path):
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert "".join(cell["source"]) in page, "run make tutorial"
        assert not cell.get("outputs"), "a notebook is kept without outputs"


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


def list_places() -> list[str]:
    """The files and folders that the page on architecture tells a reader to open."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    _, _, table = text.partition("## To change X, open Y")
    return sorted(set(re.findall(r"`([\w./]+(?:/|\.py|\.toml|\.yml|\.onnx))`", table)))


@pytest.mark.parametrize("place", list_places())
def test_each_place_of_the_architecture_exists(place):
    assert (ROOT / "src/tumorlens" / place).exists() or (ROOT / place).exists()


def test_each_room_of_the_floor_plan_stands_in_the_architecture():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (floors,) = (one for one in contracts["importlinter"]["contracts"] if one["id"] == "floors")
    rooms = {
        name.strip(" ()")
        for layer in floors["layers"]
        if ":" not in layer and "__main__" not in layer
        for name in layer.split("|")
    }
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert {room for room in rooms if f"| `{room}` |" not in text} == set()
