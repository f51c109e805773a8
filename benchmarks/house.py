"""How the source is built, in figures: one column for each tree, such as before and after a change.

    python benchmarks/house.py [TREE ...]

A TREE is a folder with ``src/tumorlens`` and ``tests``, or a revision of this repository, which
`git archive` unpacks into a temporary folder. Without one, the folder of this script is measured.
Nothing is imported from a tree: all figures come from its syntax.

- Lines of a function are those from ``def`` to its end, docstring left out.
- An import chain follows imports at the top of modules. Imports inside of functions, and those for
  type checkers alone, do not count for it. Both kinds count for "modules with one importer".
- Public names are classes, functions and methods without a leading underscore, in all modules.
- A verb of the command has a Python function if `tumorlens` exports its name or one of `TWINS`.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_FILES = 12
TWINS = {
    "data": {"read"},
    "recipes": {"list_recipes", "Recipe"},
    "card": {"load_card"},
    "info": {"list_models"},
}
"""Verb -> names of `tumorlens` that do the same, where the name of the verb is not one of them."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class House:
    """The modules of one tree, parsed.

    Attributes:
        root: the tree.
        modules: dotted name -> text.
    """

    root: Path
    modules: dict[str, str]

    @classmethod
    def read(cls, root: Path) -> House:
        """Read ``root/src/tumorlens``."""
        source = root / "src"
        files = sorted((source / "tumorlens").rglob("*.py"))
        if not files:
            raise SystemExit(f"{root}: no src/tumorlens in it")
        return cls(root, {name_module(file, source): file.read_text() for file in files})

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        return {name: ast.parse(text) for name, text in self.modules.items()}

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """Module -> modules that it needs to be imported."""
        return {name: self._resolve(name, tree.body) for name, tree in self.trees.items()}

    @cached_property
    def importers(self) -> Counter[str]:
        """Module -> how many others import it, anywhere in their text."""
        found: Counter[str] = Counter()
        for name, tree in self.trees.items():
            found.update(self._resolve(name, ast.walk(tree)))
        return found

    @cached_property
    def functions(self) -> list[Function]:
        return [
            node
            for tree in self.trees.values()
            for node in ast.walk(tree)
            if isinstance(node, FUNCTIONS)
        ]

    def _resolve(self, name: str, nodes: Iterator[ast.AST] | list[ast.stmt]) -> set[str]:
        targets = set[str]()
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    targets.add(inner if inner in self.modules else node.module)
            elif isinstance(node, ast.Import):
                targets.update(alias.name for alias in node.names)
        return {target for target in targets if target in self.modules} - {name}

    def find_chain(self) -> tuple[str, ...]:
        """The longest chain of imports, from the top down."""
        known: dict[str, tuple[str, ...]] = {}

        def follow(name: str) -> tuple[str, ...]:
            if name not in known:
                below = max(map(follow, sorted(self.imports[name])), key=len, default=())
                known[name] = (name, *below)
            return known[name]

        return max(map(follow, sorted(self.modules)), key=len)

    def list_public(self) -> Iterator[bool]:
        """For each public name, whether it has a docstring."""
        for tree in self.trees.values():
            for node in tree.body:
                if not isinstance(node, (ast.ClassDef, *FUNCTIONS)) or node.name[0] == "_":
                    continue
                yield ast.get_docstring(node) is not None
                for inner in node.body if isinstance(node, ast.ClassDef) else ():
                    if isinstance(inner, FUNCTIONS) and inner.name[0] != "_":
                        yield ast.get_docstring(inner) is not None

    def list_verbs(self) -> tuple[list[str], list[str]]:
        """Verbs of the command, and those of them that have a Python function."""
        verbs = list(read_constant(self.trees["tumorlens.cli.main"], "VERBS"))
        names = set(read_constant(self.trees["tumorlens"], "__all__"))
        return verbs, [verb for verb in verbs if names & ({verb} | TWINS.get(verb, set()))]


def name_module(file: Path, source: Path) -> str:
    parts = file.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_constant(tree: ast.Module, name: str) -> list[str]:
    """The strings of a list, or the keys of a dict, that a module assigns to ``name``."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    return []


def count_lines(function: Function) -> int:
    """From ``def`` to the end, without decorators and docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def spread(values: list[int]) -> str:
    """Median, 90th percentile and largest."""
    return (
        f"{statistics.median(values):g}, {statistics.quantiles(values, n=10)[8]:.0f}, {max(values)}"
    )


def share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})" if whole else "0"


def measure(house: House) -> Iterator[tuple[str, str]]:
    lines = [text.count("\n") for text in house.modules.values()]
    rooms = Counter(
        name.rpartition(".")[0]
        for name in house.modules
        if not any(other.startswith(name + ".") for other in house.modules)
    )
    full = {room: count for room, count in rooms.items() if count > MOST_FILES}
    named = list(house.list_public())
    verbs, served = house.list_verbs()
    single = [name for name in house.modules if house.importers[name] == 1]
    yield "modules, lines", f"{len(lines)}, {sum(lines):,}"
    yield "lines of a module: median, p90, max", spread(lines)
    yield "functions", f"{len(house.functions):,}"
    yield "lines of a function: median, p90, max", spread(list(map(count_lines, house.functions)))
    yield "longest import chain", str(len(house.find_chain()))
    largest = ", ".join(f"{room.rpartition('.')[2]} {count}" for room, count in full.items())
    yield f"rooms with more than {MOST_FILES} files", f"{len(full)}" + f" ({largest})" * bool(full)
    yield "modules with one importer", share(len(single), len(house.modules))
    yield "public names with a docstring", share(sum(named), len(named))
    yield "verbs with a Python function", f"{len(served)} of {len(verbs)}"
    tests = [file.read_text() for file in (house.root / "tests").rglob("*.py")]
    yield "tests (functions), lines of tests", count_tests(tests)


def count_tests(texts: list[str]) -> str:
    functions = sum(
        isinstance(node, FUNCTIONS) and node.name.startswith("test")
        for text in texts
        for node in ast.walk(ast.parse(text))
    )
    return f"{functions:,}, {sum(text.count(chr(10)) for text in texts):,}"


def unpack(revision: str, folder: Path) -> Path:
    """The tree of a revision of this repository."""
    command = ["git", "-C", str(ROOT), "archive", revision, "src", "tests"]
    packed = subprocess.run(command, capture_output=True, check=False)
    if packed.returncode:
        raise SystemExit(f"{revision}: no folder, and {packed.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def main(say: Callable[[str], object] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trees", nargs="*", default=[str(ROOT)], metavar="TREE")
    parser.add_argument("--chain", action="store_true", help="also print the longest chain")
    given = parser.parse_args()
    with ExitStack() as stack:
        houses = []
        for tree in given.trees:
            if Path(tree).is_dir():
                houses.append(House.read(Path(tree)))
            else:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                houses.append(House.read(unpack(tree, Path(folder))))
        columns = [dict(measure(house)) for house in houses]
        titles = [Path(tree).name or "this tree" for tree in given.trees]
    say("| | " + " | ".join(titles) + " |")
    say("|---" * (len(titles) + 1) + "|")
    for name in columns[0]:
        say(f"| {name} | " + " | ".join(column[name] for column in columns) + " |")
    if given.chain:
        for title, house in zip(titles, houses, strict=True):
            say(f"\n{title}: " + " > ".join(house.find_chain()))


if __name__ == "__main__":
    sys.exit(main())
