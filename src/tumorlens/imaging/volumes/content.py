"""Recognising volumes and pictures that are no scans: label maps, statistics, vectors.

A header may say so. Else a volume counts as a label map if it holds few small whole numbers, or if
its name says so and its values lie in patches of equal whole numbers, as no scan's do. Of a picture
both must say so, name and values: scans of few greys are saved as pictures, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError

__all__ = ["LABELS", "is_label_map", "is_label_picture", "names_labels", "refuse_content"]

LABELS = "a label map"
"""What `is_label_map` finds."""

_FEW = 8  # different values that no scan has, but masks and segmentations of tumors do
_LARGEST = 255  # of those values; -1 stands for unknown
_MANY = 1024  # different values of a parcellation
_PATCHES = 0.5  # share of labelled voxels that equal the one before; of scans under 0.2 do
_FEW_GREYS = 32  # different values of a picture of labels
_EDGE, _AT_ENDS = 0.06, 0.98  # near to black or white, and the share of a mask's pixels that are:
# interpolation and JPEG blur the rim of what was drawn
_SOME = 2048  # values of a part that are looked at first
_WORDS = re.compile(
    r"(?<![a-z])(?:seg|dseg|probseg|segmentations?|labels?|labelmap|masks?|aseg|aparc|wmparc|parc"
    r"|parcellation|atlas|rois?|lesions?)(?![a-z])",
    re.IGNORECASE,
)
"""Words in the name of a file that say so: BIDS, FreeSurfer, challenges."""

_SHARES = re.compile(r"(?<![a-z])(?:probseg|masks?|seg|labels?)\.[a-z.]+$", re.IGNORECASE)
"""Endings of names of maps that hold, between 0 and 1, the share of a label in a voxel."""

_FOLDERS = re.compile(r"(?:masks?|labels?|seg|segmentations?|annotations?)$", re.IGNORECASE)
"""Names of folders that hold pictures of labels beside one of scans."""

Voxels = npt.NDArray[np.number]


def refuse_content(path: str, what: str) -> InputError:
    """The error for a volume that is no scan.

    Args:
        path: how the caller named the file.
        what: it is, such as `LABELS`.
    """
    advice = "leave it out; to have it judged all the same, give its array to Detector.predict"
    return InputError(path, f"looks like {what}, not a scan", advice)


def is_label_map(parts: Iterable[Voxels], name: str) -> bool:
    """Whether voxels are those of a label map; reads no further than it must to tell.

    Args:
        parts: (n,) voxels each, as stored, neighbours side by side.
        name: of the file.
    """
    tally = _Tally(most=_MANY if _WORDS.search(name) else _FEW, shares=bool(_SHARES.search(name)))
    for part in parts:
        tally.add(np.nan_to_num(part) if part.dtype.kind == "f" else part)
        if not (tally.whole or tally.shares):
            return False
    return tally.holds_labels()


def names_labels(path: str) -> bool:
    """Whether the name of a picture, or of the folder that it lies in, speaks of labels."""
    *_, folder, name = ("", *path.replace("\\", "/").split("/"))
    return bool(_WORDS.search(name) or _FOLDERS.match(folder))


def is_label_picture(values: Voxels) -> bool:
    """Whether a picture that is named so holds labels: one value, two, or patches of a few.

    Args:
        values: (rows, columns) grey values as stored.
    """
    low, high = float(values.min()), float(values.max())
    near = _EDGE * (high - low)
    at_ends = np.count_nonzero((values <= low + near) | (values >= high - near))
    if low == high or at_ends >= _AT_ENDS * values.size:
        return True
    if np.unique(values[::4]).size > _FEW_GREYS or np.unique(values).size > _FEW_GREYS:
        return False
    labelled = values[:, 1:] != 0
    equal = np.count_nonzero(labelled & (values[:, 1:] == values[:, :-1]))
    return bool(equal > _PATCHES * np.count_nonzero(labelled))


@dataclass(slots=True)
class _Tally:
    """What was seen of the voxels so far.

    Attributes:
        most: different values of a label map.
        shares: all lie between 0 and 1, where the name of the file says that they may be shares.
        whole: all are whole numbers, at most ``most`` different ones: ``values``.
        labelled: voxels that are not 0.
        equal: labelled voxels that equal the one before.
    """

    most: int
    shares: bool
    whole: bool = True
    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    labelled: int = 0
    equal: int = 0

    def add(self, part: Voxels) -> None:
        same = part[1:] == part[:-1]
        if self.whole:  # of a run of equal values one will do, and a label map has few runs
            self._collect(part[np.concatenate(([True], ~same))])
        self.shares = self.shares and bool(part.min() >= 0 and part.max() <= 1)
        self.labelled += int(np.count_nonzero(part[1:]))
        self.equal += int(np.count_nonzero(same & (part[1:] != 0)))

    def _collect(self, values: Voxels) -> None:
        some = values[:: max(1, values.size // _SOME)]  # they settle it for nearly every scan
        self.whole = np.unique(some).size <= self.most
        if self.whole:
            self.values = np.union1d(self.values, np.unique(values))
            self.whole = self.values.size <= self.most and bool((self.values % 1 == 0).all())

    def holds_labels(self) -> bool:
        if not self.labelled:
            return False
        if self.shares or not self.whole:
            return self.shares
        few = 2 <= self.values.size <= _FEW and -1 <= self.values[0] <= self.values[-1] <= _LARGEST
        return bool(few or (self.most > _FEW and self.equal > _PATCHES * self.labelled))
