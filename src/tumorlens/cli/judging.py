"""One run of predict over many files: what goes in, in which order records come out."""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING

from tumorlens.cli import words
from tumorlens.cli.notices import Notices
from tumorlens.errors import InputError, UsageError
from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.contents import DRAWN
from tumorlens.imaging.slices import Slice
from tumorlens.imaging.sources import Skipped, Source, find_sources
from tumorlens.report.records import RecordWriter, Written, key_of, name_place
from tumorlens.report.tables import skipped_words
from tumorlens.study_finding import SeriesFinding

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.report.heatmaps import HeatmapFolder

__all__ = ["Job"]

Judged = tuple[Slice | None, Finding]


@dataclass(slots=True)
class Job:
    """One run over many files: what goes in, what comes out, and what was counted."""

    detector: Detector
    paths: tuple[str, ...]
    place: str
    written: Written
    voice: words.Voice
    summary: bool
    pictures: HeatmapFolder | None
    own: frozenset[str] = frozenset()
    counts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.counts.update(self.written.counts)

    def run(self, writer: RecordWriter, bar: words.Bar) -> None:
        """Judge all files and write their records.

        Raises:
            UsageError: there was no image at all.
        """
        trail, notices, series = _Trail(bar.advance), Notices(bar.say), _Series(None)
        for slice_, finding in self._judge(self._find(trail, bar)):
            place = trail.follow(finding.info)
            if place is not series.place:
                self._end(series, writer, notices)
                series = _Series(place)
            series.add(finding, seen=slice_ is not None)
            self._put(writer, finding)
            bar.advance(0)  # a file may hold thousands of slices
        self._end(series, writer, notices)
        notices.close()
        if not self.counts:
            skipped = f"; {skipped_words(self.skipped)}" if self.skipped else ""
            raise UsageError(f"{' '.join(self.paths)}: no image found{skipped}")

    def _end(self, series: _Series, writer: RecordWriter, notices: Notices) -> None:
        """Say of a series what is to be said, and write its record if one is wanted."""
        summed = series.sum_up()
        if summed is None:
            return
        notices.tell(summed, series.notes(), counted=series.is_volume)
        if self.summary and series.is_volume:
            self._put(writer, summed)

    def _judge(self, inputs: Iterator[Source | InputError]) -> Iterator[Judged]:
        """Slices with their findings, after their picture was saved, if pictures are wanted."""
        from tumorlens.workers import open_workers, run_ahead

        judged = self.detector.iterate(inputs, on_error="record")
        if self.pictures is None:
            yield from judged
            return
        threads = self.detector.threads
        with open_workers(threads) as pool:
            yield from run_ahead(pool, self._save, judged, 2 * threads)

    def _save(self, judged: Judged) -> Judged:
        slice_, finding = judged
        if self.pictures is not None and slice_ is not None and self._is_new(finding):
            self.pictures.save(slice_, finding)
        return judged

    def _find(self, trail: _Trail, bar: words.Bar) -> Iterator[Source | InputError]:
        """What is still to read."""
        together = "-" not in self.paths  # paths of a pipe may come one by one, for hours
        found_all = find_sources(
            _each_path(self.paths), limits=self.detector.limits, together=together
        )
        for found in found_all:
            if isinstance(found, Skipped):
                self._skip(found, bar)
            elif isinstance(found, Source) and self._is_written(found):
                bar.advance(len(found.files))
            else:
                trail.hand_out(found)
                yield found

    def _skip(self, found: Skipped, bar: words.Bar) -> None:
        """Count a file that is left out; what this run writes itself is no input."""
        bar.advance(1)
        if os.path.realpath(found.path) in self.own or self._is_picture(found):
            return
        self.skipped[found.reason] += 1
        if self.voice.verbose:
            bar.say(f"skipped {found.path}: {found.reason}")

    def _is_picture(self, found: Skipped) -> bool:
        """Whether a file is an overlay in the very folder that this run draws into."""
        pictures = self.pictures
        return pictures is not None and found.reason == DRAWN and pictures.holds(found.path)

    def _put(self, writer: RecordWriter, finding: Finding | SeriesFinding) -> None:
        if self._is_new(finding):
            with words.hold_interrupts(), name_place(self.place):
                writer.write(finding.to_record())
                if isinstance(finding, Finding):
                    self.counts[finding.verdict or "error"] += 1

    def _is_written(self, source: Source) -> bool:
        if not self.written.keys:
            return False
        parts = (part.path for part in source.parts)
        return self.written.holds(source.path, parts, source.series_uid)

    def _is_new(self, finding: Finding | SeriesFinding) -> bool:
        return not self.written.keys or key_of(finding.to_record()) not in self.written.keys


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A source that was handed out, and by which names its slices may come back."""

    found: Source | InputError
    names: frozenset[str]

    @classmethod
    def of(cls, found: Source | InputError) -> _Place:
        parts = found.parts if isinstance(found, Source) else ()
        return cls(found, frozenset({found.path, *(part.path for part in parts)}))

    @property
    def files(self) -> int:
        return len(self.found.files) if isinstance(self.found, Source) else 1

    def holds(self, info: SliceInfo) -> bool:
        """Whether a slice is of this source; several series may lie at one path."""
        uid = self.found.series_uid if isinstance(self.found, Source) else None
        same = uid is None or info.series_instance_uid in (None, uid)
        return same and info.path in self.names


class _Trail:
    """Which source the findings have come to: the detector takes sources ahead of their turn."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self._ahead: deque[_Place] = deque()

    def hand_out(self, found: Source | InputError) -> None:
        self._ahead.append(_Place.of(found))

    def follow(self, info: SliceInfo) -> _Place | None:
        """The source of a slice; the ones before it are done. None if there is none."""
        done = next((i for i, place in enumerate(self._ahead) if place.holds(info)), 0)
        if done:
            self._advance(sum(self._ahead.popleft().files for _ in range(done)))
        return self._ahead[0] if self._ahead else None


class _Series:
    """Gathers the findings of one source; a picture alone is no volume."""

    def __init__(self, place: _Place | None) -> None:
        self.place = place
        self._findings: list[Finding] = []
        self._slices = 0

    def add(self, finding: Finding, *, seen: bool) -> None:
        """Take one finding in; ``seen``: there was a slice to judge."""
        # Without its maps, for a volume may have thousands of slices.
        self._findings.append(replace(finding, activation=None, to_pixels=None, brain=None))
        self._slices += seen

    @property
    def is_volume(self) -> bool:
        planes = (finding.info.plane for finding in self._findings)
        return self._slices > 1 or any(plane is not None for plane in planes)

    def notes(self) -> Iterator[str]:
        return (note for finding in self._findings for note in finding.info.notes)

    def sum_up(self) -> SeriesFinding | None:
        """Counts over the slices; None if there was none to judge."""
        if not self._slices or self.place is None:
            return None
        return SeriesFinding.of(self._findings, self.place.found.path)


def _each_path(paths: tuple[str, ...]) -> Iterator[str]:
    """The named paths; ``-`` stands for a list on standard input."""
    for path in paths:
        if path == "-":
            yield from (name for line in _open_stdin() if (name := line.rstrip("\r\n")))
        else:
            yield path


def _open_stdin() -> IO[str]:
    """Standard input, in which a name may hold any bytes."""
    if sys.stdin is None:
        raise UsageError("-: standard input is closed; give it a list of paths, one a line")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    return sys.stdin
