"""Protection of inputs: no result replaces an image, or another file that is read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tumorlens.errors import InputError, UsageError
from tumorlens.imaging.files.access import open_file
from tumorlens.imaging.files.contents import HEAD_BYTES, sniff

__all__ = ["check_inputs_survive"]


def check_inputs_survive(paths: Iterable[str], *results: Path | None) -> None:
    """Refuse to write a result over an input, or over any image.

    Args:
        paths: as named by the caller; a folder may hold the image, so that all are refused.
        results: files that will be written.

    Raises:
        UsageError: names the file.
    """
    inputs = {os.path.realpath(path) for path in paths if path != "-"}
    for result in filter(None, results):
        if result.exists() and (os.path.realpath(result) in inputs or _holds_image(result)):
            raise UsageError(
                f"{result}: is an image or another input, and the result would replace it; "
                "choose another name for the result"
            )


def _holds_image(path: Path) -> bool:
    try:
        with open_file(path, str(path)) as stream:
            return sniff(stream.read(HEAD_BYTES)) is not None
    except (InputError, OSError):
        return False  # what is wrong with it is said when it is written
