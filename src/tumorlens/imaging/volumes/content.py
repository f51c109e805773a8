"""Volumes that are no scans: label maps, statistics, vectors.

A header may say so. Else a volume counts as a label map if it holds few small whole numbers, or if
its name says so and its values lie in patches of equal whole numbers, as no scan's do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tumorlens.errors import InputError

__all__ = ["LABELS", "is_label_map", "refuse_content"]

LABELS = "a label map"
"""What `is_label_map` finds."""

_FEW = 8  # different values that no scan has, but masks and segmentations of tumors do
_LARGEST = 255  # of those values; -1 stands for unknown
_MANY = 1024  # different values of a parcellation
_PATCHES = 0.5  # share of labelled voxels that equal the one before; of scans under 0.2 do
_SOME = 2048  # values of a part that are looked at first
_WORDS = re.compile(
    r"(?<![a-z])(?:seg|dseg|probseg|segmentations?|labels?|labelmap|masks?|aseg|aparc|wmparc|parc"
    r"|parcellation|atlas|rois?|lesions?)(?![a-z])",
    re.IGNORECASE,
)
"""Words in the name of a file that say so: BIDS, FreeSurfer, challenges."""

_SHARES = re.compile(r"(?<![a-z])(?:probseg|masks?|seg|labels?)\.[a-z.]+$", re.IGNORECASE)
"""Endings of names of maps that hold, between 0 and 1, the share of a label in a voxel."""

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
