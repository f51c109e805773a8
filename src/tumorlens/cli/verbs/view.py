"""``tumorlens view``: look at scans and verdicts in a browser on this machine."""

from __future__ import annotations

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import detector_options, open_detector

__all__ = ["command"]


@click.command()
@click.argument("scans", nargs=-1, metavar="[SCANS]...", type=click.Path())
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="any free one",
    help="Port of the local server.",
)
@click.option(
    "--browser/--no-browser", default=True, help="Open the page in the browser.", show_default=True
)
@detector_options
@words.voice_options
def command(
    *,
    scans: tuple[str, ...],
    port: int,
    browser: bool,
    model: str,
    operating_point: str,
    threads: int | None,
    device: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Judge SCANS and show them in a browser; more scans can be dropped onto the page.

    SCANS are files, folders or patterns: DICOM (also zipped), NIfTI and other volumes, pictures.
    The server runs on this machine alone, sends nothing anywhere, and ends with Ctrl-C. Needs the
    extra view. For research only, not a medical device.
    """
    from tumorlens.viewing.running import check_libraries, view

    voice = words.Voice(quiet, verbose)
    check_libraries()  # before the model takes its time
    detector = open_detector(model, operating_point=operating_point, threads=threads, device=device)
    voice.detail(f"model {detector.name} ({detector.session.path}), {detector.threads} threads")
    view(scans, model=detector, port=port, browser=browser, notice=voice.say)
    return 0
