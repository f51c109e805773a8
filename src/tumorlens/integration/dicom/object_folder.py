"""A folder of DICOM objects: gathers what a run says of series, and writes their objects.

Objects of a study refer to each other, so that they appear together, when the run has ended: until
then they lie beside their names, as ``NAME.partial``.
"""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorlens.errors import InputError, TumorlensError
from tumorlens.finding import Finding
from tumorlens.imaging.files.refusal import silence
from tumorlens.imaging.slices import Slice
from tumorlens.integration.dicom.attributes import (
    Header,
    Identity,
    Maker,
    copy_attributes,
    describe_equipment,
    mark_object,
)
from tumorlens.integration.dicom.captures import make_capture
from tumorlens.integration.dicom.object_options import ENDING, DicomOptions, ObjectKind
from tumorlens.integration.dicom.segmentations import make_segmentation
from tumorlens.integration.dicom.stored_evidence import lay_evidence
from tumorlens.integration.dicom.stored_frames import SourceSeries, read_source
from tumorlens.integration.dicom.structured_reports import ReportedSeries, Thresholds, make_report
from tumorlens.optional import load
from tumorlens.report.pictures.albums import Album, choose_shown, paint_montage
from tumorlens.report.pictures.heat import spread_evidence
from tumorlens.report.pictures.heatmaps import digest_name, make_safe
from tumorlens.studies.key_slices import choose_key_slices
from tumorlens.studies.study_model import StudyModel, find_study_model
from tumorlens.study_finding import SeriesFinding, StudyFinding
from tumorlens.writing import cannot_write, make_folder, name_place, partial_path

if TYPE_CHECKING:
    from tumorlens.detector import Detector

__all__ = ["DicomFolder", "check_library"]

_REPORT_NUMBER, _MAP_NUMBER, _CAPTURE_NUMBER = 9001, 9100, 9300
_DESCRIPTION = "tumorlens {}, for research only"

Key = tuple[str, str | None, int | None]
Planes = dict[tuple[str, int], npt.NDArray[np.uint8]]


def check_library() -> None:
    """Refuse early what the extra is missing for.

    Raises:
        MissingExtra: highdicom is not installed.
    """
    load("highdicom", "writing DICOM objects")
    # It logs a name that looks odd to it, which is the patient's.
    logging.getLogger("highdicom").setLevel(logging.ERROR)


