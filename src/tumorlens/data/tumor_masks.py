"""Masks of tumors that lie among volumes, as public sets name them: they give each slice a label.

Known are BraTS (``CASE_seg`` beside ``CASE_flair``), UCSF-PDGM, UPENN-GBM, nnU-Net (``imagesTr``
and ``labelsTr``) and other pairs of folders, and BIDS (``sub-01_…_desc-lesion_mask``).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tumorlens.data.class_names import SKIP, ClassNames, find_patient
from tumorlens.digits import say_count
from tumorlens.finding import SliceInfo
from tumorlens.imaging.files.stored_files import Source, StoredFile
from tumorlens.imaging.pixels.voxels import BLANK
from tumorlens.imaging.readers import iterate_slices
from tumorlens.imaging.slices import Slice, find_marked, measure_offset

__all__ = ["Marks", "Shown", "TumorMasks", "find_stem"]

_ENDING = re.compile(r"\.(nii|hdr|img|n(rrd|hdr)|mh[ad]|mg[hz])(\.gz)?$", re.IGNORECASE)
_NAMED = re.compile(
    r"(?:(?P<case>.+?)[_-])??(?:(?:automated[_-]approx|manual|expert|tumou?r)[_-])?"
    r"(?:segm?|segmentation|mask|(?P<word>tumou?r|lesions?)(?:[_-](?:mask|roi|seg(?:mentation)?))?)",
    re.IGNORECASE,
)
"""Names without ending: a case, and what says that it is a mask of a tumor or of a lesion."""
_BIDS = re.compile(r"sub-[a-z0-9]+.*(lesion|tumou?r).*_(?:mask|roi|d?seg|lesion)", re.IGNORECASE)
_ENTITIES = re.compile(r"(?<![a-z0-9])(?:sub|ses)-[a-z0-9]+", re.IGNORECASE)
_FOLDERS = re.compile(r"labels?(Tr|Ts|Val)?|masks?|seg(mentation)?s?", re.IGNORECASE)
"""Folders of masks that have the names of their volumes, in a folder beside."""
_CHANNEL = re.compile(r"_\d{4}$")
_MOST = 0.45
"""Share of the head in the slices that a mask marks: larger ones show a brain, or its tissues."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A slice of a volume.

    Attributes:
        info: where it lies.
        shape: (H, W).
        head: share of its pixels that show the head.
    """

    info: SliceInfo
    shape: tuple[int, int]
    head: float


@dataclass(frozen=True, slots=True)
class Marks:
    """What a mask says of the slices of a volume.

    Attributes:
        path: of the mask.
        label, tumor_class: of the slices that it marks.
        pixels: marked in each slice.
        is_whole: whether the mask has a frame for each slice: it has none for further volumes of
            one file.
    """

    path: Path
    label: str
    tumor_class: str
    pixels: tuple[int, ...]
    is_whole: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class _Mask:
    path: Path
    case: str
    word: str  # seg, tumor or lesion


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Pixels marked in each frame, and the first and the last frame that is marked."""

    pixels: dict[int, int]
    ends: tuple[Slice, ...]


