"""``tumorlens mcp``: the tools of the Model Context Protocol."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import detector_options, open_detector

__all__ = ["command"]


@click.command()
@click.argument("folder", metavar="SCANS", type=words.FOLDER)
@detector_options
def command(
    *, folder: Path, model: str, operating_point: str, threads: int | None, device: str
) -> int:
    """Answer an assistant that starts this command, over standard input and output.

    It may have judged what lies below the folder SCANS, and read the card of the model. What it is
    told goes to whoever runs the assistant: verdicts, names of files and UIDs of studies, no names
    of patients. Needs the extra mcp. For research only, not a medical device.
    """
    from tumorlens.integration.mcp_server import Tools, check_libraries, serve_tools

    check_libraries()  # before the model takes its time
    detector = open_detector(model, operating_point=operating_point, threads=threads, device=device)
    tools = Tools(detector, folder)
    if sys.stdin.isatty():
        click.echo("This waits for an assistant to start it. End it with Ctrl-C.", err=True)
    serve_tools(tools)
    return 0
