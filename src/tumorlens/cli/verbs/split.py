"""``tumorlens split``: train, validation and test, or folds, that no patient crosses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from tumorlens.cli import words
from tumorlens.cli.measuring import folds_by_option, grouping_options
from tumorlens.cli.pace import Pulse
from tumorlens.digits import say_count
from tumorlens.errors import UsageError
from tumorlens.imaging.files.survival import check_inputs_survive
from tumorlens.writing import check_results

if TYPE_CHECKING:
    from tumorlens.data.choosing import Choice
    from tumorlens.data.rows import Manifest
    from tumorlens.data.splits import By

__all__ = ["command"]


@click.command()
@words.data_arguments
@click.option("--folds", type=click.IntRange(min=2), metavar="K", help="K folds, named 0 to K-1.")
@folds_by_option
@click.option(
    "--fractions",
    type=click.FloatRange(0, 1),
    nargs=3,
    default=(0.7, 0.15, 0.15),
    show_default=True,
    metavar="TRAIN VALIDATION TEST",
    help="Shares of the parts, where no folds are asked for.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Settles ties."
)
@grouping_options
@click.option(
    "--output",
    "-o",
    type=words.FILE,
    required=True,
    metavar="FILE.csv",
    help="The manifest with its splits, for train and evaluate.",
)
@words.overwrite_option
@words.threads_option
@words.run_log_option
@words.voice_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    data: tuple[Path, ...],
    folds: int | None,
    folds_by: By,
    fractions: tuple[float, float, float],
    seed: int,
    choice: Choice,
    output: Path,
    overwrite: bool,
    threads: int | None,
    run_log: Path | None,
    quiet: bool,
    verbose: bool,
) -> int:
    """Split the slices of DATA... so that no group stands on two sides.

    A group is a patient; where patients are not known, the copies of one picture; else a file.
    Sources, sequences and classes are spread over the parts as evenly as whole groups allow; where
    that gave way is said.
    """
    from tumorlens.data.choosing import choose_rows
    from tumorlens.data.splits import split_manifest

    given = ctx.get_parameter_source("fractions")
    if folds is not None and given is ParameterSource.COMMANDLINE:
        raise UsageError("give either --folds or --fractions, not both")
    watch, voice = words.Stopwatch(), words.Voice(quiet, verbose)
    check_inputs_survive(map(str, data), output, run_log)
    check_results((output, run_log), overwrite=overwrite)
    with Pulse(voice) as pulse:
        whole = choose_rows(
            data, choice, threads=threads, progress=pulse.advance, notice=pulse.say
        ).manifest
        parted, notes = split_manifest(
            whole, folds=folds, fractions=fractions, seed=seed, by=folds_by
        )
    parted.write(output, overwrite=overwrite)
    for line in _summary(parted):
        voice.say(line)
    if broken := len(parted.unreadable):
        singular = "slice cannot be read; its note says why"
        voice.say(say_count(broken, singular, "slices cannot be read; their notes say why"))
    for note in notes:
        voice.say(f"note: {note}")
    if run_log is not None:
        counts = {"slices": len(parted), "groups": len(parted.groups), "notes": len(notes)}
        watch.write_log(run_log, "split", ctx.params, counts=counts)
    return 0


def _summary(manifest: Manifest) -> Iterator[str]:
    from tumorlens.data.splits import PARTS

    parts = list(PARTS)
    order = sorted(
        {row.split for row in manifest.rows},
        key=lambda name: parts.index(name) if name in parts else int(name),
    )
    for split in order:
        part = manifest.where(lambda row, split=split: row.split == split)  # type: ignore[misc]
        labels = Counter(row.label for row in part.rows)
        unlabelled = f", {labels['']} unlabelled" if labels[""] else ""
        yield (
            f"{split}: {say_count(len(part), 'slice')} of {say_count(len(part.groups), 'group')}, "
            f"{labels['tumor']} with a tumor, {labels['no_tumor']} without{unlabelled}"
        )
