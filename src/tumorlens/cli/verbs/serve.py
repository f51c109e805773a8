"""``tumorlens serve``: verdicts over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import detector_options, open_detector
from tumorlens.errors import UsageError

__all__ = ["command"]


def _limit(name: str, default: float, words_: str, kind: Any = int) -> Any:
    least = click.FloatRange(min=0, min_open=True) if kind is float else click.IntRange(min=1)
    return click.option(f"--{name}", type=least, default=default, show_default=True, help=words_)


limit_options = words.stack_options(
    _limit("max-mib", 1024, "MiB of one request, and of what its archives unpack to."),
    _limit("max-files", 5000, "Files of one request, those in archives counted."),
    _limit("max-requests", 16, "Requests with files in hand at once; one more gets 429."),
    _limit("max-results", 32, "Jobs kept at once; one more gets 503."),
    _limit("seconds", 60, "Longest time of a request; longer work belongs to /jobs.", float),
    _limit("job-seconds", 3600, "Longest time of a job.", float),
    _limit("keep-seconds", 3600, "Time until the result of a job is deleted.", float),
    _limit("memory-mib", 1024, "MiB that decoding may take, all requests together."),
)


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; other than this computer's own, it needs a token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen at; 0: any free one.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A file whose only line is the token that requests must carry.",
)
@click.option(
    "--token",
    envvar="TUMORLENS_TOKEN",
    metavar="TEXT",
    help="The token itself; others on this computer can see it. Also from TUMORLENS_TOKEN.",
)
@limit_options
@detector_options
@words.voice_options
def command(
    *,
    host: str,
    port: int,
    token_file: Path | None,
    token: str | None,
    model: str,
    operating_point: str,
    threads: int | None,
    device: str,
    quiet: bool,
    verbose: bool,
    **limits: Any,
) -> int:
    """Answer HTTP requests with verdicts, until Ctrl-C.

    POST files, a form of files or a zip archive to /predict, and get the records of predict as
    JSON; /jobs is for long studies; /openapi.json lists everything. One line a request goes to
    standard error, without names of files or patients. Needs the extra serve. For research only,
    not a medical device.
    """
    from tumorlens.integration.service.ceilings import ServiceLimits
    from tumorlens.integration.service.hosting import check_access, check_libraries, serve

    voice = words.Voice(quiet, verbose)
    known = _read_token(token_file, token)
    check_libraries()  # before the model takes its time
    check_access(host, known)
    detector = open_detector(model, operating_point=operating_point, threads=threads, device=device)
    voice.detail(f"model {detector.name} ({detector.session.path}), {detector.threads} threads")
    serve(
        model=detector, host=host, port=port, token=known, limits=ServiceLimits(**limits),
        notice=voice.say, log=lambda line: voice.say(f"{datetime.now(UTC):%FT%TZ} {line}"),
    )  # fmt: skip
    return 0


def _read_token(file: Path | None, token: str | None) -> str | None:
    """The token, from wherever it is.

    Raises:
        UsageError: it is in two places, or its file cannot be read.
    """
    if file is None:
        return token or None
    if token:
        raise UsageError("--token-file and --token (or TUMORLENS_TOKEN) contradict each other")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UsageError(f"--token-file {file}: cannot be read ({reason})") from error
