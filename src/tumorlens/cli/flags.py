"""From the parameters that the library's messages name to the flags of the command line."""

from __future__ import annotations

import re

__all__ = ["spell_flags"]

_PARAMETER = re.compile(r"`([a-z][a-z_]*)=([^`\n]*)`")

_FLAGS = {
    "body_parts": "--body-part",
    "classes": "--map",
    "descriptions": "--description",
    "form": "--format",
    "loggers": "--logger",
    "modalities": "--modality",
    "runtimes": "--runtime",
    "settings": "--set",
    "target": "--to",
    "teachers": "--teacher",
}
"""Parameters that the command line calls otherwise. All others are spelled alike."""

_SWITCHES = {
    "shared_groups=False": "--separate-groups",
}
"""Values whose flag is a word of its own. Of all others, False is ``--no-…``."""


def spell_flags(message: str) -> str:
    """A message of the library, with its parameters as flags.

    A message names a parameter in backquotes, as a call would have it: `` `overwrite=True` `` is
    ``--overwrite`` here, `` `twins=False` `` is ``--no-twins``, `` `device="cuda"` `` is
    ``--device cuda`` and `` `operating_point=` `` is ``--operating-point``.
    """
    return _PARAMETER.sub(_spell, message)


def _spell(parameter: re.Match[str]) -> str:
    name, value = parameter.groups()
    if f"{name}={value}" in _SWITCHES:
        return _SWITCHES[f"{name}={value}"]
    word = name.replace("_", "-")
    if value == "False":
        return f"--no-{word}"
    flag = _FLAGS.get(name, f"--{word}")
    return flag if value in ("", "True") else f"{flag} {value.strip(_QUOTES)}"


_QUOTES = "\"'"
