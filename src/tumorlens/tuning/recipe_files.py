"""A recipe as the TOML that `read_recipe` reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tumorlens.training.recipe import Recipe
from tumorlens.writing import write_text

__all__ = ["format_recipe", "write_recipe"]


def write_recipe(path: Path, recipe: Recipe, remarks: tuple[str, ...] = ()) -> None:
    """Write a recipe with every default filled in; an earlier file is replaced.

    Args:
        path: of the file.
        recipe: to write.
        remarks: lines of comment at its head.
    """
    head = "".join(f"# {line}\n" for line in remarks)
    write_text(path, head + format_recipe(recipe), overwrite=True)


def format_recipe(recipe: Recipe) -> str:
    """The recipe as TOML: its own keys, then its tables, then its phases."""
    return "\n".join(_format_table("", recipe.to_record())) + "\n"


def _format_table(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if not isinstance(value, dict) and not _holds_tables(value):
            # What JSON writes of texts, numbers, truth and their lists is TOML, too.
            yield f"{_quote(key)} = {json.dumps(value)}"
    for key, value in values.items():
        if isinstance(value, dict):
            yield from ("", f"[{name}{key}]", *_format_table(f"{name}{key}.", value))
        elif _holds_tables(value):
            for one in value:
                yield from ("", f"[[{name}{key}]]", *_format_table("", one))


def _holds_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _quote(key: str) -> str:
    return key if key.replace("_", "").isalnum() and key.isascii() else json.dumps(key)
