"""What the verbs that make a model share: the rows, how they are read, and the initial weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

from tumorlens.cli import words
from tumorlens.cli.measuring import grouping_options

if TYPE_CHECKING:
    from tumorlens.data.choosing import Choice

__all__ = ["Material", "material_options"]

Result = TypeVar("Result")


class Material(TypedDict):
    """Parameters of `train` and `tune` alike."""

    settings: tuple[str, ...]
    weights: tuple[Path, ...]
    classes: Mapping[str, str] | None
    shared_groups: bool | None
    twins: bool | None
    store: Path | None
    skip_unreadable: bool
    drop_conflicts: bool


_OPTIONS = words.stack_options(
    click.option(
        "--set", "changes", multiple=True, metavar="KEY=VALUE",
        help="Change a value of the recipe, e.g. --set loss.cells=1.0. Repeatable.",
    ),
    click.option(
        "--weights", multiple=True, type=click.Path(path_type=Path), metavar="FILE|NAME",
        help="ImageNet weights, or a model of tumorlens to go on from (.onnx, or its name: "
        "default). Repeatable: the mean of models that were trained from one start.  "
        "[default: TUMORLENS_WEIGHTS, else torchvision's published file]",
    ),
    grouping_options,
    click.option(
        "--store", type=words.FOLDER, metavar="FOLDER",
        help="Keep prepared pictures here, for further trainings on the same data.",
    ),
    click.option(
        "--skip-unreadable", is_flag=True, help="Go on without pictures that cannot be read."
    ),
    click.option(
        "--drop-conflicts", is_flag=True, help="Go on without pictures with two labels."
    ),
)  # fmt: skip


def material_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """From --set to --drop-conflicts: the command gets them as ``material``."""

    @wraps(command)
    def collect(
        *arguments: object,
        changes: tuple[str, ...],
        weights: tuple[Path, ...],
        choice: Choice,
        store: Path | None,
        skip_unreadable: bool,
        drop_conflicts: bool,
        **options: object,
    ) -> Result:
        material = Material(
            settings=changes,
            weights=weights,
            classes=choice.classes,
            shared_groups=choice.shared_groups,
            twins=choice.twins,
            store=store,
            skip_unreadable=skip_unreadable,
            drop_conflicts=drop_conflicts,
        )
        return command(*arguments, material=material, **options)

    return _OPTIONS(collect)
