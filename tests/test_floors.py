"""The floor plan that import-linter does not hold: how deep one must read to read a module."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
LONGEST_CHAIN = 11
"""In modules, both ends counted. Never raise it: split nouns from work, or join small modules."""


def find_modules(root: Path) -> dict[str, Path]:
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in root.rglob("*.py")
    }


def list_imports(path: Path, modules: Mapping[str, Path]) -> set[str]:
    """What a module imports when it is imported itself: not in functions, not for types alone."""
    named: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                named.add(inner if inner in modules else node.module)
        elif isinstance(node, ast.Import):
            named |= {name.name for name in node.names}
    return named & set(modules)


def find_longest_chain(root: Path) -> tuple[str, ...]:
    modules = find_modules(root)

    @cache
    def follow(module: str) -> tuple[str, ...]:
        below = [follow(name) for name in sorted(list_imports(modules[module], modules))]
        return (module, *max(below, key=len, default=()))

    return max((follow(module) for module in modules), key=len)


def test_no_chain_of_imports_is_long():
    chain = find_longest_chain(SOURCE)
    assert len(chain) <= LONGEST_CHAIN, " -> ".join(chain)


def test_a_chain_is_found_and_imports_for_types_do_not_count(tmp_path):
    files = {
        "a": "from house.b import x",
        "b": "import house.c\nif TYPE_CHECKING:\n    from house.e import y",
        "c": "def f():\n    from house.d import z",
        "d": "from house import e",
        "e": "",
    }
    (tmp_path / "house").mkdir()
    for name, text in files.items():
        (tmp_path / f"house/{name}.py").write_text(text)
    assert find_longest_chain(tmp_path) == ("house.a", "house.b", "house.c")
