"""The fingerprint of the rows that a training was made from."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable
from pathlib import Path

from tumorlens.data.rows import Row
from tumorlens.opening import open_regular

__all__ = ["FileDigests", "fingerprint_rows", "list_files"]

_HEADERS = (".hdr", ".img", ".mhd", ".nhdr")
"""Endings of files whose voxels, or whose header, lie in a file beside them."""


class FileDigests:
    """Hashes of the content of files. Several trainings can share them; a file is read once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def find(self, file: Path) -> str:
        """The hash of a file's content, or its name if it cannot be read."""
        if file not in self._known:
            files = list_files(file)
            digests = [_digest(one) for one in files]
            if files != [file]:
                named = [(one.name, digest) for one, digest in zip(files, digests, strict=True)]
                digests = [hashlib.blake2b(repr(named).encode(), digest_size=16).hexdigest()]
            self._known[file] = digests[0]
        return self._known[file]


def list_files(path: Path) -> list[Path]:
    """The files that hold what a row names: those of a folder, a header and its voxels, or one."""
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file())
    if path.suffix.lower() in _HEADERS:
        beside = path.parent.glob(f"{glob.escape(path.stem)}.*")
        return sorted(one for one in beside if one.is_file()) or [path]
    return [path]


def _digest(file: Path) -> str:
    try:
        with open_regular(file) as stream:
            return hashlib.blake2b(stream.read(), digest_size=16).hexdigest()
    except OSError:
        return file.name


def fingerprint_rows(rows: Iterable[Row], digests: FileDigests | None = None) -> str:
    """SHA-256 over all that is learned from the rows, in order.

    It is the content of the images, of the masks of tumors and of those of the brain; frames,
    groups, labels and boxes; and what a slice shows: plane, sequence and skull.

    Args:
        rows: rows that are trained on.
        digests: hashes of files that were read before. Those of files read now are added.
    """
    digests = digests or FileDigests()
    total = hashlib.sha256()
    for row in rows:
        files = [file and digests.find(file) for file in (row.path, row.mask, row.brain)]
        looks = (row.plane, row.sequence, row.skull)
        facts = (row.source, files, row.frame, row.group_key, row.class_name, row.boxes, looks)
        total.update(repr(facts).encode())
    return total.hexdigest()
