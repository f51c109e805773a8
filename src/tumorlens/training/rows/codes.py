"""Codes of a pixel in a prepared picture: what is known of tumor there, and of brain."""

from __future__ import annotations

__all__ = [
    "BRAIN_NONE",
    "BRAIN_SHOWN",
    "BRAIN_UNKNOWN",
    "TUMOR_BOX",
    "TUMOR_MASK",
    "TUMOR_NONE",
    "TUMOR_UNKNOWN",
]

TUMOR_NONE, TUMOR_MASK, TUMOR_BOX, TUMOR_UNKNOWN = 0, 1, 2, 3
"""Of the annotation: no tumor, tumor by mask, inside a box, not known."""

BRAIN_UNKNOWN, BRAIN_SHOWN, BRAIN_NONE = 0, 1, 2
"""Of the brain: not known, brain, none."""