@dataclass(slots=True)
class DicomFolder:
    """Takes slices and series of a run, and writes the objects of its studies.

    Attributes:
        options: what is written.
        detector: the model of the run.
        make_uid: makes the UIDs of new objects; it is told for what. By default they are random.
        files: what was written, in order.
    """

    options: DicomOptions
    detector: Detector
    make_uid: Callable[[str], str] | None = None
    files: list[Path] = field(default_factory=list)
    _album: Album = field(default_factory=Album)
    _planes: Planes = field(default_factory=dict)
    _reported: dict[Key, ReportedSeries] = field(default_factory=dict)
    _waiting: list[Path] = field(default_factory=list)
    _numbers: Counter[str] = field(default_factory=Counter)
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        check_library()
        make_folder(self.options.folder)

    def keep(self, slice_: Slice, finding: Finding) -> None:
        """Take what will be needed of a slice."""
        if "seg" in self.options.objects and finding.verdict != "not_judged":
            shape = (slice_.pixels.shape[0], slice_.pixels.shape[1])
            self._planes[finding.info.place()] = spread_evidence(finding, shape)
        if "sc" in self.options.objects:
            self._album.keep(slice_, finding)

    def settle(self, series: SeriesFinding) -> Iterator[str]:
        """Make the objects of a series that has ended; gives what is to be said of that."""
        planes = self._take_planes(series)
        self._album.settle(series)
        try:
            with _survive(series.path):
                source = read_source(series, self.detector.limits)
                lines = list(self._make(series, source, planes))
        except InputError as error:
            lines = [f"{error.path}: no DICOM object: it {error.reason}"]
        yield from lines

    def finish(self, studies: Iterable[StudyFinding]) -> Iterator[str]:
        """Make the reports, and give all objects their names."""
        for study in studies:
            try:
                with _survive(study.path):
                    lines = list(self._report(study))
            except InputError as error:
                lines = [f"{error.path}: no report: it {error.reason}"]
            yield from lines
        for path in self._waiting:
            with name_place(path):
                partial_path(path).replace(path)
            self.files.append(path)
        self._waiting.clear()
        if not self.files:
            yield f"{self.options.folder}: no DICOM object was written"

    def discard(self) -> None:
        """Remove what waits for its name: the run was broken off."""
        for path in self._waiting:
            partial_path(path).unlink(missing_ok=True)
        self._waiting.clear()

    def _take_planes(self, series: SeriesFinding) -> Planes:
        keys = (one.info.place() for one in series.findings)
        return {key: self._planes.pop(key) for key in keys if key in self._planes}

    def _make(self, series: SeriesFinding, source: SourceSeries, planes: Planes) -> Iterator[str]:
        _, notes = copy_attributes(source.first, deidentified=self.options.deidentified)
        for note in notes:
            yield from self._tell_once(f"{series.path}: {note}")
        series = _choose_slices(series)
        shown = {one.place() for one in series.first_slices}
        slices = {place: one for one in series.findings if (place := one.info.place()) in shown}
        self._numbers[source.study] += 1
        reported = ReportedSeries(replace(series, findings=()), slices, source)
        if "seg" in self.options.objects:
            reason = "none of its slices was judged" if not planes else source.explain_no_map()
            if reason:
                yield f"{series.path}: no segmentation: {reason}"
            else:
                yield from self._tell_once(_tell_thickness(series, source))
                reported = self._segment(series, reported, planes)
        if "sc" in self.options.objects:
            self._capture(series, source)
        self._reported[series.key] = reported

    def _segment(
        self, series: SeriesFinding, reported: ReportedSeries, planes: Planes
    ) -> ReportedSeries:
        source = reported.source
        header = self._head(source, "evidence", _MAP_NUMBER + self._numbers[source.study])
        laid = lay_evidence(series.findings, planes, source)
        made = make_segmentation(laid, source, header)
        mark_object(made, header.maker, series.notes)
        self._save(made, series.path, series.key, "seg")
        own = header.identity
        return replace(reported, segmentation=own.instance, segmentation_series=own.series)

    def _capture(self, series: SeriesFinding, source: SourceSeries) -> None:
        places = choose_shown(series)
        pairs = self._album.find(places)
        if not pairs:
            return
        picture = Image.open(io.BytesIO(paint_montage(series, self._album))).convert("RGB")
        plain = sum(2 * 3 * pair.size[0] * pair.size[1] for pair in pairs)
        packed = sum(len(pair.plain) + len(pair.heat) for pair in pairs)
        infos = {one.info.place(): one for one in series.findings}
        stored = (infos[one].info.find_stored(*(infos[one].peak_xy or (0, 0))) for one in places)
        shown = dict.fromkeys(source.by_key.get((one.path, one.frame)) for one in stored)
        made = make_capture(
            np.asarray(picture),
            [one for one in shown if one is not None],
            source,
            self._head(source, "montage", _CAPTURE_NUMBER + self._numbers[source.study]),
            ratio=plain / packed,
        )
        self._save(made, series.path, series.key, "sc")
        for place in places:
            self._album.pairs.pop(place, None)

    def _report(self, study: StudyFinding) -> Iterator[str]:
        found = [self._reported.get(one.key) for one in study.series]
        series = [one for one in found if one is not None]
        if "sr" not in self.options.objects or not series:
            return
        if len({one.source.study for one in series}) > 1:
            yield f"{study.path}: no report: its series name several StudyInstanceUIDs"
            return
        source = series[0].source
        made = make_report(
            study,
            series,
            self._head(source, "report", _REPORT_NUMBER),
            thresholds=_find_thresholds(find_study_model(self.detector), study.operating_point),
            new_uid=partial(self._new_uid, "region"),
        )
        # Two patients of one UID, as some anonymisers make them, differ in the number alone.
        key = study.path, source.study, study.series[0].volume or None
        self._save(made, study.path, key, "sr")

    def _head(self, source: SourceSeries, what: str, number: int) -> Header:
        hidden = self.options.deidentified
        common, _ = copy_attributes(source.first, deidentified=hidden)
        told = what if number == _REPORT_NUMBER else f"{what} {source.series}"
        instance, series = self._new_uid(told), self._new_uid(told)
        return Header(
            common,
            Identity(instance, series, number, _DESCRIPTION.format(what)),
            Maker(self.detector.name, self.detector.session.sha256),
            describe_equipment(source.first, deidentified=hidden),
        )

    def _new_uid(self, told: str) -> str:
        if self.make_uid is not None:
            return self.make_uid(told)
        from pydicom.uid import generate_uid

        root = self.options.uid_root
        return str(generate_uid(prefix=None if root is None else f"{root}."))

    def _save(self, made: Any, path: str, key: Key, kind: ObjectKind) -> None:
        target = self.options.folder / _name_file(path, key, kind, self.options)
        try:
            made.save_as(partial_path(target))
        except BaseException as error:
            partial_path(target).unlink(missing_ok=True)
            if isinstance(error, OSError):
                cause = _find_cause(error)
                raise cannot_write(target, cause) from cause
            raise
        self._waiting.append(target)

    def _tell_once(self, line: str) -> Iterator[str]:
        if line and line not in self._told:
            self._told.add(line)
            yield line


