"""`Space`: which values of a recipe a search may try, read from TOML in the recipe's own words."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from tumorlens.errors import RecipeError
from tumorlens.opening import open_regular
from tumorlens.training.recipe import Recipe, read_recipe

__all__ = ["Choices", "Range", "Space", "Value", "read_space"]

Value = float | int | str
"""Of one trial: a number of a `Range`, or a choice as JSON."""

_FIXED = {
    "name": "it only names the recipe",
    "summary": "it only describes the recipe",
    "license": "it changes no weight",
    "published": "it changes no weight",
    "calibrate": "it changes no ranking",
    "seed": "a lucky seed is no better recipe",
    "data.test": "test rows take no part in a search",
    "data.test_groups": "test rows take no part in a search",
    "data.test_by": "test rows take no part in a search",
    "loss.teacher": "a search has no teacher",
}
"""Keys that no search may vary, and why."""
_EXPECTED = "{ low = …, high = … }, with log = true for a logarithmic range, or { choices = […] }"
_LARGEST = 64 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones where both ends are `int`."""

    low: float
    high: float
    log: bool = False

    def holds(self, value: Any) -> bool:
        """Whether the value lies in the range."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and self.low <= value <= self.high

    def encode(self, value: Any) -> Value:
        """A value of the recipe as a trial keeps it."""
        return value  # type: ignore[no-any-return]

    def list_ends(self) -> list[Value]:
        """What must fit the recipe so that all of the range does."""
        return [self.low, self.high]


@dataclass(frozen=True, slots=True)
class Choices:
    """Values as JSON; a list or a text is one value."""

    texts: tuple[str, ...]

    def holds(self, value: Any) -> bool:
        """Whether the value is one of them."""
        return json.dumps(value) in self.texts

    def encode(self, value: Any) -> Value:
        """A value of the recipe as a trial keeps it."""
        return json.dumps(value)

    def list_ends(self) -> list[Value]:
        """All of them must fit the recipe."""
        return list(self.texts)


@dataclass(frozen=True)
class Space:
    """Which values of a recipe are tried.

    Attributes:
        base: the recipe that all trials change.
        axes: dotted key of the recipe -> its values.
    """

    base: Recipe
    axes: dict[str, Range | Choices]

    def make_recipe(self, values: Mapping[str, Value]) -> Recipe:
        """The base with the values of a trial.

        Raises:
            RecipeError: the values contradict each other.
        """
        return read_recipe(self.base, [f"{key}={value}" for key, value in values.items()])

    def describe_base(self) -> dict[str, Value]:
        """The base's own values as a trial; empty where one of them lies outside the space."""
        found = {key: find_value(self.base, key) for key in self.axes}
        if not all(self.axes[key].holds(value) for key, value in found.items()):
            return {}
        return {key: self.axes[key].encode(value) for key, value in found.items()}

    def to_record(self) -> dict[str, Any]:
        """As plain values: another start goes on only where they are the same."""
        return {
            key: list(axis.texts) if isinstance(axis, Choices) else [axis.low, axis.high, axis.log]
            for key, axis in self.axes.items()
        }


def find_value(recipe: Recipe, key: str) -> Any:
    """The value of a dotted key, which the recipe has."""
    value: Any = recipe.to_record()
    for part in key.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def read_space(path: str | Path, base: Recipe) -> Space:
    """Read a space: one line a key, such as ``loss.cells = { low = 0.1, high = 1.0 }``.

    Args:
        path: of a TOML file.
        base: the recipe whose values it names.

    Raises:
        RecipeError: no TOML, a key that the recipe lacks, or values that it refuses.
    """
    try:
        with open_regular(Path(path)) as stream:
            values = tomllib.loads(stream.read(_LARGEST).decode("utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path}: cannot be read as TOML ({error})") from None
    axes = {key: _read_axis(f"{path}: {key}", key, one, base) for key, one in _flatten(values)}
    if not axes:
        raise RecipeError(f"{path}: names no key of a recipe; expected lines of KEY = {_EXPECTED}")
    return Space(base, axes)


def _flatten(values: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and what stands there: TOML reads ``loss.cells = {…}`` as table in table."""
    for key, value in values.items():
        name = f"{place}{key}"
        if isinstance(value, Mapping) and value and not {"low", "high", "choices"} & set(value):
            yield from _flatten(value, f"{name}.")
        else:
            yield name, value


def _read_axis(where: str, key: str, value: Any, base: Recipe) -> Range | Choices:
    if key in _FIXED:
        raise RecipeError(f"{where} cannot be searched over: {_FIXED[key]}")
    own = _find_own(where, key, base)
    axis: Range | Choices
    if isinstance(value, Mapping) and set(value) == {"choices"}:
        axis = _read_choices(where, value["choices"])
    elif isinstance(value, Mapping) and {"low", "high"} <= set(value) <= {"low", "high", "log"}:
        axis = _settle_kind(where, _read_range(where, value), own)
    else:
        raise RecipeError(f"{where}: expected {_EXPECTED}; got {value!r}")
    for end in axis.list_ends():
        _check_fit(where, key, str(end), base)
    return axis


def _find_own(where: str, key: str, base: Recipe) -> Any:
    """The value that the recipe has.

    Raises:
        RecipeError: it has no such key; names what is nearest, and what there is.
    """
    try:
        return find_value(base, key)
    except (IndexError, KeyError, TypeError, ValueError):
        _check_fit(where, key, "0", base)
        raise RecipeError(f"{where}: the recipe {base.name} has no such value") from None


def _check_fit(where: str, key: str, text: str, base: Recipe) -> None:
    """Refuse a key that the recipe lacks, or a value that it refuses.

    Raises:
        RecipeError: says which, and what there is.
    """
    try:
        read_recipe(base, [f"{key}={text}"])
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from None


def _read_choices(where: str, values: Any) -> Choices:
    if not isinstance(values, list) or len(values) < 2:
        raise RecipeError(f"{where}: choices must be a list of at least two values, got {values!r}")
    return Choices(tuple(dict.fromkeys(json.dumps(one) for one in values)))


def _read_range(where: str, values: Mapping[str, Any]) -> Range:
    low, high, log = values["low"], values["high"], values.get("log", False)
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, (int, float)) or not isfinite(end):
            raise RecipeError(f"{where}: low and high must be numbers, got {end!r}")
    if not low < high:
        raise RecipeError(f"{where}: low must be below high, got {low} and {high}")
    if not isinstance(log, bool):
        raise RecipeError(f"{where}: log must be true or false, got {log!r}")
    if log and not low > 0:
        raise RecipeError(f"{where}: a logarithmic range begins above 0, got low = {low}")
    return Range(low, high, log)


def _settle_kind(where: str, axis: Range, own: Any) -> Range:
    """Whole numbers where the recipe has one, else any."""
    if isinstance(own, bool) or not isinstance(own, (int, float)):
        raise RecipeError(f"{where} is {own!r} in the recipe, no number; give {{ choices = […] }}")
    if isinstance(own, float):
        return Range(float(axis.low), float(axis.high), axis.log)
    if not (isinstance(axis.low, int) and isinstance(axis.high, int)):
        raise RecipeError(
            f"{where} takes whole numbers; low and high are {axis.low} and {axis.high}"
        )
    return axis
