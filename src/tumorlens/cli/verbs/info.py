"""``tumorlens info``: what is installed here. Loads no network."""

from __future__ import annotations

import json
from typing import Any

import click

from tumorlens.model.installation import info
from tumorlens.optional import say_install

__all__ = ["command"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(as_json: bool) -> int:
    """Version, bundled models with hash, size, licence and terms, extras that are installed.

    The exit code is 1 if a bundled model is missing or damaged.
    """
    facts = info().to_record()
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    else:
        _print(facts)
    return 0 if all(model["intact"] for model in facts["models"]) else 1


def _print(facts: dict[str, Any]) -> None:
    from tumorlens.report.tables import make_table, open_console

    console = open_console()
    console.print(f"tumorlens {facts['version']} on Python {facts['python']}", highlight=False)
    for model in facts["models"]:
        console.print(make_table(f"model {model['name']}", ("", ""), _rows(model), header=False))
    extras = [(name, _extra_words(name, there)) for name, there in facts["extras"].items()]
    console.print(make_table("extras", ("", ""), extras, header=False))


def _rows(model: dict[str, Any]) -> list[tuple[str, str]]:
    state = "" if model["intact"] else "  (missing or damaged: install tumorlens again)"
    return [
        ("what", model["summary"]),
        ("file", model["file"]),
        ("size", f"{model['bytes'] / 1e6:.1f} MB"),
        ("SHA-256", model["sha256"] + state),
        ("licence", model["license"]),
        ("terms", model["terms"]),
    ]


def _extra_words(name: str, there: bool) -> str:
    return "installed" if there else f"not installed; {say_install(name)}"
