"""`Recipe`: every choice of a training in one frozen, self-checking noun, read from TOML.

A contradiction is refused at construction, in the spelling of the recipe's own keys. The recipe
is saved as used, every default filled in.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeGuard

import msgspec

from tumorlens.errors import RecipeError
from tumorlens.imaging.preprocess import PreprocessSpec
from tumorlens.opening import open_regular
from tumorlens.training.choices import (
    AugmentationChoice,
    DataChoice,
    EditChoice,
    LossChoice,
    NetworkChoice,
    Phase,
    check_positive,
)

__all__ = ["Recipe", "find_recipes", "override", "read_recipe"]

_TOO_DEEP = "is nested too deeply; no key of a recipe holds more than lists and tables"
_SEEDS = 2**32  # what is made of them must fit into the 64 bits of a seed of torch
_SHOWN = 60  # characters of a change, in an error
_LARGEST = 64 * 1024  # bytes; ours have two thousand, and long keys take the square of their length


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every choice of a training.

    Attributes:
        name: name of the recipe.
        summary: its purpose, in a sentence.
        seed: seed of all random numbers.
        batch: images per step.
        average: decay per step of the moving average of the weights; 0: no average.
        weight_decay: weight decay of AdamW.
        input: how slices are prepared.
        license: licence of the weights that a training makes.
        calibrate: whether probabilities and thresholds are fitted on the validation groups. If
            not, the probabilities are the network's own and the threshold is 0.5.
        published: figure -> value that the authors of the recipe published, for comparison.
    """

    name: str
    summary: str = ""
    seed: int = 0
    batch: int = 32
    average: float = 0.0
    weight_decay: float = 0.01
    license: str = "as the terms of the training data allow"
    calibrate: bool = True
    published: dict[str, float] = {}
    input: PreprocessSpec = msgspec.field(default_factory=PreprocessSpec)
    network: NetworkChoice = msgspec.field(default_factory=NetworkChoice)
    data: DataChoice = msgspec.field(default_factory=DataChoice)
    augmentation: AugmentationChoice = msgspec.field(default_factory=AugmentationChoice)
    edits: EditChoice = msgspec.field(default_factory=EditChoice)
    loss: LossChoice = msgspec.field(default_factory=LossChoice)
    phases: list[Phase]

    def __post_init__(self) -> None:
        if not self.phases:
            raise ValueError("phases is empty, a recipe needs at least one")
        if len({phase.name for phase in self.phases}) < len(self.phases):
            raise ValueError("phases holds a name twice; curves tell phases apart by their names")
        if not 0 <= self.seed < _SEEDS:
            raise ValueError(f"seed must lie in [0, {_SEEDS}), got {self.seed}")
        check_positive("weight_decay", self.weight_decay)
        if self.batch < 2:
            raise ValueError(f"batch must be at least 2, got {self.batch}")
        if not 0 <= self.average < 1:
            raise ValueError(f"average must lie in [0, 1), got {self.average}")
        if self.network.head == "picture" and (self.loss.cells or self.loss.rest):
            name = "cells" if self.loss.cells else "rest"
            raise ValueError(
                f"loss.{name} contradicts network.head = 'picture', which has no cells"
            )
        for name in ("brain", "looks"):
            if bool(getattr(self.loss, name)) != getattr(self.network, name):
                raise ValueError(f"loss.{name} and network.{name} contradict: set both or neither")
        if self.loss.types and len(self.network.classes) < 3:
            raise ValueError("loss.types contradicts network.classes, which knows one type only")

    def to_record(self) -> dict[str, Any]:
        """As plain values, every default filled in."""
        record: dict[str, Any] = msgspec.to_builtins(self)
        return record

    def without_test(self) -> Recipe:
        """The same recipe for a training whose test rows are held out already."""
        return msgspec.structs.replace(self, data=msgspec.structs.replace(self.data, test=0.0))


def find_recipes() -> dict[str, Path]:
    """Name -> file of the recipes that come with tumorlens."""
    here = Path(__file__)
    for folder in (here.with_name("recipes"), here.parents[3] / "recipes"):
        if folder.is_dir():
            return {file.stem: file for file in sorted(folder.glob("*.toml"))}
    return {}


