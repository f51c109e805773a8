"""Pages that are made when the site is built: the command with its options, and the changes.

MkDocs calls `on_files`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parents[2]
_WIDTH = 88  # characters of a help text


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the command and of the changes."""
    changes = (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    # A link of the repository begins at its root, one of the site in docs/.
    changes = changes.replace("](docs/", "](")
    files.append(File.generated(config, "changelog.md", content=changes))
    files.append(File.generated(config, "reference/command.md", content=describe_command()))
    return files


def describe_command() -> str:
    """The help text of every verb, as the command prints it."""
    import click

    from tumorlens.cli.main import app

    lead = "Every verb with its options, as `tumorlens VERB --help` prints them."
    parts = ["# Command", "", lead]
    context = click.Context(app, info_name="tumorlens")
    for name, command in list_commands(app, context, "tumorlens"):
        with click.Context(command, info_name=name, max_content_width=_WIDTH) as own:
            own.terminal_width = _WIDTH
            text = command.get_help(own)
        parts += ["", f"## {name}", "", "```{ .text .no-copy }", text, "```"]
    return "\n".join(parts) + "\n"


def list_commands(group: Any, context: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Name and command of every verb, those of a group behind it."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield f"{prefix} {name}", command
        if hasattr(command, "list_commands"):
            yield from list_commands(command, context, f"{prefix} {name}")
