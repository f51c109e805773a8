"""Rows of DICOM series and NIfTI volumes: one a slice, with patient, sequence and position."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tumorlens.data.class_names import find_patient
from tumorlens.data.rows import SEQUENCES, UNREADABLE, Row, absolute_path
from tumorlens.data.tumor_masks import Marks, Shown, TumorMasks, find_stem
from tumorlens.errors import InputError
from tumorlens.finding import SliceInfo
from tumorlens.imaging.files.stored_files import Source
from tumorlens.imaging.readers import iterate_slices
from tumorlens.imaging.slices import Slice

__all__ = ["describe_broken", "describe_volume", "find_case", "find_subject", "is_mask"]

_MASK = re.compile(
    r"[_-](seg|dseg|probseg|mask|roi|lesions?|labels?)\.(nii(\.gz)?|n(rrd|hdr)|mh[ad]|mg[hz])$",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"(?<![a-z0-9])sub-[a-z0-9]+", re.IGNORECASE)
_SEQUENCE_WORD = re.compile(
    r"[_-](flair|t1w?|t2w?|t1c|t1ce|t1gd|t1n|t2f|swi|adc|dwi|pdw|ce-[a-z0-9]+_t1w)(?=$|[_-])"
    r"|[_-]pd$",
    re.IGNORECASE,
)
_VISIT = re.compile(
    r"(?<=.)[_-](timepoint|tp|visit|session|ses|week|month|baseline|followup)[_-]?\d*(?=$|[_-])"
    r"|(?<=BraTS-[A-Z]{3}-\d{5})-\d{3}(?!\d)|(?<=UPENN-GBM-\d{5})_\d\d(?!\d)",
    re.IGNORECASE,
)
"""What a name says of a visit; BraTS and UPENN-GBM number the visits of a patient."""
_LABELS = re.compile(r"labels(Tr|Ts|Val)")
_CHANNELS, _CHANNEL = re.compile(r"images(Tr|Ts|Val)"), re.compile(r"_\d{4}")
"""nnU-Net's folders of images, and how its files name the sequence."""
_NAMELESS = re.compile(
    r"(brain|head|mri?|anat|struct(ural)?|mp?rage|orig|norm|image|img|scan|vol(ume)?|data|input)",
    re.IGNORECASE,
)
"""Names of files that say no more than that they hold a scan."""
_INNER = re.compile(
    r"(mri|anat|orig|nifti|nii|images?|scans?)|(ses|week|visit|tp)\W?\w*", re.IGNORECASE
)
"""Names of folders between the folder of a patient and its files."""
_HEAD = 0.12  # of the range: what differs so much from the darkest is head, as in `prepare`
_LEAST_HEAD = 0.02  # of the largest slice's head


def is_mask(source: Source) -> bool:
    """Whether a volume's name says that it is a segmentation, as in BIDS and in challenges.

    So does nnU-Net's folder of labels, where a map without any label looks like no label map.
    """
    file = source.files[0]
    return bool(_MASK.search(file.name) or _LABELS.fullmatch(file.parent.name))


def describe_volume(
    source: Source, words: str, masks: TumorMasks | None = None, *, sorted_in: bool = False
) -> Iterator[Row]:
    """One row for each slice of a DICOM or NIfTI source; labels are known where a mask tells them.

    What cannot be read has its row, too, behind the others, with the reason as note.

    Args:
        source: the file or series.
        words: names of its folders and file, which may name the subject.
        masks: of the folder.
        sorted_in: it lies in a class folder; see `TumorMasks.mark`.
    """
    slices: list[SliceInfo] = []
    shown: list[Shown] = []
    heads: list[tuple[float, float, float]] = []
    broken: list[Row] = []
    for one in iterate_slices(source):
        if isinstance(one, InputError):
            broken.append(describe_broken(one, slices[-1] if slices else None))
        else:
            slices.append(one.info)
            heads.append(_levels(one))
            height, width = one.pixels.shape
            shown.append(Shown(one.info, (height, width), heads[-1][2]))
    rows = _describe(slices, heads, words, source)
    marks = None if masks is None else masks.mark(source, shown, sorted_in=sorted_in)
    yield from rows if marks is None else _label(rows, marks)
    named = next((name for info in slices if (name := _name_patient(info))), "")
    group = find_subject(words) or named or find_case(source)
    yield from (replace(row, group=group) for row in broken)


