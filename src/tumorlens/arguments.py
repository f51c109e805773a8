"""What the public functions take: one rule a parameter, checked before any work is done.

A name means the same in every function, so that its rule stands here once. Without the check a
wrong value would be found late and by chance, as an error of Python or of a library below.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from math import isfinite
from typing import Any, ParamSpec, TypeVar

import numpy as np

from tumorlens.errors import UsageError

__all__ = [
    "COUNT",
    "DEVICE",
    "IN_OUT",
    "LISTED_COUNTS",
    "LISTED_INPUTS",
    "MODEL",
    "OPEN_MODEL",
    "PATH",
    "PROVIDERS",
    "SETS",
    "SWITCH",
    "TEXT",
    "Rule",
    "check_arguments",
    "optional",
]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_LONGEST = 60  # characters of a wrong value that a message shows


@dataclass(frozen=True, slots=True)
class Rule:
    """What a parameter takes.

    Attributes:
        expected: this, in a phrase.
        fits: whether a value is of that kind.
    """

    expected: str
    fits: Callable[[Any], bool]

    def check(self, name: str, value: Any) -> None:
        """Refuse a value.

        Raises:
            UsageError: names the parameter, what was expected and what came.
        """
        if not self.fits(value):
            raise UsageError(f"`{name}=`: expected {self.expected}; got {_show(value)}")


def check_arguments(
    **own: Rule | None,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Check the arguments of a function before it runs.

    Args:
        own: rules of this function alone; None for a parameter that it checks itself.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        signature = inspect.signature(function)
        rules = {name: own[name] if name in own else RULES[name] for name in signature.parameters}

        @wraps(function)
        def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:  # a call with too few or unknown arguments: Python says which
                return function(*args, **kwargs)
            for name, value in given.items():
                rule = rules[name]
                if rule is not None:
                    rule.check(name, value)
            return function(*args, **kwargs)

        return checked

    return decorate


def optional(rule: Rule) -> Rule:
    """The same, or None."""
    return Rule(f"{rule.expected}, or None", lambda value: value is None or rule.fits(value))


def _show(value: Any) -> str:
    """A value in a message: itself where it is short, else its type."""
    if isinstance(value, tuple) and len(value) == 1:  # what a function takes one by one
        return _show(value[0])
    plain = value is None or isinstance(value, (str, bytes, bool, int, float, list, tuple, dict))
    text = repr(value) if plain else ""
    if text and len(text) <= _LONGEST:
        return f"a list {text}" if isinstance(value, (list, tuple)) else text
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def _is_path(value: Any) -> bool:
    """Text or an object of pathlib; no file has a null character in its name."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return isinstance(value, str) and "\0" not in value


def _is_whole(least: int) -> Callable[[Any], bool]:
    def fit(value: Any) -> bool:
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        return whole and bool(value >= least)

    return fit


def _is_number(value: Any) -> bool:
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return real and isfinite(value)


def _is_rate(value: Any) -> bool:
    return _is_number(value) and bool(0 < value < 1)


def _is_noun(*names: str) -> Callable[[Any], bool]:
    """Whether a value is a noun of tumorlens, of a room above this one."""
    return lambda value: any(
        kind.__name__ in names and kind.__module__.startswith("tumorlens.")
        for kind in type(value).__mro__
    )


def _is_list(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def fit(value: Any) -> bool:
        many = isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))
        return many and all(map(fits, value))

    return fit


def _either(*kinds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: any(fits(value) for fits in kinds)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(one, str) for pair in value.items() for one in pair
    )


def _are_inputs(value: Any) -> bool:
    """Paths; those of an iterator are not looked at before their turn."""
    if isinstance(value, Iterator):
        return True
    many = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))
    return _is_path(value) or (many and all(map(_is_path, value)))


def _are_models(value: Any) -> bool:
    """One model, one table of scores, or at least one file of scores."""
    files = _is_list(_is_path)(value) and len(value) > 0
    return files or _is_path(value) or _is_noun("Detector", "Scores")(value)