def read_recipe(recipe: Recipe | str | Path, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe by name or from a TOML file.

    Args:
        recipe: name of a recipe of tumorlens, or a path; or a recipe, to change it.
        changes: ``key=value`` with dotted keys, e.g. ``"loss.cells=1.0"``; values as in TOML.

    Raises:
        RecipeError: no such recipe, no TOML, an unknown key, or a contradiction.
    """
    if isinstance(recipe, Recipe):
        return _change(recipe.to_record(), changes, f"the recipe {recipe.name}")
    known = find_recipes()
    path = known.get(str(recipe), Path(recipe))
    try:
        values = _load(path)
    except FileNotFoundError:
        raise RecipeError(
            f"{recipe}: neither a file nor a recipe of tumorlens; known: {', '.join(known)}"
        ) from None
    except RecursionError:
        raise RecipeError(f"{path}: {_TOO_DEEP}") from None
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise RecipeError(f"{path}: cannot be read as TOML ({error})") from None
    _check_fields(values, str(path))
    return _change(values, changes, str(path))


def _change(values: dict[str, Any], changes: Iterable[str], where: str) -> Recipe:
    for change in changes:
        override(values, change)
        _check_fields(values, f"{change!r}")
    return _convert(values, where)


def _load(path: Path) -> dict[str, Any]:
    with open_regular(path) as stream:
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise RecipeError(f"{path}: has more than {_LARGEST // 1024} KiB, which no recipe needs")
    return tomllib.loads(data.decode("utf-8"))


def override(values: dict[str, Any], change: str) -> None:
    """Set one ``key=value`` in the values of a recipe.

    Raises:
        RecipeError: the change is not of that form.
    """
    key, equals, text = change.partition("=")
    if not (key.strip() and equals):
        raise RecipeError(f"{change!r}: expected key=value, e.g. loss.cells=0.5")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    except RecursionError:
        raise RecipeError(f"{change[:_SHOWN]!r}…: {_TOO_DEEP}") from None
    *parents, last = key.strip().split(".")
    try:
        target: Any = values
        for parent in parents:
            is_list = isinstance(target, list)
            target = target[int(parent)] if is_list else target.setdefault(parent, {})
        target[int(last) if isinstance(target, list) else last] = value
    except (AttributeError, IndexError, TypeError, ValueError):
        raise RecipeError(
            f"{change!r}: the recipe has no such place; expected a key of it, with places of a "
            "list as numbers from 0, e.g. phases.0.epochs=5"
        ) from None


def _check_fields(values: Mapping[str, Any], where: str) -> None:
    """Refuse an unknown key, and name the known keys that resemble it.

    Raises:
        RecipeError: lists the fields that there are.
    """
    for table, key, value, place in _walk(values, Recipe, ""):
        if key not in table.__struct_fields__:
            near = _find_nearest(_spell(f"{place}{key}", value), list(_list_fields(values)))
            meant = f"; did you mean {' or '.join(near)}?" if near else ";"
            owner = place.removesuffix(".") or "a recipe"
            raise RecipeError(
                f"{where}: unknown field `{key}`{meant} the fields of {owner} are "
                f"{', '.join(table.__struct_fields__)}"
            )


def _walk(
    values: Mapping[str, Any], table: type[msgspec.Struct], place: str
) -> Iterator[tuple[type[msgspec.Struct], str, Any, str]]:
    """Each key of a recipe's values: (table that should have it, key, value, ``"table."``)."""
    kinds = {field.name: field.type for field in msgspec.structs.fields(table)}
    for key, value in values.items():
        yield table, key, value, place
        kind = kinds.get(key)
        if kind == list[Phase] and isinstance(value, list):
            for number, one in enumerate(value):
                if isinstance(one, Mapping):
                    yield from _walk(one, Phase, f"{place}{key}.{number}.")
        elif _is_table(kind) and isinstance(value, Mapping):
            yield from _walk(value, kind, f"{place}{key}.")


def _is_table(kind: Any) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _list_fields(values: Mapping[str, Any]) -> Iterator[str]:
    """Dotted names of all fields that ``--set`` may change, phases by their numbers."""
    phases = values.get("phases")
    for field in msgspec.structs.fields(Recipe):
        if _is_table(field.type):
            yield from (f"{field.name}.{name}" for name in field.type.__struct_fields__)
        elif field.type == list[Phase]:
            for number in range(len(phases) if isinstance(phases, list) else 1):
                yield from (f"{field.name}.{number}.{name}" for name in Phase.__struct_fields__)
        else:
            yield field.name


def _spell(key: str, value: Any) -> str:
    """The dotted name as it was typed: ``los`` that holds ``{"cells": 1}`` was ``los.cells``."""
    while isinstance(value, Mapping) and len(value) == 1:
        ((inner, value),) = value.items()
        key = f"{key}.{inner}"
    return key


def _find_nearest(key: str, fields: Sequence[str]) -> list[str]:
    """A name like it in its own table; else fields of its name in others; else names like it."""
    table, _, last = key.rpartition(".")
    names = {field: field.rpartition(".")[2] for field in fields}
    own = [field for field in fields if field == f"{table}.{names[field]}"] if table else []
    near = get_close_matches(key, own, n=1, cutoff=0.8)
    same = [field for field in fields if names[field] == last]
    like = get_close_matches(last, set(names.values()), n=1, cutoff=0.75)
    return (near or same or [field for field in fields if names[field] in like])[:3]


def _convert(values: Mapping[str, Any], where: str) -> Recipe:
    try:
        recipe = msgspec.convert(values, Recipe)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecipeError(f"{where}: {error}") from None
    for key, number in _list_numbers(recipe.to_record()):
        if not math.isfinite(number):
            raise RecipeError(f"{where}: {key} is {number}, a finite number was expected")
    return recipe


def _list_numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Dotted key and value of each number in a record."""
    if isinstance(value, float):
        yield key, value
    elif isinstance(value, (dict, list)):
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _list_numbers(one, f"{key}.{name}" if key else str(name))
