"""One run over many inputs: what goes in, in which order records come out, what was counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorlens.digits import say_count
from tumorlens.errors import InputError, UsageError
from tumorlens.finding import Finding, SliceInfo
from tumorlens.imaging.files.contents import DRAWN
from tumorlens.imaging.files.sources import Found, Skipped, Source, find_sources
from tumorlens.imaging.slices import Slice
from tumorlens.predicting.notices import Notices
from tumorlens.predicting.options import Listener, RunOptions
from tumorlens.predicting.record_files import take_up
from tumorlens.predicting.records import (
    PLACE,
    LineForm,
    RecordWriter,
    Written,
    key_of,
    list_columns,
)
from tumorlens.predicting.sharding.parting import Parting, Sameness
from tumorlens.predicting.trail import Place, Trail
from tumorlens.predicting.views import Views, open_views
from tumorlens.report.tables import skipped_words
from tumorlens.studies.assembling import SeriesGatherer, is_loose
from tumorlens.studies.series_judging import ONE_SLICE
from tumorlens.study_finding import NO_STUDY_MODEL, SeriesFinding, StudyFinding
from tumorlens.workers import open_workers, run_ahead
from tumorlens.writing import hold_interrupts, name_place

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.model.card import OperatingPoint
    from tumorlens.report.pictures.heatmaps import HeatmapFolder

__all__ = ["PredictionRun"]

Judged = tuple[Slice | None, Finding]
Recorded = Finding | SeriesFinding | StudyFinding

_ROOM = 256 * 2**20  # bytes of slices whose pictures are drawn ahead


@dataclass(slots=True)
class PredictionRun:
    """A run over many inputs.

    Attributes:
        detector: the model.
        paths: files, folders and patterns. An iterator is read as it comes, which may take hours:
            each file is judged by itself then.
        named: how the caller named the inputs, for messages; ``-`` is standard input.
        options: what is made beside the records.
        written: what a broken run has written already; see `resume`.
        place: where the records go, for messages.
        own: real paths of the files that the run writes; they are no inputs.
        listener: whom the run tells what happens.
        rename: gives what was found other names in records and messages, one after the other.
        views: what is made of series and studies.
        pictures: where heat maps go; None if none are wanted.
        parting: which inputs are of the run, and where its records stand among all.
        counts: verdict (or ``error``) -> slices, with those of the broken run.
        skipped: reason -> files that were left out.
    """

    detector: Detector
    paths: Iterable[str]
    named: tuple[str, ...]
    options: RunOptions = field(default_factory=RunOptions)
    place: str = "standard output"
    own: frozenset[str] = frozenset()
    listener: Listener = field(default_factory=Listener)
    rename: Callable[[Iterator[Found]], Iterator[Found]] | None = None
    written: Written = field(init=False, default_factory=Written)
    views: Views = field(init=False)
    pictures: HeatmapFolder | None = field(init=False)
    parting: Parting = field(init=False)
    counts: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    _singly: dict[str, set[str]] = field(default_factory=dict)
    _judged: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _first: dict[Hashable, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = self.options
        self.parting = Parting(
            options.shard,
            Sameness(
                options.series_from, options.study_from, options.whole_studies,
                self.detector.limits,
            ),
        )  # fmt: skip
        self.views = open_views(self.detector, self.options)
        self.pictures = _open_pictures(self.options, self.named)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a CSV with the records of this run."""
        options, classes = self.options, self.detector.card.classes
        return list_columns(classes, summary=options.summary, placed=options.shard is not None)

    def resume(self, output: Path, form: LineForm) -> None:
        """Take up what a broken run has left of its file of records, if it has left anything.

        Raises:
            UsageError: it was made with another model, operating point or set of columns.
        """
        self.written = take_up(output, form, self.detector, self.columns)
        self.counts.update(self.written.counts)
        if again := len(self.written.again):
            files = say_count(again, "file", "files")
            self.listener.say(f"{files} could not be read before and are tried again")
        for kind, path, frame, uid in self.written.keys if self.pictures is not None else ():
            if kind == "slice":
                self._judged.setdefault((path, uid), []).append(frame)

    @property
    def studies(self) -> list[StudyFinding]:
        """Studies of a run that has ended, where series or studies were asked for."""
        return self.views.studies

    @property
    def points(self) -> dict[str, OperatingPoint]:
        """The thresholds of a slice, a series and a study, as far as the model has them."""
        name, numbers = self.detector.operating_point, self.views.numbers
        of_slice = {"slice": self.detector.card.find_operating_point(name)}
        return of_slice if numbers is None else of_slice | numbers.find_points(name)

    def run(self, writer: RecordWriter) -> None:
        """Judge all files and write their records.

        Args:
            writer: takes the records; the caller closes it.

        Raises:
            UsageError: there was no image at all.
        """
        trail, notices = Trail(self.listener.advance), Notices(self.listener.say)
        gatherer = SeriesGatherer(self.views.numbers, self.views.series_from)
        for _, finding in self._judge(self._find(trail)):
            place = trail.follow(finding.info)
            self._note_single(place, finding.info)
            for series in self._gather(gatherer, finding, 0 if place is None else place.number):
                self._end(series, writer, notices)
            if finding.error is None and is_loose(finding.info):
                alone = SeriesFinding.of([finding])
                notices.tell(alone, finding.info.notes, counted=False)
                self.views.settle_single(finding)
            if self.views.shows(finding):
                self._put(writer, finding)
            else:
                self._count(finding)
            self.listener.advance(0)  # a file may hold thousands of slices
        trail.close()
        for series in gatherer.close():
            self._end(series, writer, notices)
        notices.close()
        self._tell_singles(notices)
        self._tell_loose(gatherer.loose, notices)
        self._put_studies(writer)
        for line in self.views.finish():
            notices.say(line)
        if not self.counts and not self.parting.count:
            skipped = f"; {skipped_words(self.skipped)}" if self.skipped else ""
            raise UsageError(f"{' '.join(self.named)}: no image found{skipped}")

    def _gather(
        self, gatherer: SeriesGatherer, finding: Finding, number: int
    ) -> Iterator[SeriesFinding]:
        """Hand a finding of an input to the gatherer; gives the series that ended before it."""
        if self.parting.leaves_gap(number):
            yield from gatherer.close()
        yield from gatherer.add(finding)
        self.parting.reach(number)

    def _put_studies(self, writer: RecordWriter) -> None:
        """Studies come behind all slices, in the order of their first series."""
        for study in self.views.gather():
            if study.verdict is not None:
                first = min(self._first[series.key] for series in study.series)
                self._put(writer, study, self.parting.count + first)

    def _note_single(self, place: Place | None, info: SliceInfo) -> None:
        """Remember files of one series that an iterator named: each is judged as it comes."""
        uid = info.series_instance_uid
        if not self._together and uid and place is not None and place.is_named:
            self._singly.setdefault(uid, set()).add(info.path)

    def _tell_singles(self, notices: Notices) -> None:
        files = [len(paths) for paths in self._singly.values() if len(paths) > 1]
        if files:
            notices.say(
                f"{sum(files):,} files of {len(files):,} series were read one by one, because a "
                "list on standard input is answered line by line; give their folder to read them "
                "as series"
            )

    def _tell_loose(self, count: int, notices: Notices) -> None:
        """What is made of series is not made of pictures that stand alone."""
        wanted = (
            ("`montage=True`", self.views.montages),
            ("`activation_volume=`", self.views.volumes),
        )
        for option, made in wanted:
            if count and made is not None:
                belong = say_count(count, "image belongs", "images belong")
                notices.say(
                    f"{belong} to no series, so {option} made nothing of "
                    f"{'it' if count == 1 else 'them'}; `series_from='folder'` makes a series of "
                    "the images of each folder"
                )

    def _end(self, series: SeriesFinding, writer: RecordWriter, notices: Notices) -> None:
        """Say of a series what is to be said, and write its record if one is wanted."""
        if all(one.error is not None for one in series.findings):
            return
        notes = [note for one in series.findings for note in one.info.notes]
        told = (
            *dict.fromkeys(notes),
            NO_STUDY_MODEL,
            ONE_SLICE,
        )  # the series counts them once more
        notes += [note for note in series.notes if not note.startswith(told)]
        notices.tell(series, notes, counted=True)
        for line in self.views.settle(series):
            notices.say(line)
        if self.views.sums_up:
            behind = self.parting.place + 0.5
            self._first.setdefault(series.key, behind)
            if series.verdict is None and not self.views.shows_slices:
                for one in series.findings:  # in place of a verdict
                    writer.write(self._describe(one, behind))
            self._put(writer, series, behind)

    def _judge(self, inputs: Iterator[Source | InputError]) -> Iterator[Judged]:
        """Slices with their findings, after their picture was saved, if pictures are wanted."""
        judged = self.detector.iterate(inputs, on_error="record")
        if self.pictures is None and not self.views.draws:
            yield from judged
            return
        threads = self.detector.threads
        with open_workers(threads) as pool:
            yield from run_ahead(pool, self._save, judged, 2 * threads, weigh=_weigh, room=_ROOM)

    def _save(self, judged: Judged) -> Judged:
        slice_, finding = judged
        if slice_ is None:
            return judged
        if self.pictures is not None and (
            self._is_new(finding) or not self.pictures.has(finding.info)
        ):
            self.pictures.save(slice_, finding)
        self.views.keep(slice_, finding)
        return judged

    @property
    def _together(self) -> bool:
        """Whether all paths are known at once; those of an iterator may come for hours."""
        return not isinstance(self.paths, Iterator)

    def _find(self, trail: Trail) -> Iterator[Source | InputError]:
        """What is still to read."""
        found_all = find_sources(self.paths, limits=self.detector.limits, together=self._together)
        for found in found_all if self.rename is None else self.rename(found_all):
            if not self.parting.take(found):
                self.listener.advance(len(found.files) if isinstance(found, Source) else 1)
            elif isinstance(found, Skipped):
                self._skip(found)
            elif isinstance(found, Source) and self._is_written(found):
                self.listener.advance(len(found.files))
            else:
                trail.hand_out(found, self.parting.count - 1)
                yield found

    def _skip(self, found: Skipped) -> None:
        """Count a file that is left out; what this run writes itself is no input."""
        self.listener.advance(1)
        if os.path.realpath(found.path) in self.own or self._is_picture(found):
            return
        self.skipped[found.reason] += 1
        self.listener.detail(f"skipped {found.path}: {found.reason}")

    def _is_picture(self, found: Skipped) -> bool:
        """Whether a file is an overlay in the very folder that this run draws into."""
        pictures = self.pictures
        return pictures is not None and found.reason == DRAWN and pictures.holds(found.path)

    def _put(self, writer: RecordWriter, finding: Recorded, place: float | None = None) -> None:
        if self._is_new(finding):
            with hold_interrupts(), name_place(self.place):
                writer.write(self._describe(finding, place))
                if isinstance(finding, Finding):
                    self._count(finding)

    def _describe(self, finding: Recorded, place: float | None) -> dict[str, Any]:
        """The record; that of a shard tells its place, by default that of the input."""
        record = finding.to_record()
        if self.parting.shard is not None:
            record[PLACE] = self.parting.place if place is None else place
        return record

    def _count(self, finding: Finding) -> None:
        self.counts[finding.verdict or "error"] += 1

    def _is_written(self, source: Source) -> bool:
        in_series = source.kind != "raster" or self.options.series_from is not None
        if not self.written.keys or (self.views.shows_series and in_series):
            return False  # a series is judged whole, so that its study is
        names = [source.path, *(part.path for part in source.parts)]
        written = self.written.holds(source.path, names[1:], source.series_uid)
        return written and self._is_drawn(names, source.series_uid)

    def _is_drawn(self, names: Iterable[str], uid: str | None) -> bool:
        """Whether the pictures of all slices that were judged before are there, if wanted."""
        pictures = self.pictures
        if pictures is None:
            return True
        frames = ((path, one) for path in names for one in self._judged.get((path, uid or ""), ()))
        bare = (SliceInfo(path, frame=one, series_instance_uid=uid) for path, one in frames)
        # The name of a picture tells the frame of a slice with a place, which no record gives.
        return all(pictures.has(one) or pictures.has(replace(one, plane="axial")) for one in bare)

    def _is_new(self, finding: Recorded) -> bool:
        if isinstance(finding, SeriesFinding) and any(
            one.info.path in self.written.again for one in finding.findings
        ):
            return True
        return not self.written.keys or key_of(finding.to_record()) not in self.written.keys


def _weigh(judged: Judged) -> int:
    return 0 if judged[0] is None else judged[0].pixels.nbytes


def _open_pictures(options: RunOptions, named: Iterable[str]) -> HeatmapFolder | None:
    if options.heatmaps is None or options.montage:
        return None
    from tumorlens.report.pictures.heatmaps import HeatmapFolder, common_folder

    base = common_folder(path for path in named if path != "-")
    return HeatmapFolder(options.heatmaps, base)
