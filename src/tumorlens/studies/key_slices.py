"""Which slices to open first, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tumorlens.digits import show_probability
from tumorlens.finding import Finding
from tumorlens.landmarks import KeySlice

__all__ = ["choose_key_slices"]

COUNT = 3
APART_MM = 10.0
"""Smallest distance between two slices to open, as long as there are others."""


def choose_key_slices(
    findings: Sequence[Finding],
    place: npt.NDArray[np.float64],
    inside: npt.NDArray[np.bool_],
    *,
    high: float,
) -> tuple[KeySlice, ...]:
    """Up to three slices to open first, the one with the strongest evidence first.

    Args:
        findings: of the judged slices of a series.
        place: (n,) where they lie, in mm.
        inside: (n,) whether they lie in the run that carries the verdict.
        high: threshold of the verdict ``tumor`` of a slice; words depend on it.
    """
    chosen: list[int] = []
    for index in _rank(findings, inside):
        if len(chosen) < COUNT and _is_apart(place, chosen, index):
            chosen.append(index)
    return tuple(
        _name(findings[index], _word_reason(findings[index], rank, bool(inside[index]), high))
        for rank, index in enumerate(chosen)
    )


def _rank(findings: Sequence[Finding], inside: npt.NDArray[np.bool_]) -> Iterator[int]:
    """The strongest slice of the run, then all others, strongest first."""
    chance = np.array([one.tumor_probability or 0.0 for one in findings])
    order = np.argsort(-chance, kind="stable").tolist()
    first = next((index for index in order if inside[index]), order[0])
    yield first
    yield from (index for index in order if index != first)


def _is_apart(place: npt.NDArray[np.float64], chosen: Sequence[int], index: int) -> bool:
    return all(abs(place[index] - place[other]) >= APART_MM for other in chosen)


def _word_reason(finding: Finding, rank: int, inside: bool, high: float) -> str:
    chance = f"tumor probability {show_probability(finding.tumor_probability or 0)}"
    if finding.verdict == "unfamiliar":
        return f"{chance}, but the slice is unlike the training data of the model"
    if inside:
        return f"strongest evidence: {chance}" if rank == 0 else f"same run of slices: {chance}"
    if (finding.tumor_probability or 0) >= high:
        return f"evidence at another level: {chance}"
    return f"highest of all slices, but low: {chance}" if rank == 0 else f"next highest: {chance}"


def _name(finding: Finding, reason: str) -> KeySlice:
    """The slice that a person can open: for a slice that was cut, the stored one at its peak."""
    info = finding.info
    stored = info.find_stored(*(finding.peak_xy or (0.0, 0.0)))
    return KeySlice(
        path=stored.path,
        frame=stored.frame,
        instance_number=stored.instance_number,
        position_mm=info.position_mm,
        tumor_probability=finding.tumor_probability,
        reason=reason,
        record=info.place(),
    )
