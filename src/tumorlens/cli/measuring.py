"""What the verbs that measure share: MODEL, DATA, and which rows of DATA are used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

import click

from tumorlens.cli import words
from tumorlens.errors import UsageError
from tumorlens.writing import hold_interrupts

if TYPE_CHECKING:
    from tumorlens.data.choosing import Choice
    from tumorlens.detector import Detector
    from tumorlens.evaluation.scoring import Scored

__all__ = [
    "choosing_options",
    "copies_option",
    "detector_options",
    "folds_by_option",
    "grouping_options",
    "groups_option",
    "map_option",
    "open_detector",
    "operating_point_option",
    "parse_map",
    "split_option",
    "tell_failures",
]

Result = TypeVar("Result")

split_option = click.option(
    "--split",
    metavar="NAME",
    help="Only rows of this split; those that share a group with another count as seen.",
)
map_option = click.option(
    "--map",
    "mapped",
    multiple=True,
    metavar="NAME=MEANING",
    help="What a class folder means: tumor, no_tumor, a tumor class, or skip. Repeatable.",
)
copies_option = click.option(
    "--twins/--no-twins",
    default=None,
    help="Join copies of one picture into one group.  [default: where a group is missing]",
)
folds_by_option = click.option(
    "--folds-by",
    type=click.Choice(["group", "source"]),
    default="group",
    show_default=True,
    help="What a fold keeps whole: groups, or sources. With sources, each fold tests sources "
    "that its model was not trained on.",
)
groups_option = click.option(
    "--shared-groups/--separate-groups",
    "shared_groups",
    default=None,
    help="Whether a group's name means the same patient in all of DATA....",
)
operating_point_option = click.option(
    "--operating-point",
    default="balanced",
    show_default=True,
    metavar="NAME",
    help="One of the model's sets of thresholds.",
)
detector_options = words.stack_options(
    words.model_option, operating_point_option, words.threads_option, words.device_option
)
"""What every verb that opens a model for long takes: --model to --device."""


def grouping_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """What class folders mean and how rows are grouped: the command gets a ``choice``."""

    @wraps(command)
    def choose(
        *arguments: object,
        mapped: tuple[str, ...],
        twins: bool | None,
        shared_groups: bool | None,
        **options: object,
    ) -> Result:
        from tumorlens.data.choosing import Choice

        choice = Choice(None, parse_map(mapped), shared_groups, twins)
        return command(*arguments, choice=choice, **options)

    return words.stack_options(map_option, copies_option, groups_option)(choose)


def choosing_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Which rows of DATA... are taken, and how they are grouped: the command gets a ``choice``."""

    @wraps(command)
    def choose(*arguments: object, split: str | None, choice: Choice, **options: object) -> Result:
        return command(*arguments, choice=replace(choice, split=split), **options)

    return split_option(grouping_options(choose))


def parse_map(items: Iterable[str]) -> dict[str, str]:
    """Read the ``NAME=MEANING`` of --map.

    Raises:
        UsageError: not of this form, or a name is given twice.
    """
    meanings: dict[str, str] = {}
    for item in items:
        name, sign, meaning = item.partition("=")
        if not (name and sign and meaning):
            raise UsageError(
                f"--map {item}: expected NAME=MEANING, e.g. --map mets=metastasis --map masks=skip"
            )
        if meanings.setdefault(name, meaning) != meaning:
            raise UsageError(f"--map {item}: {name} is mapped to {meanings[name]} already")
    return meanings


def open_detector(
    model: str,
    *,
    operating_point: str = "balanced",
    threads: int | None = None,
    device: str = "cpu",
    batch_size: int = 8,
    mirror: bool = False,
) -> Detector:
    """The model that MODEL names, on the device."""
    from tumorlens.detector import Detector
    from tumorlens.model.onnx_runtime import find_providers

    with hold_interrupts():  # libraries that are interrupted while they load raise anything
        return Detector(
            model,
            operating_point=operating_point,
            threads=threads,
            providers=find_providers(device),
            batch_size=batch_size,
            mirror=mirror,
        )


def tell_failures(scored: Scored, voice: words.Voice) -> None:
    """Say which slices could not be read: all of them to a verbose voice."""
    if voice.verbose:
        scored.tell_failures(voice.say, most=None)
    else:
        scored.tell_failures(voice.say)
