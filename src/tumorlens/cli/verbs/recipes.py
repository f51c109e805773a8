"""``tumorlens recipes``: what train can be asked for."""

from __future__ import annotations

from pathlib import Path

import click

from tumorlens.opening import read_text
from tumorlens.training.recipe import find_recipes, read_recipe

__all__ = ["command"]


@click.command()
@click.argument("name", required=False)
def command(name: str | None) -> int:
    """List the recipes that come with tumorlens; with NAME (or a file), print that recipe."""
    if name is None:
        for known in find_recipes():
            click.echo(f"{known:10} {read_recipe(known).summary}")
        return 0
    read_recipe(name)
    file = find_recipes().get(name, Path(name))
    click.echo(read_text(file), nl=False)
    return 0
