"""Every error that tumorlens raises on purpose.

::

    TumorlensError
    ├── UsageError       the call or the command line contradicts itself
    ├── InputError       a file: which, why, what to do
    ├── ModelFileError   a model file that breaks the contract, or a name the registry lacks
    ├── DataError        a manifest, a folder of classes or a split that cannot serve
    ├── RecipeError      a recipe that contradicts itself
    └── MissingExtra     an optional library that is not installed (names the pip line)

A message says what happened, where, what was expected, what was found, and what to do next.
It names a parameter in backquotes, as a call would have it: `` `overwrite=True` ``,
`` `operating_point=` ``. The command line shows such a parameter as its flag
(``tumorlens.cli.flags``), so that no message below it names one.
Only ``tumorlens.cli.main`` turns an error into an exit code.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "InputError",
    "MissingExtra",
    "ModelFileError",
    "RecipeError",
    "TumorlensError",
    "UsageError",
]


_FIRST, _LAST = 2400, 600  # characters that are kept of a longer message


class TumorlensError(Exception):
    """Base of all errors that tumorlens raises on purpose.

    Its text is for people: where a damaged file brought in a value of thousands of characters, the
    middle is left out.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return text if len(text) <= _FIRST + _LAST else f"{text[:_FIRST]} … {text[-_LAST:]}"


class UsageError(TumorlensError):
    """The call or the command line contradicts itself."""


class InputError(TumorlensError):
    """One input file cannot be used.

    Attributes:
        path: the file as the caller named it.
        reason: why it cannot be used, in a phrase.
        advice: what to do next, in a phrase; may be empty.
    """

    def __init__(self, path: str, reason: str, advice: str = "") -> None:
        self.path = path
        self.reason = reason
        self.advice = advice
        super().__init__(f"{path}: {reason}" + (f"; {advice}" if advice else ""))

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        return type(self), (self.path, self.reason, self.advice)


class ModelFileError(TumorlensError):
    """A model file breaks the contract, or no model has the given name."""


class DataError(TumorlensError):
    """A manifest, a folder of classes or a split cannot serve."""


class RecipeError(TumorlensError):
    """A recipe contradicts itself, or holds a key or a value that no recipe knows."""


class MissingExtra(TumorlensError):
    """A library of an optional extra is not installed.

    Attributes:
        library: the module that is missing.
        extra: the extra of tumorlens that brings it.
        install: the line that installs the extra.
        purpose: what wants it; may be empty.
    """

    def __init__(self, library: str, extra: str, install: str, purpose: str = "") -> None:
        self.library = library
        self.extra = extra
        self.install = install
        self.purpose = purpose
        need = f"{purpose} needs" if purpose else "this needs"
        super().__init__(
            f"{need} the library {library!r}, which is not installed; the extra {extra} brings it: "
            f"{install}"
        )

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str, str, str]]:
        return type(self), (self.library, self.extra, self.install, self.purpose)