def _one_of(*words: str) -> Rule:
    *others, last = map(repr, words)
    shown = f"{', '.join(others)} or {last}" if others else last
    return Rule(shown, lambda value: isinstance(value, str) and value in words)


_is_source = _either(_is_path, _is_noun("Manifest"))
_MODELS = _is_list(_is_path)
_SOURCE = "a folder, a manifest (CSV) or a Manifest"

PATH = Rule("a path (text, or an object of pathlib)", _is_path)
TEXT = Rule("text", _is_text)
SWITCH = Rule("True or False", lambda value: isinstance(value, (bool, np.bool_)))
COUNT = Rule("a whole number of at least 1", _is_whole(1))
RATE = Rule("a number between 0 and 1", _is_rate)
CALL = optional(Rule("a function", callable))
LISTED_COUNTS = Rule(
    "a list of whole numbers of at least 1, such as [1, 4]", _is_list(_is_whole(1))
)
LISTED_PATHS = Rule('a list of paths, such as ["fold0.csv", "fold1.csv"]', _is_list(_is_path))
LISTED_INPUTS = Rule(
    "a path, or a list of paths",
    lambda value: _are_inputs(value) and not isinstance(value, Iterator),
)
MODEL = Rule(
    "a model: a name such as 'default', an .onnx file, or a Detector",
    _either(_is_path, _is_noun("Detector")),
)
OPEN_MODEL = Rule(
    "a model: a name such as 'default', an .onnx file, or one that is open",
    _either(_is_path, _is_noun("Detector", "Session")),
)
DEVICE = _one_of("cpu", "cuda", "mps")
LOGGER = _one_of("csv", "tensorboard", "mlflow")
PROVIDERS = Rule(
    'a list of providers of ONNX Runtime, such as ["CPUExecutionProvider"]',
    _either(_is_text, _is_list(_is_text)),
)
SETS = Rule(f"{_SOURCE}, or a list of these", _either(_is_source, _is_list(_is_source)))
SCORED = Rule(
    "a model (a name, an .onnx file, a Detector), Scores, or one or more .csv files of scores",
    _are_models,
)
FOLDER = optional(_one_of("folder"))
PORT = Rule("a whole number from 0 to 65535", lambda value: _is_whole(0)(value) and value < 2**16)
WORDS = Rule('a list of words, such as ["MR"]', _is_list(_is_text))
PAUSE = Rule("a number of seconds of at least 0", lambda value: _is_number(value) and value >= 0)
IN_OUT = optional(
    Rule("two folders, (IN, OUT)", lambda value: _is_list(_is_path)(value) and len(value) == 2)
)

