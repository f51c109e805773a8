"""``tumorlens watch``: studies are judged as they come, and the answers go where the user says."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import detector_options, open_detector
from tumorlens.errors import UsageError

if TYPE_CHECKING:
    from tumorlens.integration.dicom.object_options import ObjectKind

__all__ = ["command"]

_SPLIT = "joined by commas"


@click.command()
@click.option(
    "--folder",
    nargs=2,
    type=words.FOLDER,
    metavar="IN OUT",
    help="Judge the studies that are laid into IN; write the answers into OUT.",
)
@click.option(
    "--orthanc",
    metavar="URL",
    help="Judge the studies of an Orthanc; store the answers there (DICOMweb).",
)
@click.option(
    "--listen",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Judge the studies that are sent to this port (C-STORE); needs --send-to.",
)
@click.option("--send-to", metavar="AET@HOST:PORT", help="DICOM node that gets the answers.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address that --listen listens on. With the default only this machine can connect; "
    "give 0.0.0.0 to accept others.",
)
@click.option(
    "--aet", default="TUMORLENS", show_default=True, help="AE title under which tumorlens answers."
)
@click.option(
    "--modality",
    "modalities",
    default="MR",
    show_default=True,
    metavar="WORDS",
    help=f"Judge series of these modalities, {_SPLIT}; 'any' for all.",
)
@click.option(
    "--description",
    "descriptions",
    multiple=True,
    metavar="PATTERN",
    help="Judge series whose description, study or protocol fits, e.g. '*head*'. May be repeated.",
)
@click.option(
    "--body-part",
    "body_parts",
    default="",
    metavar="WORDS",
    help=f"Judge series that state one of these body parts, {_SPLIT}.",
)
@click.option(
    "--objects",
    metavar="KINDS",
    help="DICOM objects to write, joined by commas: sr (report), seg (segmentation), "
    "sc (picture).  [default: sr,seg,sc]",
)
@click.option("--uid-root", metavar="UID", help="New UIDs begin with it.")
@click.option(
    "--queue",
    type=words.FOLDER,
    metavar="DIR",
    help="Folder of the queue and of what is on its way.  [default: one for each source, in the "
    "user's state folder]",
)
@click.option(
    "--pause",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="A study of --folder or --listen is complete after so long without a new file.",
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look for new studies.",
)
@click.option("--once", is_flag=True, help="End when nothing is left to do, e.g. for cron.")
@click.option("--retry-failed", is_flag=True, help="Give studies that failed another chance.")
@click.option(
    "--metrics",
    type=words.FILE,
    metavar="FILE",
    help="Keep numbers in a file, as Prometheus reads them.",
)
@detector_options
@words.voice_options
def command(
    *,
    folder: tuple[Path, Path] | None,
    orthanc: str | None,
    listen: int | None,
    send_to: str | None,
    host: str,
    aet: str,
    modalities: str,
    descriptions: tuple[str, ...],
    body_parts: str,
    objects: str | None,
    uid_root: str | None,
    queue: Path | None,
    pause: float,
    every: float,
    once: bool,
    retry_failed: bool,
    metrics: Path | None,
    model: str,
    operating_point: str,
    threads: int | None,
    device: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Judge studies as they come, and send the answers as DICOM objects: report, map, picture.

    Name one source: --folder IN OUT, --orthanc URL or --listen PORT. Answers go there, or to
    --send-to, and nowhere else. What is on its way is kept on the disk: a watch that was broken off
    takes it up again, and sends nothing twice. A line a study goes to standard output; it names no
    patient. With --once the exit code is 1 if a study failed or has to wait.

    For research only, not a medical device.
    """
    from tumorlens.integration.dicom.object_options import OBJECTS
    from tumorlens.integration.pacs.image_headers import SeriesFilter
    from tumorlens.integration.pacs.keeping_watch import keep_watch
    from tumorlens.integration.pacs.watch_plan import WatchPlan

    voice = words.Voice(quiet, verbose)
    kinds = OBJECTS if objects is None else _split(objects, upper=False)
    plan = WatchPlan(
        folder=folder, orthanc=orthanc, listen=listen, send_to=send_to, host=host, aet=aet,
        wanted=SeriesFilter(_split_modalities(modalities), descriptions, _split(body_parts)),
        objects=cast("tuple[ObjectKind, ...]", kinds), uid_root=uid_root, queue=queue,
        pause=pause, every=every, metrics=metrics,
    )  # fmt: skip
    plan.check_libraries()
    detector = open_detector(model, operating_point=operating_point, threads=threads, device=device)
    voice.detail(f"model {detector.name} ({detector.session.path}), {detector.threads} threads")
    sound = keep_watch(
        plan, detector, once=once, retry_failed=retry_failed, log=_print_line, notice=voice.say
    )
    return 0 if sound or not once else 1


def _split(text: str, *, upper: bool = True) -> tuple[str, ...]:
    parts = [part.strip() for part in text.split(",")] if text else []
    return tuple(part.upper() if upper else part for part in parts)


def _split_modalities(text: str) -> tuple[str, ...]:
    if not text.strip():
        raise UsageError("--modality names none; give e.g. MR, or 'any'")
    return () if text.strip().lower() == "any" else _split(text)


def _print_line(line: str) -> None:
    time = datetime.now().astimezone().isoformat(timespec="seconds")
    click.echo(words.make_printable(f"{time} {line}"))