class TumorMasks:
    """The masks of a folder.

    Args:
        files: label maps, and what is named like a mask.
        names: meanings of words that name them, such as lesion.
    """

    def __init__(self, files: Iterable[Path], names: ClassNames) -> None:
        self._names = names
        self._beside = defaultdict[Path, list[_Mask]](list)
        self._named = defaultdict[str, list[_Mask]](list)
        self._drawn: dict[Path, _Drawn | str] = {}
        self._used: dict[Path, Path] = {}  # volume -> mask
        self._faults: dict[Path, str] = {}
        self._unsure: dict[Path, str] = {}
        self.missing: list[Path] = []  # volumes without a mask
        for file in files:
            self._take(file)

    def _take(self, file: Path) -> None:
        stem = find_stem(file)
        named = _NAMED.fullmatch(stem)
        if bids := _BIDS.fullmatch(stem):
            word = "lesion" if bids[1].lower() == "lesion" else "tumor"
            self._named[_find_visit(file)].append(_Mask(file, "", word))
        elif named:
            word = (named["word"] or "seg").lower()
            mask = _Mask(file, named["case"] or "", "lesion" if "lesion" in word else "tumor")
            self._beside[file.parent].append(mask)
            if find_patient(mask.case, words=False):
                self._named[mask.case].append(mask)
            if _FOLDERS.fullmatch(file.parent.name):
                self._named[f"{file.parent.parent}/{mask.case}"].append(mask)
        elif _FOLDERS.fullmatch(file.parent.name):
            self._named[f"{file.parent.parent}/{stem}"].append(_Mask(file, stem, "tumor"))

    def mark(self, source: Source, slices: Sequence[Shown], *, sorted_in: bool) -> Marks | None:
        """What the mask of a volume says of its slices; None without one.

        Args:
            source: the volume.
            slices: of it.
            sorted_in: it lies in a class folder, which says what is marked.
        """
        file = source.files[0]
        for mask in self._find(file) if slices and source.kind == "volume" else ():
            meaning = self._names.find(mask.word) or (
                "tumor" if mask.word == "tumor" or sorted_in else ""
            )
            if not meaning:
                self._unsure[mask.path] = mask.word
            if meaning in ("", SKIP):
                continue
            drawn = self._draw(mask.path)
            fault = drawn if isinstance(drawn, str) else _find_fault(drawn, slices)
            if isinstance(drawn, str) or fault:
                self._faults[mask.path] = fault
                continue
            self._used[file] = mask.path
            label, tumor_class = self._names.label(meaning)
            frames = [one.info.frame for one in slices]
            step = _find_step(slices)
            pixels = tuple(drawn.pixels.get(frame % step if step else frame, 0) for frame in frames)
            whole = tuple(not step or frame < step for frame in frames)
            return Marks(mask.path, label, tumor_class, pixels, whole)
        self.missing.append(file)
        return None

    def _find(self, file: Path) -> list[_Mask]:
        """Masks that may be of a volume, the likeliest first."""
        stem = find_stem(file)
        found = [
            mask
            for mask in self._beside.get(file.parent, ())
            if mask.case in ("", stem) or stem.startswith((f"{mask.case}_", f"{mask.case}-"))
        ]
        for at in (match.start() for match in re.finditer(r"[_-]|$", stem)):
            found += self._named.get(stem[:at], ())
        for name in (stem, _CHANNEL.sub("", stem)):
            found += self._named.get(f"{file.parent.parent}/{name}", ())
        visit = _find_visit(file)
        for name in dict.fromkeys((visit, visit.partition("_ses-")[0])):
            found += self._named.get(name, ()) if name else ()
        unique = dict.fromkeys(found)
        return sorted(unique, key=lambda mask: (-len(mask.case), len(mask.path.name)))

    def _draw(self, path: Path) -> _Drawn | str:
        if path not in self._drawn:
            self._drawn[path] = _read(path)
        return self._drawn[path]

    def tell(self) -> Iterator[str]:
        """Sentences on what was taken as mask of what, and on what was not."""
        if self._used:
            volume, mask = next(iter(self._used.items()))
            masks = len(set(self._used.values()))
            yield (
                f"{say_count(masks, 'file is', 'files are')} taken as masks of tumors in "
                f"{say_count(len(self._used), 'volume')}, such as {mask.name} of {volume.name}: "
                "slices that a mask marks are labelled tumor, and the others no_tumor"
            )
            if self.missing:
                yield (
                    f"{say_count(len(self.missing), 'volume has', 'volumes have')} no mask, such "
                    f"as {self.missing[0].name}: no mask gives their slices a label"
                )
        used = set(self._used.values())
        faults = {path: fault for path, fault in self._faults.items() if path not in used}
        for fault, count in Counter(faults.values()).items():
            first = next(path.name for path, one in faults.items() if one == fault)
            yield f"{say_count(count, 'mask is', 'masks are')} not used, such as {first}: {fault}"
        unsure = [path for path in self._unsure if path not in used]
        if unsure:
            yield (
                f"{say_count(len(unsure), 'mask')} of lesions, such as {unsure[0].name}: nothing "
                "tells whether the lesions are tumors; say what 'lesion' means with `classes=`: "
                f"tumor, no_tumor, a tumor class, or {SKIP}"
            )


def find_stem(file: Path) -> str:
    """Name of a volume's file without its ending."""
    return _ENDING.sub("", file.name)


def _find_visit(file: Path) -> str:
    """BIDS subject and session that the name of a file tells, or nothing."""
    words = dict.fromkeys(word.lower() for word in _ENTITIES.findall(file.name))
    return "_".join(words) if any(word.startswith("sub-") for word in words) else ""


def _read(path: Path) -> _Drawn | str:
    """A mask; or why it cannot be used."""
    pixels, ends = dict[int, int](), list[Slice]()
    source = Source(str(path), (StoredFile(str(path), path),), "volume", any_content=True)
    for one in iterate_slices(source):
        if isinstance(one, Slice):
            count = int(np.count_nonzero(find_marked(one)))
            if count:
                pixels[one.info.frame] = count
                ends = [*ends[:1], one]
        elif one.reason != BLANK:  # of a mask that marks nothing
            return f"it cannot be read ({one.reason})"
    return _Drawn(pixels, tuple(ends))


def _find_fault(drawn: _Drawn, slices: Sequence[Shown]) -> str:
    """Why a mask is not one of a tumor in these slices; empty if it may be one."""
    shown = {one.info.frame: one for one in slices}
    for end in drawn.ends:
        one = shown.get(end.info.frame)
        if one is None or end.pixels.shape != one.shape or measure_offset(end, one.info):
            return "it has another size or place than the volume of its name"
    head = sum(
        shown[frame].head * math.prod(shown[frame].shape)
        for frame in drawn.pixels
        if frame in shown
    )
    if sum(drawn.pixels.values()) > _MOST * head > 0:
        return "it marks so much of the head that it is none of a tumor"
    return ""


def _find_step(slices: Sequence[Shown]) -> int:
    """Frames of one volume, if a file holds several: a position comes again; else 0."""
    seen: dict[float | None, int] = {}
    for one in slices:
        first = seen.setdefault(one.info.position_mm, one.info.frame)
        if one.info.position_mm is not None and first != one.info.frame:
            return one.info.frame - first
    return 0
