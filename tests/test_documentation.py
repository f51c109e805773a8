"""The documentation: what it quotes stands in the sources, and each page has its place."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import tumorlens
from brains import paint_brain
from builders import write_picture
from tumorlens.cli.main import VERBS
from tumorlens.finding import VERDICTS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "tumorlens"


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
    made = {"changelog.md", "reference/command.md"}
    assert listed == pages | made


def test_each_verb_that_is_a_function_stands_in_the_table_of_python():
    text = (DOCS / "how-to/python.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([a-z]+)[^`]*` \| `", text, re.M))
    assert set(VERBS) - told == {"data", "recipes", "mcp"}


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


def list_examples() -> list[tuple[str, str]]:
    """Page and code of each Python example of the pages and of README."""
    pages = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    blocks = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
    return [
        (str(page.relative_to(ROOT)), code)
        for page in pages
        for code in blocks.findall(page.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("page", "code"), list_examples())
def test_each_example_is_python_and_uses_public_names(page, code):
    used = {
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "tumorlens"
    }
    assert used <= set(tumorlens.__all__), page


def test_the_example_of_readme_answers_for_single_pictures(tmp_path, monkeypatch, capsys):
    """They belong to no series, so no study tells of them."""
    (tmp_path / "scans").mkdir()
    for number in range(2):
        write_picture(tmp_path / "scans" / f"{number}.png", paint_brain(number))
    monkeypatch.chdir(tmp_path)
    (code,) = (code for page, code in list_examples() if page == "README.md")
    exec(code.partition("print(tumorlens.audit")[0])  # the rest needs labelled images
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [Path(path).name for path, _, _ in told] == ["0.png", "1.png"]
    assert all(verdict in VERDICTS and 0 <= float(chance) <= 1 for _, verdict, chance in told)


def test_the_table_of_the_tutorial_is_what_predict_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    text = (DOCS / "tutorials/report.md").read_text(encoding="utf-8")
    rows = re.findall(r"^ ([a-z ]+?) +([\d.]+) % +([\d.]+) +(\d|–)   (examples/\S+)$", text, re.M)
    assert len(rows) > 4
    findings = tumorlens.predict([path for *_, path in rows])
    for (verdict, chance, unfamiliarity, regions, _), found in zip(rows, findings, strict=True):
        assert found.verdict == verdict.replace(" ", "_")
        assert 100 * found.tumor_probability == pytest.approx(float(chance), abs=0.15)
        assert found.unfamiliarity == pytest.approx(float(unfamiliarity), abs=0.015)
        assert regions == "–" or len(found.boxes) == int(regions)
    told = next(chance for _, chance, _, _, path in rows if path.endswith(".nii.gz"))
    assert f"all say {told} %" in text


def list_commands() -> list[tuple[str, str]]:
    """Page and line of each command that the pages and README show."""
    pages = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    return [
        (str(page.relative_to(ROOT)), line.partition("  #")[0].strip())
        for page in pages
        if page.name != "decisions.md"
        for line in re.findall(
            r"^(?:\S*/)?tumorlens .*$",
            page.read_text(encoding="utf-8").replace("\\\n", " "),  # a command of several lines
            re.M,
        )
    ]


@pytest.mark.parametrize(("page", "line"), list_commands())
def test_each_command_names_a_verb_and_options_that_exist(page, line):
    words = shlex.split(line)[1:]
    verb = import_module("tumorlens.cli.main").app.get_command(None, words[0])
    assert verb is not None, f"{page}: {line}"
    if hasattr(verb, "get_command"):
        verb = verb.get_command(None, words[1])
    known = {name for one in verb.params for name in (*one.opts, *one.secondary_opts)}
    given = {word for word in words if word.startswith("-") and word != "-"}
    assert given <= known | {"--help", "-h"}, f"{page}: {line}"


def list_paths() -> list[tuple[str, str]]:
    """Page and path of what the documentation names as a file or folder of this repository."""
    pages = [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    history = {DOCS / "decisions.md"}  # it names what has moved since
    tops = {one.name for base in (ROOT, PACKAGE) for one in base.iterdir() if one.is_dir()}
    return [
        (str(page.relative_to(ROOT)), path)
        for page in sorted(set(pages) - history)
        for path in re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
        if path.split("/")[0] in tops and "/" in path
    ]


def test_each_path_that_is_named_exists():
    named = list_paths()
    assert len(named) > 100
    missing = [
        (page, path)
        for page, path in named
        if not any((base / path).exists() for base in (ROOT, PACKAGE, DOCS))
    ]
    assert not missing


def test_shares_are_spelled_in_one_way():
    """``95 %``: in what people read on pages and terminals, and in the documentation."""
    glued = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in (*PACKAGE.rglob("*.py"), *DOCS.rglob("*.md"), ROOT / "README.md")
        if path != DOCS / "decisions.md"
        for found in re.findall(
            r"(?<![a-z%])[0-9]%(?![0-9A-F])|:\.[0-9]%\}", path.read_text("utf-8")
        )
    ]
    assert glued == []
