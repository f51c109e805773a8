"""``tumorlens web``: the page that judges in the browser, as a folder for any web server."""

from __future__ import annotations

from pathlib import Path

import click

from tumorlens.cli import words
from tumorlens.errors import UsageError

__all__ = ["command"]


@click.command()
@words.model_option
@click.option(
    "--output",
    "-o",
    type=words.FOLDER,
    metavar="DIR",
    help="Folder to write.",
)
@click.option(
    "--runtime",
    type=words.FOLDER,
    metavar="DIR",
    help="Folder `dist` of onnxruntime-web, if this machine may not fetch it.",
)
@words.overwrite_option
@words.voice_options
def command(
    *,
    model: str,
    output: Path | None,
    runtime: Path | None,
    overwrite: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Write a page to --output DIR that judges pictures, DICOM and NIfTI in the browser.

    No Python runs behind the page, and it sends nothing: serve the folder with any web server, and
    the model works on the device of whoever opens it, later even without a network. The first call
    fetches onnxruntime-web from the npm registry, once; or take it from --runtime.
    """
    from tumorlens.viewing.web.site import write_web_page

    if output is None:
        raise UsageError("--output DIR is missing: where should the page go?")
    voice = words.Voice(quiet, verbose)
    page = write_web_page(output, model=model, runtime=runtime, overwrite=overwrite)
    if page.note:
        voice.say(page.note)
    if not quiet:
        name = words.make_printable(str(page.folder))
        click.echo(f"{name}: a page with {page.model}, {page.megabytes:.1f} MB")
        click.echo(f"Try it: python -m http.server --bind 127.0.0.1 --directory {name}")
    return 0
