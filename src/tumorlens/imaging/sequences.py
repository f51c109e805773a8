"""The MRI sequence of a series, from its description or file name, if that is unambiguous."""

from __future__ import annotations

import re

__all__ = ["guess_sequence"]

_FLAIR = re.compile(r"flair|dark.?fluid|\btirm\b|\bt2f\b")
_T1 = re.compile(r"(?<![a-z0-9])t1(?![0-9*])|mp.?rage|bravo|spgr")
_T2 = re.compile(r"(?<![a-z0-9])t2(?![0-9*])")
_OTHER = re.compile(
    r"t2[ -]?(\*|star)|\b(swi|adc|dwi|dti|perf|bold|fmri|asl|tof|dsc|dce)|diff|local|scout|survey"
    r"|\bt[12] ?map\b"
)
_CONTRAST = re.compile(
    r"\+ ?(c|gd|k)\b|\bc\+"
    r"|(?<![a-z])(gd|gad\w*|post(?![ -]?op)|km|kontrast\w*|contrast\w*|ce)(?![a-z])"
    r"|t1(c|ce|gd)\b"
)
_WITHOUT = re.compile(
    r"\b(pre|vor|t1n)\b|\bc-(?!\w)|non[ -]?contrast|no contrast|without|\b(non|un)[ -]?enh"
    r"|nativ|ohne"
)


def guess_sequence(text: str, *, contrast: bool = False) -> str | None:
    """``FLAIR``, ``T1``, ``T1c``, ``T2`` or ``other``; None where the words do not say.

    Args:
        text: series description, protocol and the like, or the name of a file.
        contrast: the file states a contrast agent.
    """
    words = text.lower().replace("_", " ")
    if _OTHER.search(words):
        return "other"
    has_t1, has_t2, has_flair = (bool(p.search(words)) for p in (_T1, _T2, _FLAIR))
    if has_flair:  # a "T1 FLAIR" is a T1 with nulled fluid
        return None if has_t1 else "FLAIR"
    if has_t1 == has_t2:
        return None
    if has_t2:
        return "T2"
    enhanced = contrast or bool(_CONTRAST.search(words))
    return "T1c" if enhanced and not _WITHOUT.search(words) else "T1"
