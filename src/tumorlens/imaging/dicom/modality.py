"""Statements of a DICOM header that the picture is no MRI of the head.

Headers are often wrong, so such a slice is judged, too. A note says that its verdict may mean
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "doubt_body_part",
    "doubt_contrast",
    "doubt_extent",
    "doubt_modality",
    "says_no_plain_mri",
]

_NO_MRI = ", not MR: its verdict means nothing"
_NOT_PLAIN = ", no plain MR picture: its verdict means little"

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_STORED = {
    "2": "CT",
    "128": "PET",
    "130": "PET",
    "20": "NM",
    "3": "US",
    "6": "US",
    "1": "X-ray",
    "12": "X-ray",
    "13": "X-ray",
    "77": "visible light",
}
"""First number below the root of image storage -> modality; PS3.4, B.5."""

_MODALITIES = {"PT": "PET", "NM": "nuclear medicine", "US": "ultrasound", "XA": "X-ray angiography"}
"""Defined terms of Modality that are no common words; PS3.3, C.7.3.1.1.1."""

_CONTRASTS = {
    "a phase map": ("P", "PHASE", "PHASE MAP", "VELOCITY MAP", "VELOCITY"),
    "the real part of a complex image": ("R", "REAL"),
    "the imaginary part of a complex image": ("I", "IMAGINARY"),
    "an ADC map": ("ADC", "EADC", "ADC UNSPECIFIED"),
    "a diffusion map": ("FA", "TENSOR", "TRACEW", "TRACE", "DIFFUSION ANISO", "FRACTIONAL ANISO"),
    "a perfusion map": ("CBF", "CBV", "MTT", "TTP", "TMAX", "RCBF", "RCBV", "PERFUSION"),
    "a map of relaxation times": ("T1 MAP", "T2 MAP", "T2 STAR MAP", "R2 MAP", "R2 STAR MAP"),
    "a field map": ("B0 MAP", "B1 MAP", "FIELD MAP", "FIELDMAP"),
    "a projection": ("PROJECTION IMAGE", "MIP", "MAX IP", "MIN IP", "MINIP"),
    "a subtraction": ("SUB", "SUBTRACTION", "SUBTRACT"),
    "a localizer": ("LOCALIZER", "SCOUT"),
    "a screenshot": ("SCREEN SAVE", "SCREENSHOT", "SCREEN SHOT"),
}
"""What a picture is that shows no plain contrast -> values that say so: of Image Type from the
third on (PS3.3, C.8.3.1.1.1, and the vendors' own), of Complex Image Component (C.8.13.3.1.1)."""

_NAMES_OF = {word: name for name, words in _CONTRASTS.items() for word in words}
_ADC = re.compile(r"apparent diffusion|(?<![a-z])e?adc(?![a-z])", re.IGNORECASE)

_HEAD = re.compile(
    r"head|brain|skull|neuro|crani|ceph|cereb|pituit|sella|orbit|face|temporal|hirn|kopf"
    r"|sch[aä]e?del|cabeza|testa|capo|t[eê]te|cr[aâ]ne|\b(?:ear|eye|iac|jaw|nose|sinus|tmj)\b",
    re.IGNORECASE,
)
_WIDEST = 520.0  # mm: the largest field of view of a scanner
_NARROWEST, _FINE = 60.0, 0.25  # mm: so small a view of so small pixels shows no human head
_NO_PART = re.compile(r"\W*|unknown|none|other|others|undefined|default|mri?|n/?a", re.IGNORECASE)


def doubt_modality(modality: str, storage: str) -> str:
    """A sentence on a picture that is no MRI; empty if it may be one.

    Args:
        modality: Modality (0008,0060); may be empty.
        storage: SOP Class UID (0008,0016); asked where the modality says MR or nothing.
    """
    said = _MODALITIES.get(modality, modality)
    if modality in ("", "MR"):
        first = storage.removeprefix(_STORAGE).partition(".")[0]
        said = _STORED.get(first, "") if storage.startswith(_STORAGE) else ""
    return f"modality {said}{_NO_MRI}" if said else ""


def doubt_contrast(words: Iterable[str], description: str) -> str:
    """A sentence on a map, or another picture without a plain contrast; empty if nothing says so.

    Args:
        words: values of Image Type from the third on, and of Complex Image Component.
        description: Series Description (0008,103E).
    """
    plain = (" ".join(re.split(r"[\W_]+", word.upper())).strip() for word in words)
    name = next((_NAMES_OF[word] for word in plain if word in _NAMES_OF), "")
    name = name or ("an ADC map" if _ADC.search(description) else "")
    return f"{name}{_NOT_PLAIN}" if name else ""


def says_no_plain_mri(note: str) -> bool:
    """Whether a note is one of `doubt_modality` or `doubt_contrast`, on all slices of a series."""
    return note.endswith((_NO_MRI, _NOT_PLAIN))


def doubt_body_part(part: str) -> str:
    """A sentence on another part of the body; empty for the head and where the file is silent.

    Args:
        part: Body Part Examined (0018,0015), or the meaning of the Anatomic Region.
    """
    if _NO_PART.fullmatch(part) or _HEAD.search(part):
        return ""
    return f"body part {part}, not the head: its verdict means nothing"


def doubt_extent(shape: tuple[int, int], spacing: tuple[float, float]) -> str:
    """A sentence on a picture that is too large or too small for one of a head; else empty.

    A mosaic whose header does not say that it is one has the pixels of its slices and the size of
    all of them together.

    Args:
        shape: rows and columns.
        spacing: of rows and columns in mm.
    """
    height, width = shape[0] * spacing[0], shape[1] * spacing[1]
    size = f"{height:.4g} x {width:.4g} mm"
    if min(height, width) > _WIDEST:
        return f"{size}, wider than a head: perhaps many slices in one picture"
    if max(height, width) < _NARROWEST and max(spacing) < _FINE:
        return f"{size}, smaller than a head: perhaps an animal, or sizes in another unit"
    return ""