@contextmanager
def _survive(path: str) -> Iterator[None]:
    """Turn what highdicom refuses into an error of one input: a run over hundreds goes on."""
    try:
        with silence():
            yield
    except (TumorlensError, OSError):
        raise
    except Exception as error:  # it checks values that sources fill with anything
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise InputError(path, f"cannot be told in DICOM objects ({reason})") from error


def _find_cause(error: OSError) -> OSError:
    """What the system said; pydicom raises it anew, without its number."""
    inner = error.__cause__ or error.__context__
    return _find_cause(inner) if error.errno is None and isinstance(inner, OSError) else error


def _find_thresholds(
    numbers: StudyModel | None, point: str | None
) -> tuple[Thresholds, Thresholds]:
    """Of the operating point for a study, and for a series; None if the model has no numbers."""
    if numbers is None:
        return None, None
    points = (numbers.study_points, numbers.series_points)
    study, series = (one.get(point or "balanced", one["balanced"]) for one in points)
    return (study.low, study.high), (series.low, series.high)


def _tell_thickness(series: SeriesFinding, source: SourceSeries) -> str:
    if source.frames[0].thickness is not None:
        return ""
    return (
        f"{series.path}: no Slice Thickness is stated; the segmentation has "
        f"{source.thickness:g} mm, the smallest distance of its slices"
    )


def _choose_slices(series: SeriesFinding) -> SeriesFinding:
    """A series too short for a verdict has its strongest slices to open, too."""
    judged = [one for one in series.findings if one.verdict not in (None, "not_judged")]
    if series.first_slices or series.verdict is not None or not judged:
        return series
    apart = (
        np.arange(len(judged), dtype=np.float64) * 1000
    )  # mm: far enough that the strongest ones are taken
    high = (judged[0].thresholds or (0.5, 0.5))[1]
    chosen = choose_key_slices(judged, apart, np.zeros(len(judged), bool), high=high)
    return replace(series, first_slices=chosen)


def _name_file(path: str, key: Key, kind: ObjectKind, options: DicomOptions) -> str:
    """Named after the series or study, and told from others by a digest; see `heatmaps`."""
    name = "study" if kind == "sr" else "series"
    if not options.deidentified:  # folders are often called after the patient
        name = make_safe(PurePath(path).name or name)
    return f"{name}.{digest_name(' '.join(map(str, key)))}.{kind}{ENDING}"
