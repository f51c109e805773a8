"""Keeps prepared images on disk for the next training."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.data.rows import Row
from tumorlens.imaging.preprocess import PreprocessSpec
from tumorlens.training.rows.fingerprints import list_files

__all__ = ["PreparedRow", "Store"]

ByteImage = npt.NDArray[np.uint8]

_PLANES = 3
_CONTRAST = struct.Struct("<d")


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRow:
    """A row as `Store` keeps it.

    Attributes:
        image: (S, S) uint8, `prepare` times 255.
        annotation: (S, S) uint8, codes of the annotation a pixel.
        brain: (S, S) uint8, codes of the brain a pixel.
        contrast: range of intensities of the slice.
        fingerprint: of the slice.
    """

    image: ByteImage
    annotation: ByteImage
    brain: ByteImage
    contrast: float
    fingerprint: bytes


class Store:
    """A folder of prepared rows, one file each.

    A file's name holds all that its content depends on: the picture's and the masks' paths, sizes
    and times of change, boxes, label and skull, and how slices are prepared. A file that is cut
    short is made again.

    Args:
        folder: made if missing.
        spec: how slices are prepared.
    """

    def __init__(self, folder: Path, spec: PreprocessSpec) -> None:
        self.folder = folder
        self._spec = spec
        self._kind = msgspec.json.encode(spec)
        self._states: dict[Path, list[tuple[str, int, int]]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, row: Row) -> PreparedRow | None:
        """The prepared row, or None if it is not kept."""
        side = self._spec.size
        try:
            content = self._find(row).read_bytes()
        except OSError:
            return None
        end = _PLANES * side * side
        if len(content) < end + _CONTRAST.size or content[-1:] != b".":
            return None
        image, annotation, brain = np.frombuffer(content[:end], np.uint8).reshape(
            _PLANES, side, side
        )
        (contrast,) = _CONTRAST.unpack_from(content, end)
        return PreparedRow(image, annotation, brain, contrast, content[end + _CONTRAST.size : -1])

    def put(self, row: Row, prepared: PreparedRow) -> None:
        """Keep a row."""
        planes = (prepared.image, prepared.annotation, prepared.brain)
        content = b"".join(plane.tobytes() for plane in planes)
        content += _CONTRAST.pack(prepared.contrast) + prepared.fingerprint + b"."
        self._find(row).write_bytes(content)

    def _find(self, row: Row) -> Path:
        files = [file for file in (row.path, row.mask, row.brain) if file]
        states = [state for file in files for state in self._look_at(file)]
        annotation = (row.frame, row.mask_frame, row.boxes, row.label, row.skull)
        digest = hashlib.blake2b(repr((states, annotation)).encode() + self._kind, digest_size=16)
        return self.folder / f"{digest.hexdigest()}.slice"

    def _look_at(self, path: Path) -> list[tuple[str, int, int]]:
        """Name, size and time of change of the files that hold what a row names."""
        if path not in self._states:
            found = ((str(file), file.stat()) for file in list_files(path))
            self._states[path] = [(name, at.st_size, at.st_mtime_ns) for name, at in found]
        return self._states[path]
