"""``tumorlens card``: a model's card, for people."""

from __future__ import annotations

from pathlib import Path

import click

from tumorlens.cli import words
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.version import list_versions
from tumorlens.writing import check_writable, write_text

__all__ = ["command"]


@click.command()
@words.model_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "html"]),
    help="What is written.  [default: as FILE is named, else markdown]",
)
@words.output_option
@words.overwrite_option
@click.pass_context
def command(
    ctx: click.Context, /, *, model: str, form: str | None, output: Path | None, overwrite: bool
) -> int:
    """What MODEL is for, what it was made of, its figures with intervals, its known failures.

    The items of CLAIM and TRIPOD+AI follow, answered where the card can and "not answered" where
    it cannot. Goes to standard output, or to --output.
    """
    from tumorlens.model.registry import find_model
    from tumorlens.model.session import Session
    from tumorlens.report.model_cards import build_card_page
    from tumorlens.report.pages import render_html, render_markdown

    if output is not None:
        check_inputs_survive((), output)
        check_writable(output, overwrite=overwrite)
        if form is None and output.suffix.lower() in (".html", ".htm"):
            form = "html"
    session = Session(find_model(model), threads=1)
    page = build_card_page(
        session.card,
        sha256=session.sha256,
        drawn=form == "html",
        command=words.repeat_command(ctx),
        versions=list_versions(),
    )
    text = render_html(page) if form == "html" else render_markdown(page)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text, overwrite=overwrite)
    return 0
