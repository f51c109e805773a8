"""``predict --engine``: the options of a run on many machines, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from tumorlens.cli import words
from tumorlens.cli.pace import Pulse
from tumorlens.errors import UsageError

if TYPE_CHECKING:
    from tumorlens.predicting.options import RunSummary

__all__ = ["distribute", "engine_options", "refuse_with_engine"]

ENGINE = "engine"
_ALONE = ("shards", "at_once", "job")
_NOT_WITH = {
    "shard": "it parts the inputs itself, into --shards N",
    "dicom_out": "run it with --shard, whose jobs write DICOM objects",
    "report": "a page shows one run; judge the studies of the page by themselves",
    "run_log": "the jobs write their own logs into FILE.parts/jobs",
}
"""Options that say something else than the engine does, and why."""


engine_options = words.stack_options(
    click.option(
        "--engine",
        type=click.Choice(["slurm", "local"]),
        help="Judge in shards: as an array of Slurm, or as processes of this machine. "
        "The records are merged (needs the extra slurm).",
    ),
    click.option(
        "--shards",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --engine: into how many parts.  [default: local: one a core]",
    ),
    click.option(
        "--at-once",
        type=click.IntRange(min=1),
        metavar="N",
        help="With --engine: so many jobs at a time.  [default: slurm: all; local: one a core]",
    ),
    click.option(
        "--job",
        "job",
        multiple=True,
        metavar="NAME=VALUE",
        help="With --engine: a parameter of submitit, e.g. timeout_min=600 or "
        "slurm_partition=cpu. Repeatable.",
    ),
)
"""--engine, --shards, --at-once and --job, handed on as ``engine`` and ``jobs``."""


def refuse_with_engine(options: Mapping[str, Any], paths: Iterable[str]) -> None:
    """Refuse options that contradict --engine, or need it.

    Raises:
        UsageError: names the option.
    """
    if options[ENGINE] is None:
        for name in _ALONE:
            if options[name]:
                raise UsageError(f"--{name.replace('_', '-')} needs --engine slurm or local")
        return
    for name, reason in _NOT_WITH.items():
        if options[name] is not None:
            raise UsageError(f"--{name.replace('_', '-')} does not go with --engine: {reason}")
    if options["output"] is None or options["form"] == "table":
        raise UsageError(
            "--engine writes records; name their file with --output, and give no --format table"
        )
    if "-" in paths:
        raise UsageError(
            "-: a list on standard input does not reach the jobs of --engine; name files or folders"
        )


def distribute(voice: words.Voice, options: Mapping[str, Any]) -> RunSummary:
    """Run the jobs and merge their records, with one line that tells how far they have come.

    Args:
        voice: that speaks.
        options: of ``predict``, by their names.
    """
    from tumorlens.predicting.engines import distributing

    names = (
        *("paths", "output", "engine", "shards", "at_once", "model", "operating_point", "form"),
        *("overwrite", "resume", "summary", "series_from", "study_from", "heatmaps", "montage"),
        *("activation_volume", "mirror", "batch_size", "threads", "device"),
    )
    given = {name: options[name] for name in names}
    with Pulse(voice) as pulse:
        return distributing.distribute(
            **given, job=_parse_job(options["job"]), progress=_follow(pulse), notice=pulse.say
        )


def _follow(pulse: Pulse) -> Callable[[str, int, int], None]:
    def tell(what: str, done: int, total: int) -> None:
        pulse.unit = f"shards ({what})"
        pulse.advance("predict", done, total)

    return tell


def _parse_job(items: Iterable[str]) -> dict[str, Any]:
    """Read the ``NAME=VALUE`` of --job; what looks like a number is one.

    Raises:
        UsageError: not of this form.
    """
    settings: dict[str, Any] = {}
    for item in items:
        name, sign, value = item.partition("=")
        if not (name and sign):
            raise UsageError(f"--job {item}: expected NAME=VALUE, e.g. --job timeout_min=600")
        settings[name] = int(value) if value.isdecimal() else value
    return settings
