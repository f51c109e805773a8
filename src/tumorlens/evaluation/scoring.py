"""Scores of a model on a manifest: each slice is read, judged and compared with its label."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from tumorlens.data.choosing import Chosen
from tumorlens.data.class_names import spell_split
from tumorlens.data.pictures import read_row
from tumorlens.data.rows import Manifest, Row
from tumorlens.data.scans import SeriesKey, group_series, series_key
from tumorlens.detector import Detector
from tumorlens.errors import DataError, InputError
from tumorlens.evaluation.figures.localization import fill_hits, score_pointing
from tumorlens.evaluation.score_files import pool_scores
from tumorlens.evaluation.scores import Scores, mark_training_groups
from tumorlens.finding import Finding
from tumorlens.imaging.pixels.contrast import choose_evenly, measure_contrast
from tumorlens.imaging.slices import Slice
from tumorlens.model.seen_entry import load_seen_test
from tumorlens.progress import Notice, Progress, count_up, stay_silent

__all__ = [
    "Scored",
    "fill_pointing",
    "read_scored",
    "score_manifest",
    "score_rows",
    "take_split",
]

SHOWN_FAILURES = 5
"""At most this many slices that could not be read are listed."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores, and the slices that could not be scored.

    Attributes:
        scores: of the slices that could be read.
        failures: one error for each that could not.
        lost_masks: one error for each mask that could not be used; its slice is scored, but does
            not count in the pointing game.
    """

    scores: Scores
    failures: tuple[InputError, ...]
    lost_masks: tuple[DataError, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know about the scores, one sentence each."""
        if not self.lost_masks:
            return ()
        many = len(self.lost_masks)
        told = "the mask of 1 slice" if many == 1 else f"the masks of {many} slices"
        left, first = ("it", "") if many == 1 else ("them", "the first: ")
        return (
            f"{told} could not be used, and the pointing game leaves {left} out; "
            f"{first}{self.lost_masks[0]}",
        )

    @property
    def counts(self) -> dict[str, int]:
        """Number of slices that were scored, and of those that failed."""
        return {"slices": len(self.scores), "failed": len(self.failures)}

    def tell_failures(self, notice: Notice, most: int | None = SHOWN_FAILURES) -> None:
        """Say which slices could not be read.

        Args:
            notice: called with one line for each, then with their number.
            most: largest number of lines; None for all.
        """
        for error in self.failures[:most]:
            notice(str(error))
        if self.failures:
            notice(
                f"{len(self.failures)} of {len(self.failures) + len(self.scores)} slices could "
                "not be read, and the figures leave them out"
            )


def score_rows(detector: Detector, chosen: Chosen, *, progress: Progress = stay_silent) -> Scored:
    """Judge every chosen slice, and mark those that were seen in training.

    A slice counts as seen if the model file holds the fingerprint of it or of a copy, or if its
    group is also in another split than the chosen one.

    Args:
        detector: the model, at its operating point.
        chosen: the rows.
        progress: told of each slice.

    Raises:
        DataError: no slice could be read; gives the first reason.
        ModelFileError: the model's list of training pictures is damaged.
    """
    scored = score_manifest(
        detector,
        chosen.manifest,
        lambda done, total: progress("scoring slices", done, total),
        is_seen=load_seen_test(detector.session),
    )
    return replace(scored, scores=mark_training_groups(scored.scores, chosen.elsewhere))


def read_scored(
    paths: Sequence[str | os.PathLike[str]],
    *,
    split: str | None = None,
    progress: Progress = stay_silent,
) -> Scored:
    """Read files of scores, and compute the pointing game for rows that lack it.

    Args:
        paths: at least one; several are pooled, each a fold.
        split: only rows of this split; None for all rows.
        progress: told how far the pointing game has come.

    Raises:
        DataError: a file that cannot be read, or no row of that split.
    """
    return fill_pointing(take_split(pool_scores(paths), split), progress=progress)


def fill_pointing(scores: Scores, *, progress: Progress = stay_silent) -> Scored:
    """Compute the pointing game for scores that lack it, if boxes or masks can be read.

    Args:
        scores: of a file.
        progress: told of each slice.
    """
    counted = count_up(progress, "checking where the model points", len(scores))
    hits, failures = fill_hits(scores.rows, scores.peak_xy, scores.hits, progress=counted)
    return Scored(replace(scores, hits=hits), (), tuple(failures))


def take_split(scores: Scores, split: str | None) -> Scores:
    """The rows of one split; None: all rows.

    Raises:
        DataError: no row of that split; names those that there are.
    """
    if split is None:
        return scores
    chosen = np.asarray(scores.column("split") == spell_split(split), bool)
    if not chosen.any():
        known = ", ".join(sorted(set(scores.column("split")) - {""})) or "all empty"
        raise DataError(f"{scores.name}: no row has the split {split!r}; its splits are {known}")
    return scores.take(chosen)


def score_manifest(
    detector: Detector,
    manifest: Manifest,
    progress: Callable[[int, int], None] | None = None,
    *,
    is_seen: Callable[[Slice], bool] | None = None,
) -> Scored:
    """Judge every slice of a manifest.

    Args:
        detector: the model, at its operating point.
        manifest: rows with or without labels.
        progress: told (slices done, slices in all) after each slice.
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
            hits.append(score_pointing(row, finding, slice_.pixels.shape))
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
        """The typical range of intensities in the series of a row, if it has one."""
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
    """The finding without its activation, to save memory: there may be 100,000 of them."""

    return replace(finding, activation=None, to_pixels=None)
