"""``tumorlens data``: the public sets, what is wrong with them, and how to read a download."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import copies_option
from tumorlens.cli.pace import Pulse
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.writing import check_writable

if TYPE_CHECKING:
    from tumorlens.data.public_sets.catalogue import PublicSet

__all__ = ["command"]

_WIDEST = 96


@click.group()
def command() -> None:
    """Public sets of brain MRI slices: what they are, their terms, and what is wrong with them."""


@command.command("list", short_help="Terms, citation and faults of each set.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def list_sets(names: tuple[str, ...]) -> None:
    """Say of each public set what it is, where it lies, its terms, how to cite it, its faults."""
    from tumorlens.data.public_sets.catalogue import SETS
    from tumorlens.data.public_sets.downloads import find_set

    for name in names or SETS:
        click.echo("\n".join(_describe(name, find_set(name))) + "\n")


@command.command("add", short_help="Read a download into a manifest.")
@click.argument("name")
@click.argument("path", type=words.DATA)
@copies_option
@words.threads_option
@click.option(
    "--output",
    "-o",
    type=words.FILE,
    metavar="FILE.csv",
    help="The manifest.  [default: manifest.csv in PATH]",
)
@words.overwrite_option
@words.voice_options
def add(
    *,
    name: str,
    path: Path,
    twins: bool | None,
    threads: int | None,
    output: Path | None,
    overwrite: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Read the download of the public set NAME, unpacked in PATH, into a manifest.

    With it, PATH is DATA for split, train and evaluate. Patients are not known in these sets, so
    copies of one picture are joined into groups.
    """
    from tumorlens.data.choosing import group_copies
    from tumorlens.data.public_sets.downloads import read_download

    voice = words.Voice(quiet, verbose)
    target = path / "manifest.csv" if output is None else output
    manifest = read_download(name, path, notice=voice.say)
    check_inputs_survive((), target)
    check_writable(target, overwrite=overwrite)
    with Pulse(voice) as pulse:
        grouped = group_copies(
            manifest, twins, threads=threads, progress=pulse.advance, notice=pulse.say
        )
    grouped.write(target, overwrite=overwrite)
    voice.say(f"{target}: {len(grouped)} slices in {len(grouped.groups)} groups")


@command.command("get", short_help="Fetch a set that has a plain address.")
@click.argument("name")
@click.argument("folder", type=words.DATA)
@words.voice_options
def get(*, name: str, folder: Path, quiet: bool, verbose: bool) -> None:
    """Fetch the public set NAME into FOLDER, where a plain address exists.

    Each file is checked against its hash, and is whole or not there.
    """
    from tumorlens.data.public_sets.downloads import fetch_set, find_set

    voice = words.Voice(quiet, verbose)
    known = find_set(name)
    if known.archives:
        voice.say(f"{name}: {known.terms}")
    with Pulse(voice, unit="files") as pulse:
        advance = pulse.count(name, lambda: len(known.archives))
        files = fetch_set(name, folder, progress=advance)
    for file in files:
        click.echo(file)
    if not known.layout:
        voice.say(f"{name}: {known.advice}")


def _describe(name: str, known: PublicSet) -> Iterator[str]:
    yield click.style(name, bold=True) + f": {known.title}"
    how = "data add" if known.layout else "by hand: " + known.advice
    fetched = "data get" if known.archives else "by hand"
    lines = [
        ("holds", known.content),
        ("lies at", known.home),
        ("terms", known.terms),
        ("cite", known.cite),
        *(("beware", problem) for problem in known.problems),
        ("sources", ", ".join(known.sources)),
        ("fetched", fetched),
        ("read", how),
    ]
    for word, text in lines:
        yield textwrap.fill(
            text,
            min(_WIDEST, shutil.get_terminal_size((_WIDEST, 0)).columns),
            initial_indent=f"  {word:8} ",
            subsequent_indent=" " * 11,
            break_long_words=False,
            break_on_hyphens=False,
        )
