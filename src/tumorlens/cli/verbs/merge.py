"""``tumorlens merge``: the records of shards in, those of one run out."""

from __future__ import annotations

from pathlib import Path

import click

from tumorlens.cli import words
from tumorlens.remote.addresses import spell_address
from tumorlens.report.tables import count_words

__all__ = ["command"]


@click.command()
@click.argument("shards", nargs=-1, required=True, metavar="SHARD...", type=words.FILE)
@click.option(
    "--output", "-o", required=True, type=words.FILE, metavar="FILE", help="Where the records go."
)
@words.overwrite_option
@click.option("--allow-missing", is_flag=True, help="Merge what there is; the exit code is then 1.")
@words.voice_options
def command(
    *,
    shards: tuple[Path, ...],
    output: Path,
    overwrite: bool,
    allow_missing: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Join the records that predict --shard I/N wrote to SHARD..., in the order of one run.

    The result is that of one run, but for the seconds. Shards that never started or were cut off
    are listed, and then nothing is written: the exit code is 2. Otherwise it is that of one run.
    """
    from tumorlens.predicting.sharding.merging import merge

    voice = words.Voice(quiet, verbose)
    done = merge(
        list(shards), output, overwrite=overwrite, allow_missing=allow_missing, notice=voice.say
    )
    voice.say(f"{spell_address(str(output))}: {count_words(done.counts, skipped=done.skipped)}")
    return 1 if done.missing or done.failed else 0
