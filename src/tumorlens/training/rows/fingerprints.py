"""The fingerprint of the rows that a training was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tumorlens.data.rows import Row
from tumorlens.opening import open_regular

__all__ = ["FileDigests", "fingerprint_rows"]


class FileDigests:
    """Hashes of the content of files. Several trainings can share them; a file is read once."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def find(self, file: Path) -> str:
        """The hash of a file's content, or its name if it cannot be read."""
        if file not in self._known:
            try:
                with open_regular(file) as stream:
                    digest = hashlib.blake2b(stream.read(), digest_size=16).hexdigest()
            except OSError:
                digest = file.name
            self._known[file] = digest
        return self._known[file]


def fingerprint_rows(rows: Iterable[Row], digests: FileDigests | None = None) -> str:
    """SHA-256 over the content, frames, groups, labels and annotation of the rows, in order.

    Args:
        rows: rows that are trained on.
        digests: hashes of files that were read before. Those of files read now are added.
    """
    digests = digests or FileDigests()
    total = hashlib.sha256()
    for row in rows:
        files = [digests.find(file) for file in (row.path, row.mask) if file]
        facts = (row.source, files, row.frame, row.group_key, row.class_name, row.boxes)
        total.update(repr(facts).encode())
    return total.hexdigest()