RULES: dict[str, Rule | None] = {
    "activation_volume": optional(PATH),
    "aet": TEXT,
    "against": SETS,
    "allow_missing": SWITCH,
    "axes": optional(Rule('the letters of the axes, such as "DHW"', _is_text)),
    "body_parts": WORDS,
    "browser": SWITCH,
    "by": Rule('a list of names of columns, such as ["source"]', _is_list(_is_text)),
    "calibration_slices": COUNT,
    "classes": optional(
        Rule('a dict of class folders and their meanings, such as {"yes": "tumor"}', _is_mapping)
    ),
    "compare": optional(SCORED),
    "coverage": RATE,
    "data": Rule(
        f"{_SOURCE}; of several sets, give the parts one by one: `*sets`",
        lambda value: all(map(_is_source, value)),
    ),
    "deidentified": SWITCH,
    "descriptions": WORDS,
    "device": DEVICE,
    "devices": COUNT,
    "drop_conflicts": SWITCH,
    "every": PAUSE,
    "figure": _one_of("auc", "loss"),
    "finding": Rule("a Finding, as `predict` gives it", _is_noun("Finding")),
    "folds": optional(Rule("a whole number of at least 2", _is_whole(2))),
    "folds_by": _one_of("group", "source"),
    "folder": PATH,
    "force": SWITCH,
    "form": optional(_one_of("jsonl", "csv")),
    "fractions": Rule("a list of shares, such as [0.7, 0.15, 0.15]", _is_list(_is_number)),
    "heatmaps": optional(PATH),
    "host": TEXT,
    "keep_all": SWITCH,
    "leave_out": Rule("a name, or a list of names", _either(_is_text, _is_list(_is_text))),
    "limits": Rule("Limits", _is_noun("Limits")),
    "listen": optional(PORT),
    "log": Rule("a function", callable),
    "loggers": Rule(
        f"{LOGGER.expected}, or a list of these", _either(LOGGER.fits, _is_list(LOGGER.fits))
    ),
    "metrics": optional(PATH),
    "misses": optional(RATE),
    "modalities": WORDS,
    "model": MODEL,
    "model_or_scores": SCORED,
    "models": Rule(
        "names of models or .onnx files, one by one",
        lambda value: all(map(_is_path, value)),
    ),
    "montage": SWITCH,
    "nested": optional(
        Rule("0, or a whole number of at least 2", lambda value: _is_whole(0)(value) and value != 1)
    ),
    "nodes": COUNT,
    "notice": CALL,
    "objects": Rule('a list of kinds, such as ["sr", "seg"]', _is_list(_is_text)),
    "on_error": _one_of("raise", "record"),
    "once": SWITCH,
    "operating_point": optional(Rule("the name of an operating point", _is_text)),
    "orthanc": optional(TEXT),
    "output": PATH,
    "overwrite": SWITCH,
    "parity_slices": COUNT,
    "paths": Rule("a path, or a list or an iterator of paths", _are_inputs),
    "paper": SWITCH,
    "pause": PAUSE,
    "picture": optional(PATH),
    "port": PORT,
    "prevalence": optional(RATE),
    "progress": CALL,
    "queue": optional(PATH),
    "pruner": _one_of("median", "hyperband", "none"),
    "recipe": Rule(
        "the name of a recipe, a TOML file, or a Recipe", _either(_is_path, _is_noun("Recipe"))
    ),
    "replicates": COUNT,
    "report": optional(PATH),
    "resume": SWITCH,
    "retry_failed": SWITCH,
    "runtimes": Rule('a list of names, such as ["onnxruntime"]', _is_list(_is_text)),
    "scores": LISTED_PATHS,
    "seconds": Rule(
        "a number of seconds above 0",
        lambda value: _is_number(value) and value > 0,
    ),
    "seed": Rule("a whole number of at least 0", _is_whole(0)),
    "send_to": optional(TEXT),
    "sensitivity": optional(RATE),
    "series_from": FOLDER,
    "settings": Rule(
        'changes of the recipe, such as ["loss.cells=1.0"]', _either(_is_text, _is_list(_is_text))
    ),
    "shard": optional(Rule('a part and how many there are, such as "2/5"', _is_text)),
    "shards": Rule(
        'a path, or a list of paths, such as ["1.jsonl", "2.jsonl"]',
        _either(_is_path, _is_list(_is_path)),
    ),
    "shared_groups": optional(SWITCH),
    "skip_unreadable": SWITCH,
    "slice_": Rule("a Slice, as `read` gives it", _is_noun("Slice")),
    "slices": SWITCH,
    "space": PATH,
    "specificity": optional(RATE),
    "split": optional(Rule("the name of a split", _is_text)),
    "storage": PATH,
    "store": optional(PATH),
    "study_from": FOLDER,
    "summary": SWITCH,
    "target": TEXT,
    "teachers": Rule('a list of models, such as ["teacher.onnx"]', _is_list(_is_path)),
    "threads": optional(COUNT),
    "trials": COUNT,
    "twins": optional(SWITCH),
    "uid_root": optional(TEXT),
    "weights": optional(
        Rule(
            "a path, or a list of paths of models", lambda value: _is_path(value) or _MODELS(value)
        )
    ),
    "with_seen": SWITCH,
    "x": None,
}
"""Parameter -> its rule; None: the readers say what they take."""