def describe_broken(error: InputError, before: SliceInfo | None = None) -> Row:
    """The row of a slice that cannot be read.

    Args:
        error: why.
        before: the slice before it, if one could be read. The next frame of that file is the
            broken one, or a blank one before it; neither is a slice of any other row.
    """
    frame = before.frame + 1 if before is not None and before.path == error.path else None
    return Row(absolute_path(error.path), frame, note=f"{UNREADABLE}{error.reason}")


def _describe(
    slices: Sequence[SliceInfo],
    heads: Sequence[tuple[float, float, float]],
    words: str,
    source: Source,
) -> Iterator[Row]:
    positions = _positions([info.position_mm for info in slices], heads)
    for info, position in zip(slices, positions, strict=True):
        yield Row(
            path=absolute_path(info.path),
            frame=info.frame,
            group=find_subject(words) or _name_patient(info) or find_case(source),
            sequence=info.sequence if info.sequence in SEQUENCES else "",
            position=position if info.plane == "axial" else None,
        )


def _label(rows: Iterable[Row], marks: Marks) -> Iterator[Row]:
    for row, pixels, whole in zip(rows, marks.pixels, marks.is_whole, strict=True):
        if not pixels or marks.label != "tumor":
            yield replace(row, label="no_tumor")
            continue
        yield replace(
            row,
            label=marks.label,
            tumor_class=marks.tumor_class,
            mask=absolute_path(marks.path) if whole else None,
            note=f"{pixels} tumor pixels",
        )


def _name_patient(info: SliceInfo) -> str:
    """The patient as a hash; else the study, which has one: names of DICOM files repeat."""
    return info.patient or info.study_instance_uid or ""


def find_subject(words: str) -> str:
    """The BIDS subject that names of folders and file tell, or nothing.

    The last one counts: a data set may lie in a folder that is named like a subject.
    """
    return next(reversed(_SUBJECT.findall(words)), "")


def find_case(source: Source) -> str:
    """The file's name without what names its sequence and visit: volumes of one case share it.

    A name of a public collection tells the patient, whatever stands behind it. A name that says no
    more than the sequence or that it is a scan (``T1.nii.gz``, ``brain.mgz``) is that of every
    case: then the folder of the case names it.
    """
    file = source.files[0]
    stem = find_stem(file)
    if not (_SEQUENCE_WORD.fullmatch(f"_{stem}") or _NAMELESS.fullmatch(stem)):
        case = _VISIT.sub("", _SEQUENCE_WORD.sub("", _drop_channel(file, stem)))
        return find_patient(case, words=False) or case
    folders = (one.name for one in file.parents if one.name and not _INNER.fullmatch(one.name))
    return next(folders, stem)


def _drop_channel(file: Path, stem: str) -> str:
    """The name without its channel, in nnU-Net's folders: ``BRATS_001_0002`` -> ``BRATS_001``."""
    case, channel = stem[:-5], stem[-5:]
    first = file.with_name(f"{case}_0000{file.name[len(stem) :]}")
    if _CHANNEL.fullmatch(channel) and _CHANNELS.fullmatch(file.parent.name) and first.exists():
        return case
    return stem


def _levels(one: Slice) -> tuple[float, float, float]:
    """Darkest and brightest level of a slice, and the share of it above the dark."""
    dark, bright = np.percentile(one.pixels, (1, 99)).tolist()
    share = np.count_nonzero(one.pixels > dark + _HEAD * (bright - dark)) / one.pixels.size
    return dark, bright, share


def _positions(
    places: Sequence[float | None], heads: Sequence[tuple[float, float, float]]
) -> list[float | None]:
    """0 at the lowest slice of the head, 1 at the highest, None outside and where unknown."""
    if any(place is None for place in places) or len(places) < 2:
        return [None] * len(places)
    brightest = max(bright - dark for dark, bright, _ in heads)
    largest = max(share for _, _, share in heads)
    inside = [
        place
        for place, (dark, bright, share) in zip(places, heads, strict=True)
        if place is not None and bright - dark > _HEAD * brightest and share > _LEAST_HEAD * largest
    ]
    if len(inside) < 2 or max(inside) <= min(inside):
        return [None] * len(places)
    low, high = min(inside), max(inside)
    return [
        round((place - low) / (high - low), 6)
        if place is not None and low <= place <= high
        else None
        for place in places
    ]
