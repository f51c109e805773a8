"""`Row`, one labelled slice, and `Manifest`, many of them: the nouns of the data room."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from tumorlens.data.columns import (
    COLUMNS,
    LABELS,
    PLANES,
    SEQUENCES,
    SKULLS,
    Edges,
    absolute_path,
)
from tumorlens.errors import DataError
from tumorlens.writing import open_when_done

__all__ = [
    "COLUMNS",
    "LABELS",
    "PLANES",
    "SEQUENCES",
    "SKULLS",
    "UNREADABLE",
    "Edges",
    "Manifest",
    "Row",
    "absolute_path",
    "cells_of",
    "tell_repeats",
]

UNREADABLE = "unreadable: "
"""How the note of a slice begins that could not be read when its folder was; the reason follows."""

_PICTURES = (".png", ".bmp", ".gif", ".jpg", ".jpeg", ".webp")
"""Endings of files that hold one slice."""


@dataclass(frozen=True, slots=True)
class Row:
    """One slice and what is known of it. Unknown text is ``""``, unknown numbers are None.

    Attributes:
        path: the picture or volume, absolute.
        frame: 0-based index of the slice inside ``path``; None where the file has but one.
        source: institution or data set that the slice comes from.
        group: patient, or set of copies; never on two sides of a split.
        sequence: FLAIR, T1, T1c, T2 or other.
        label: tumor or no_tumor.
        tumor_class: glioma, meningioma, …; empty where there is no tumor.
        split: train, validation, test, a fold number, or any other word.
        boxes: annotated boxes, in pixels of the slice, half-open.
        mask: picture of the lesion with the size of the slice, or volume with the frames of
            ``path``; absolute; opened when needed.
        position: 0 at the lowest slice of the head in its series, 1 at the highest.
        note: free text.
        plane: axial, coronal or sagittal; unsure where it was looked for in vain.
        skull: on, or off where the brain was cut out (skull-stripped).
        brain: mask of the brain, likewise, above 0 inside; absolute.
        extra: (column, value) of the columns that tumorlens does not know.
        origin: file and line that the row was read from, for messages; no part of its value.

    Raises:
        ValueError: a value that contradicts the above; the message gives expected and got.
    """

    path: Path
    frame: int | None = None
    source: str = ""
    group: str = ""
    sequence: str = ""
    label: str = ""
    tumor_class: str = ""
    split: str = ""
    boxes: tuple[Edges, ...] = ()
    mask: Path | None = None
    position: float | None = None
    note: str = ""
    plane: str = ""
    skull: str = ""
    brain: Path | None = None
    extra: tuple[tuple[str, str], ...] = ()
    origin: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.label not in ("", *LABELS):
            raise ValueError(f"label: expected tumor or no_tumor, got {self.label!r}")
        if self.tumor_class and self.label != "tumor":
            raise ValueError(
                f"tumor_class: expected none where label is {self.label!r}, "
                f"got {self.tumor_class!r}"
            )
        if self.sequence not in ("", *SEQUENCES):
            raise ValueError(
                f"sequence: expected {', '.join(SEQUENCES)} or nothing, got {self.sequence!r}"
            )
        for name, words in (("plane", PLANES), ("skull", SKULLS)):
            if getattr(self, name) not in ("", *words):
                raise ValueError(
                    f"{name}: expected {', '.join(words)} or nothing, got {getattr(self, name)!r}"
                )
        if self.frame is not None and self.frame < 0:
            raise ValueError(f"frame: expected a whole number from 0, got {self.frame}")
        if self.position is not None and not 0 <= self.position <= 1:
            raise ValueError(f"position: expected a number from 0 to 1, got {self.position}")
        for x0, y0, x1, y1 in self.boxes:
            if not (0 <= x0 < x1 < float("inf") and 0 <= y0 < y1 < float("inf")):
                raise ValueError(
                    f"box: expected 0 <= x0 < x1 and 0 <= y0 < y1, got {x0:g} {y0:g} {x1:g} {y1:g}"
                )

    @property
    def slice_key(self) -> tuple[Path, int]:
        """What names the slice; of a file that has but one, its frame may be left out."""
        return self.path, self.frame or 0

    @property
    def group_key(self) -> str:
        """What no split may part: the group, or the file where no group is known."""
        return self.group or f"file:{self.path}"

    @property
    def short_name(self) -> str:
        """The file below two folders, such as hospital and class; and which slice of it."""
        name = "/".join(self.path.relative_to(self.path.anchor).parts[-3:])
        return name if self.frame is None else f"{name}, slice {self.frame}"

    @property
    def mask_frame(self) -> int:
        """Index inside ``mask``: a volume has the frames of its image, a picture has one."""
        return self._frame_in(self.mask)

    @property
    def brain_frame(self) -> int:
        """Index inside ``brain``, likewise."""
        return self._frame_in(self.brain)

    def _frame_in(self, mask: Path | None) -> int:
        is_picture = mask is not None and mask.suffix.lower() in _PICTURES
        return 0 if self.frame is None or is_picture else self.frame

    @property
    def claims(self) -> tuple[str, str, str, str]:
        """What two rows of one slice must agree on."""
        return self.group, self.label, self.tumor_class, self.split

    @property
    def class_name(self) -> str:
        """The finest label known: the tumor class, else tumor, no_tumor or ``""``."""
        return self.tumor_class or self.label


@dataclass(frozen=True)
class Manifest:
    """Slices with their labels, under one name.

    Attributes:
        rows: one a slice. A slice may stand twice (two series can share a picture), but only
            with one group, label and split.
        name: what people call the set; its folder's or file's name.
        root: folder that the set was read from; relative paths start there.
        members: name of a set -> the sources that came from it, for manifests that were merged.

    Raises:
        DataError: two rows of one slice contradict each other.
    """

    rows: tuple[Row, ...]
    name: str
    root: Path
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        seen: dict[tuple[Path, int], Row] = {}
        for row in self.rows:
            if seen.setdefault(row.slice_key, row).claims != row.claims:
                frame = "" if row.frame is None else f" frame {row.frame}"
                raise DataError(
                    f"{self.name}: two rows of the slice {row.path}{frame} give it different "
                    "groups, labels or splits; remove one of them"
                )
        if not self.members:
            object.__setattr__(self, "members", {self.name: self.sources})
        object.__setattr__(self, "members", MappingProxyType(dict(self.members)))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources, sorted."""
        return tuple(sorted({row.source for row in self.rows}))

    @property
    def groups(self) -> tuple[str, ...]:
        """The group keys, sorted: as many as there are independent patients."""
        return tuple(sorted({row.group_key for row in self.rows}))

    @property
    def unreadable(self) -> tuple[Row, ...]:
        """Slices that could not be read when their folder was; their notes say why."""
        return tuple(row for row in self.rows if row.note.startswith(UNREADABLE))

    def where(self, predicate: Callable[[Row], bool]) -> Manifest:
        """The rows for which ``predicate`` holds, in their order; may be none."""
        return self.with_rows(row for row in self.rows if predicate(row))

    def with_rows(self, rows: object) -> Manifest:
        """The same set with other rows."""
        return replace(self, rows=tuple(rows))  # type: ignore[arg-type]

    def without_splits(self) -> Manifest:
        """The same rows, none of which is of a split."""
        return self.with_rows(replace(row, split="") for row in self.rows)

    def hold_out(self, split: str) -> tuple[Manifest, Manifest]:
        """The rows of all other splits, which are of none then, and the rows of this one."""
        kept = self.where(lambda row: row.split != split)
        return kept.without_splits(), self.where(lambda row: row.split == split)

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the manifest as CSV, whole or not at all; paths relative to the file's folder.

        Raises:
            UsageError: ``path`` exists and ``overwrite`` is not set, or cannot be written.
        """
        target = Path(path)
        folder = absolute_path(target).parent
        extras = list(dict.fromkeys(name for row in self.rows for name, _ in row.extra))
        with open_when_done(target, overwrite=overwrite) as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow([*COLUMNS, *extras])
            table.writerows(cells_of(row, folder, extras) for row in self.rows)


def tell_repeats(rows: Sequence[Row]) -> str:
    """A sentence on rows that name the slice of an earlier one; empty without any."""
    repeats = len(rows) - len({row.slice_key for row in rows})
    told = (
        f"rows that name the slice of an earlier row, and count again: {repeats:,} of {len(rows):,}"
    )
    return told if repeats else ""


def cells_of(row: Row, folder: Path, extras: Sequence[str] = ()) -> list[str]:
    """The cells of `COLUMNS`, then of ``extras``; paths relative to ``folder``."""
    known = dict(row.extra)
    return [
        _relative(row.path, folder),
        "" if row.frame is None else str(row.frame),
        row.source,
        row.group,
        row.sequence,
        row.label,
        row.tumor_class,
        row.split,
        ";".join(" ".join(f"{edge:g}" for edge in box) for box in row.boxes),
        "" if row.mask is None else _relative(row.mask, folder),
        "" if row.position is None else f"{row.position:.6g}",
        row.note,
        row.plane,
        row.skull,
        "" if row.brain is None else _relative(row.brain, folder),
        *(known.get(name, "") for name in extras),
    ]


def _relative(path: Path, folder: Path) -> str:
    """``path`` as seen from ``folder``, with forward slashes; absolute across drives."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.as_posix()
