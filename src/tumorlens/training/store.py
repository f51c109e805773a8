"""Prepared pictures kept on disk from one training to the next."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import Row
from tumorlens.imaging.preprocess import PreprocessSpec

__all__ = ["PreparedRow", "Store"]

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRow:
    """A row as `Store` keeps it.

    Attributes:
        image: (S, S) uint8, `prepare` times 255.
        marks: (S, S) uint8, codes of the annotation a pixel.
        fingerprint: of the slice.
    """

    image: Picture
    marks: Picture
    fingerprint: bytes


class Store:
    """A folder of prepared rows, one file each.

    A file's name holds all that its content depends on: the picture's and the mask's path, size
    and time of change, boxes and label, and how slices are prepared. A file cut short is made anew.

    Args:
        folder: made if missing.
        spec: how slices are prepared.
    """

    def __init__(self, folder: Path, spec: PreprocessSpec) -> None:
        self.folder = folder
        self._spec = spec
        self._kind = msgspec.json.encode(spec)
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, row: Row) -> PreparedRow | None:
        """What is kept of a row; None if nothing is."""
        side = self._spec.size
        try:
            content = self._find(row).read_bytes()
        except OSError:
            return None
        planes = np.frombuffer(content, np.uint8)[: 2 * side * side]
        if planes.size < 2 * side * side or content[-1:] != b".":
            return None
        image, marks = planes.reshape(2, side, side)
        return PreparedRow(image, marks, content[2 * side * side : -1])

    def put(self, row: Row, prepared: PreparedRow) -> None:
        """Keep a row."""
        planes = prepared.image.tobytes() + prepared.marks.tobytes()
        self._find(row).write_bytes(planes + prepared.fingerprint + b".")

    def _find(self, row: Row) -> Path:
        files = [row.path, *([row.mask] if row.mask else [])]
        states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        marks = (row.frame, row.mask_frame, row.boxes, row.label)
        digest = hashlib.blake2b(repr((states, marks)).encode() + self._kind, digest_size=16)
        return self.folder / f"{digest.hexdigest()}.slice"
