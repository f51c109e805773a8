"""Codes of a pixel in a prepared image: what is known about tumor and brain in it."""

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
"""Codes of the annotation: no tumor, tumor by mask, inside a box, unknown."""

BRAIN_UNKNOWN, BRAIN_SHOWN, BRAIN_NONE = 0, 1, 2
"""Codes of the brain: unknown, brain, no brain."""
