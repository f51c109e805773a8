"""`Mutant`: what a seed became; number and start of chance say how, and so build it again."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random

from mutation.archive_edits import ZIP_EDITS
from mutation.bombs import detonate
from mutation.byte_edits import BYTE_EDITS, Edit, splice
from mutation.codestream_edits import (
    BMP_EDITS,
    MARKER_EDITS,
    PNG_EDITS,
    TIFF_EDITS,
    WEBP_EDITS,
)
from mutation.dicom_edits import DICOM_EDITS
from mutation.seeds import Seed, find_seeds
from mutation.text_edits import CSV_EDITS, JSON_EDITS, MODEL_EDITS, TOML_EDITS
from mutation.volume_edits import GZIP_EDITS, LINE_EDITS, MGH_EDITS, NIFTI_EDITS

__all__ = ["Mutant", "edits_for", "make_mutant"]

_BY_MAGIC = (
    (b"\x89PNG", PNG_EDITS),
    (b"\xff\xd8", MARKER_EDITS),
    (b"II*\0", TIFF_EDITS),
    (b"MM\0*", TIFF_EDITS),
    (b"BM", BMP_EDITS),
    (b"RIFF", WEBP_EDITS),
    (b"PK\3\4", ZIP_EDITS),
    (b"\x1f\x8b", GZIP_EDITS),
    (b"\0\0\0\1", MGH_EDITS),
    (b"NRRD", LINE_EDITS),
    (b"ObjectType", LINE_EDITS),
    (b"\x08\0", DICOM_EDITS),
    (b"{", JSON_EDITS),
)
_BY_ENDING = {".csv": CSV_EDITS, ".toml": TOML_EDITS, ".onnx": MODEL_EDITS, ".json": JSON_EDITS}

_BOMBS = 0.002
"""Share of edits that are bombs, where a format knows one: each may take seconds to unpack."""


@dataclass(frozen=True)
class Mutant:
    """Damaged input.

    Attributes:
        number: names it, with the start of chance.
        seed: what it was made of.
        files: name -> content, to be written into one folder.
        edits: what was done, in order.
        chance: what its reader may draw from.
    """

    number: int
    seed: Seed
    files: dict[str, bytes]
    edits: tuple[str, ...]
    chance: Random

    def write(self, folder: Path) -> Path:
        """Write its files into ``folder``; gives what the reader is to be given."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder if self.seed.named == "." else folder / self.seed.named


def make_mutant(number: int, start: int = 0) -> Mutant:
    """The mutant of that number.

    Args:
        number: from 0.
        start: of chance; another one gives other mutants.
    """
    chance = Random(f"{start}/{number}")
    seed = _choose_seed(chance)
    files, edits = dict(seed.files), []
    names = sorted(files)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        named = seed.named if seed.named in files else names[0]
        name = named if chance.random() < 0.6 else chance.choice(names)
        if files[name]:
            edit = _choose_edit(files[name], name, chance)
            files[name] = edit(files[name], chance)
            edits.append(f"{edit.__name__.strip('_')} {name}")
    return Mutant(number, seed, files, tuple(edits), chance)


def edits_for(data: bytes, name: str = "") -> Sequence[Edit]:
    """What may happen to a file, by its first bytes or its name; and what may to any bytes."""
    own = _BY_ENDING.get(Path(name).suffix)
    if own is None and data[128:132] == b"DICM":
        own = DICOM_EDITS
    if own is None and (data[344:348] in (b"n+1\0", b"ni1\0") or data[4:7] == b"n+2"):
        own = NIFTI_EDITS
    if own is None:
        own = next((edits for magic, edits in _BY_MAGIC if data.startswith(magic)), ())
    many = len(BYTE_EDITS) // max(1, len(own))
    return (*own * many, *BYTE_EDITS)


def _choose_edit(data: bytes, name: str, chance: Random) -> Edit:
    rare = chance.random()
    if rare < _BOMBS:
        return detonate
    return _splice if rare < 0.04 else chance.choice(edits_for(data, name))


def _splice(data: bytes, chance: Random) -> bytes:
    """With another file, of any format or of one that begins alike."""
    alike = [one for one in _pool() if one[:2] == data[:2]]
    return splice(
        data, chance.choice(alike if alike and chance.random() < 0.6 else _pool()), chance
    )


@cache
def _pool() -> tuple[bytes, ...]:
    return tuple(content for seed in find_seeds() for content in seed.files.values())


@cache
def _shares() -> list[float]:
    return list(accumulate(seed.share for seed in find_seeds()))


def _choose_seed(chance: Random) -> Seed:
    shares = _shares()
    return find_seeds()[bisect(shares, chance.random() * shares[-1])]
