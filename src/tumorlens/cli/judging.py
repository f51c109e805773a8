"""One run of predict over many files: what goes in, in which order records come out."""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING

from tumorlens.cli import words
from tumorlens.cli.notices import Notices
from tumorlens.errors import InputError, UsageError
from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.files.contents import DRAWN
from tumorlens.imaging.files.sources import Skipped, Source, find_sources
from tumorlens.imaging.slices import Slice
from tumorlens.report.records import RecordWriter, Written, key_of, name_place
from tumorlens.report.tables import skipped_words
from tumorlens.studies.assembling import SeriesGatherer, is_loose
from tumorlens.study_finding import NO_STUDY_MODEL, SeriesFinding, StudyFinding

if TYPE_CHECKING:
    from tumorlens.cli.views import Views
    from tumorlens.detector import Detector
    from tumorlens.report.pictures.heatmaps import HeatmapFolder

__all__ = ["Job"]

Judged = tuple[Slice | None, Finding]

_ROOM = 256 * 2**20  # bytes of slices whose pictures are drawn ahead


@dataclass(slots=True)
class Job:
    """One run over many files: what goes in, what comes out, and what was counted."""

    detector: Detector
    paths: tuple[str, ...]
    place: str
    written: Written
    voice: words.Voice
    views: Views
    pictures: HeatmapFolder | None
    own: frozenset[str] = frozenset()
    counts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    singly: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counts.update(self.written.counts)

    def run(self, writer: RecordWriter, bar: words.Bar) -> None:
        """Judge all files and write their records.

        Raises:
            UsageError: there was no image at all.
        """
        trail, notices = _Trail(bar.advance), Notices(bar.say)
        gatherer = SeriesGatherer(self.views.numbers, self.views.series_from)
        for _, finding in self._judge(self._find(trail, bar)):
            self._note_single(trail.follow(finding.info), finding.info)
            for series in gatherer.add(finding):
                self._end(series, writer, notices)
            if finding.error is None and is_loose(finding.info):
                alone = SeriesFinding.of([finding])
                notices.tell(alone, finding.info.notes, counted=False)
            if self.views.shows(finding):
                self._put(writer, finding)
            else:
                self._count(finding)
            bar.advance(0)  # a file may hold thousands of slices
        for series in gatherer.close():
            self._end(series, writer, notices)
        notices.close()
        self._tell_singles(notices)
        for study in self.views.gather():
            if study.verdict is not None:
                self._put(writer, study)
        if not self.counts:
            skipped = f"; {skipped_words(self.skipped)}" if self.skipped else ""
            raise UsageError(f"{' '.join(self.paths)}: no image found{skipped}")

    def _note_single(self, place: _Place | None, info: SliceInfo) -> None:
        """Remember files of one series that a pipe named: each is judged as it comes."""
        uid = info.series_instance_uid
        if "-" in self.paths and uid and place is not None and place.is_named:
            self.singly.setdefault(uid, set()).add(info.path)

    def _tell_singles(self, notices: Notices) -> None:
        files = [len(paths) for paths in self.singly.values() if len(paths) > 1]
        if files:
            notices.say(
                f"{sum(files):,} files of {len(files):,} series were read one by one, as a list on "
                "standard input is answered line by line; name their folder to have series read"
            )

    def _end(self, series: SeriesFinding, writer: RecordWriter, notices: Notices) -> None:
        """Say of a series what is to be said, and write its record if one is wanted."""
        if all(one.error is not None for one in series.findings):
            return
        notes = [note for one in series.findings for note in one.info.notes]
        told = (*dict.fromkeys(notes), NO_STUDY_MODEL)  # the series counts them once more
        notes += [note for note in series.notes if not note.startswith(told)]
        notices.tell(series, notes, counted=True)
        for line in self.views.settle(series):
            notices.say(line)
        if self.views.sums_up:
            if series.verdict is None and not self.views.shows_slices:
                for one in series.findings:  # in place of a verdict
                    writer.write(one.to_record())
            self._put(writer, series)

    def _judge(self, inputs: Iterator[Source | InputError]) -> Iterator[Judged]:
        """Slices with their findings, after their picture was saved, if pictures are wanted."""
        from tumorlens.workers import open_workers, run_ahead

        judged = self.detector.iterate(inputs, on_error="record")
        if self.pictures is None and not self.views.draws:
            yield from judged
            return
        threads = self.detector.threads
        with open_workers(threads) as pool:
            yield from run_ahead(pool, self._save, judged, 2 * threads, weigh=_weigh, room=_ROOM)

    def _save(self, judged: Judged) -> Judged:
        slice_, finding = judged
        if self.pictures is not None and slice_ is not None and self._is_new(finding):
            self.pictures.save(slice_, finding)
        if slice_ is not None:
            self.views.keep(slice_, finding)
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

    def _put(self, writer: RecordWriter, finding: Finding | SeriesFinding | StudyFinding) -> None:
        if self._is_new(finding):
            with words.hold_interrupts(), name_place(self.place):
                writer.write(finding.to_record())
                if isinstance(finding, Finding):
                    self._count(finding)

    def _count(self, finding: Finding) -> None:
        self.counts[finding.verdict or "error"] += 1

    def _is_written(self, source: Source) -> bool:
        if not self.written.keys or (self.views.sums_up and source.kind != "raster"):
            return False  # a series is judged whole, so that its study is
        parts = (part.path for part in source.parts)
        return self.written.holds(source.path, parts, source.series_uid)

    def _is_new(self, finding: Finding | SeriesFinding | StudyFinding) -> bool:
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
    def is_named(self) -> bool:
        """Whether the caller named this very file."""
        return isinstance(self.found, Source) and self.found.named

    @property
    def files(self) -> int:
        return len(self.found.files) if isinstance(self.found, Source) else 1

    def holds(self, info: SliceInfo) -> bool:
        """Whether a slice is of this source; several series may lie at one path."""
        uid = self.found.series_uid if isinstance(self.found, Source) else None
        same = uid is None or info.series_instance_uid in (None, uid)
        return same and info.path in self.names


def _weigh(judged: Judged) -> int:
    return 0 if judged[0] is None else judged[0].pixels.nbytes


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
