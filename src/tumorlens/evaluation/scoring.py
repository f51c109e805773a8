"""Scores of a model over a manifest: each slice is read, judged and set beside its label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from tumorlens.data.pictures import read_row
from tumorlens.data.rows import Manifest, Row
from tumorlens.data.scans import SeriesKey, group_series, series_key
from tumorlens.detector import Detector
from tumorlens.errors import DataError, InputError
from tumorlens.evaluation.figures.localization import judge_pointing
from tumorlens.evaluation.scores import Scores
from tumorlens.finding import Finding
from tumorlens.imaging.pixels.contrast import choose_evenly, measure_contrast
from tumorlens.imaging.slices import Slice

__all__ = ["Progress", "Scored", "score_manifest"]

Progress = Callable[[int, int], None]
"""Told (slices done, slices in all)."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores, and what could not be scored.

    Attributes:
        scores: of the slices that could be read.
        failures: one error for each that could not.
        lost_masks: one error for each mask that could not be used; its slice is scored, but stands
            in no pointing game.
    """

    scores: Scores
    failures: tuple[InputError, ...]
    lost_masks: tuple[DataError, ...] = ()


def score_manifest(
    detector: Detector,
    manifest: Manifest,
    progress: Progress | None = None,
    *,
    is_seen: Callable[[Slice], bool] | None = None,
) -> Scored:
    """Judge every slice of a manifest.

    Args:
        detector: the model, at its operating point.
        manifest: rows with or without labels.
        progress: told after each slice.
        is_seen: whether a picture was in training; not asked if None.

    Raises:
        DataError: no slice could be read; gives the first reason.
    """
    reading = _Reading(manifest.rows, detector)
    findings: list[Finding] = []
    seen: list[float] = []
    hits: list[tuple[float, float, float]] = []
    lost_masks: list[DataError] = []
    for slice_, finding in detector.judge(reading):
        row = reading.rows[len(findings)]
        findings.append(_shrink(finding))
        seen.append(np.nan if is_seen is None else float(is_seen(slice_)))
        try:
            hits.append(judge_pointing(row, finding, slice_.pixels.shape))
        except DataError as error:
            lost_masks.append(error)
            hits.append((np.nan, np.nan, np.nan))
        if progress is not None:
            progress(len(findings) + len(reading.failures), len(manifest))
    if not findings:
        first = f": {reading.failures[0]}" if reading.failures else ""
        raise DataError(f"{manifest.name}: none of {len(manifest)} slices could be read{first}")
    point = detector.card.find_operating_point(detector.operating_point)
    scores = Scores.from_findings(
        reading.rows,
        findings,
        (point.low, point.middle, point.high),
        name=manifest.name,
        classes=detector.card.classes,
        seen=np.array(seen),
        hits=np.array(hits),
    )
    return Scored(scores, tuple(reading.failures), tuple(lost_masks))


class _Reading:
    """Reads rows one after the other and keeps those that could be read, in step."""

    def __init__(self, rows: Sequence[Row], detector: Detector) -> None:
        self.rows: list[Row] = []
        self.failures: list[InputError] = []
        self._all = rows
        self._limits = detector.limits
        self._series = {series_key(rows[one[0]]): one for one in group_series(rows)}
        self._contrasts: dict[SeriesKey, float | None] = {}

    def __iter__(self) -> Iterator[Slice]:
        for index, row in enumerate(self._all):
            try:
                slice_ = read_row(row, limits=self._limits)
            except InputError as error:
                self.failures.append(error)
                continue
            self.rows.append(row)
            yield replace(slice_, contrast=self._find_contrast(index))

    def _find_contrast(self, index: int) -> float | None:
        """The typical range of intensities in the series of a row, if it stands in one."""
        key = series_key(self._all[index])
        if key is None:
            return None
        if key not in self._contrasts:
            series = self._series[key]
            sample = (self._all[series[place]] for place in choose_evenly(len(series)))
            self._contrasts[key] = measure_contrast(self._read(sample))
        return self._contrasts[key]

    def _read(self, rows: Iterable[Row]) -> Iterator[Slice]:
        for row in rows:
            with suppress(InputError):  # told when its turn comes
                yield read_row(row, limits=self._limits)


def _shrink(finding: Finding) -> Finding:
    """Without the activation, which a hundred thousand findings need not keep."""

    return replace(finding, activation=None, to_pixels=None)
