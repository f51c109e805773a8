"""The verdict of a study as a structured report by template TID 1500; PS3.16, annex A."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tumorlens.finding import RESEARCH_USE, Box, Finding
from tumorlens.integration.dicom import concepts as coded
from tumorlens.integration.dicom.attributes import Header, Maker
from tumorlens.integration.dicom.concepts import Concept
from tumorlens.integration.dicom.segmentations import MR_IMAGE, list_references, refer
from tumorlens.integration.dicom.stored_evidence import to_stored
from tumorlens.integration.dicom.stored_frames import SourceSeries, StoredFrame
from tumorlens.landmarks import KeySlice
from tumorlens.optional import load
from tumorlens.study_finding import SeriesFinding, StudyFinding

__all__ = ["ReportedSeries", "Thresholds", "make_report"]

Thresholds = tuple[float, float] | None
"""(low, high) of an operating point: below low no tumor, from high on a tumor."""

_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_DEVICE = "2.25.85041711467262310421563902746130194467"
"""UID of tumorlens as an observer."""

_MOST_NOTES = 20
_SPEAKING = ("tumor", "uncertain")
_NO_VERDICT = "There is no verdict of the study, only of its slices."


@dataclass(frozen=True, slots=True, eq=False)
class ReportedSeries:
    """What is reported of one series.

    Attributes:
        finding: of the series; only its landmarks and figures are used.
        slices: findings of its key slices, by (path, frame) of their records.
        source: its stored frames.
        segmentation: SOP Instance UID of the segmentation with its evidence, if there is one.
        segmentation_series: Series Instance UID of that.
    """

    finding: SeriesFinding
    slices: dict[tuple[str, int], Finding]
    source: SourceSeries
    segmentation: str = ""
    segmentation_series: str = ""


@dataclass(frozen=True, slots=True)
class _Words:
    """What the groups of one report have in common.

    Attributes:
        hd: highdicom.
        maker: the model.
        point: name of the operating point.
        new_uid: makes a new UID.
        thresholds: of a study, and of a series.
    """

    hd: Any
    maker: Maker
    point: str
    new_uid: Any
    thresholds: tuple[Thresholds, Thresholds]

    def measure(
        self, name: Concept, value: float | None, unit: Concept = coded.NO_UNIT
    ) -> list[Any]:
        """A measurement; none where the value is not known."""
        if value is None:
            return []
        return [self.hd.sr.Measurement(name.to_item(), float(value), unit.to_item())]

    def measure_against(self, chance: float | None, thresholds: Thresholds) -> list[Any]:
        """A probability and the thresholds that it is held against."""
        if chance is None:
            return []
        low, high = thresholds or (None, None)
        return [
            *self.measure(coded.PROBABILITY, chance),
            *self.measure(coded.THRESHOLD_LOW, low),
            *self.measure(coded.THRESHOLD_HIGH, high),
        ]

    def identify(self) -> Any:
        """The algorithm; TID 4019."""
        name, version = self.maker.split()
        return self.hd.sr.AlgorithmIdentification(
            name=name,
            version=version,
            manufacturer="tumorlens",
            parameters=[f"operating point {self.point}", f"SHA-256 {self.maker.sha256}"],
        )

    def track(self, words: str) -> Any:
        """A name for a group, and a UID."""
        return self.hd.sr.TrackingIdentifier(uid=self.new_uid(), identifier=words)

    def judge(self, verdict: Any) -> list[Any]:
        """The verdict as an answer to whether a neoplasm is present."""
        if verdict is None:
            return []
        name, value = coded.NEOPLASM.to_item(), coded.PRESENCE[verdict].to_item()
        return [self.hd.sr.QualitativeEvaluation(name, value)]

    def share(self, words: str, verdict: Any) -> dict[str, Any]:
        """Arguments of a group of measurements that each group has."""
        return {
            "tracking_identifier": self.track(words),
            "algorithm_id": self.identify(),
            "finding_sites": [self.hd.sr.FindingSite(coded.BRAIN.to_item())],
            "qualitative_evaluations": self.judge(verdict),
        }


def make_report(
    study: StudyFinding,
    series: Sequence[ReportedSeries],
    header: Header,
    *,
    thresholds: tuple[Thresholds, Thresholds],
    new_uid: Any,
) -> Any:
    """The report of one study.

    Args:
        study: with its verdict.
        series: at least one of it, of one study.
        header: of the object.
        thresholds: of a study, and of a series.
        new_uid: makes a new UID.

    Returns:
        An object of highdicom's: Comprehensive SR, or Comprehensive 3D SR where regions lie in
        slices that were cut from a volume.
    """
    hd = load("highdicom", "writing DICOM objects")
    words = _Words(hd, header.maker, study.operating_point or "balanced", new_uid, thresholds)
    groups = [_report_study(words, study, series)]
    regions = [region for one in series for region in _report_regions(words, one)]
    for one in series:
        groups += [_report_series(words, one), *_report_key_slices(words, one)]
    procedure = coded.BRAIN_MRI if series[0].source.modality == "MR" else coded.IMAGING
    content = hd.sr.MeasurementReport(
        observation_context=_tell_observer(words),
        procedure_reported=procedure.to_item(),
        imaging_measurements=[*groups, *(group for group, _ in regions)],
    )
    content[0].ContentSequence.extend(_comment(hd, study))
    in_space = any(is_3d for _, is_3d in regions)
    kind = hd.sr.Comprehensive3DSR if in_space else hd.sr.ComprehensiveSR
    made = kind(
        evidence=_list_evidence(series, header.common),
        content=content,
        is_complete=True,
        coding_schemes=[coded.name_scheme()],
        **header.to_keywords(),
    )
    made.CurrentRequestedProcedureEvidenceSequence = [_refer_study(series)]
    return made


def _report_study(words: _Words, study: StudyFinding, series: Sequence[ReportedSeries]) -> Any:
    chances = study.probabilities or {}
    measured = [
        *words.measure_against(study.tumor_probability, words.thresholds[0]),
        *words.measure(coded.UNFAMILIAR_SHARE, study.unfamiliar_share),
        *words.measure(coded.NOT_JUDGED_SHARE, study.not_judged_share),
    ]
    if len(chances) > 2:  # with two classes it is the probability once more
        for name, chance in chances.items():
            measured += words.measure(coded.name_class(name), chance)
    shown = [image for one in series for image in _show_key_slices(words, one)]
    return words.hd.sr.MeasurementsAndQualitativeEvaluations(
        measurements=measured, source_images=shown or None, **words.share("study", study.verdict)
    )


def _report_series(words: _Words, one: ReportedSeries) -> Any:
    found = one.finding
    measured = [
        *words.measure_against(found.tumor_probability, words.thresholds[1]),
        *words.measure(coded.UNFAMILIAR_SHARE, found.unfamiliar_share),
        *words.measure(coded.NOT_JUDGED_SHARE, found.not_judged_share),
    ]
    if found.run is not None:
        measured += words.measure(coded.RUN_LENGTH, found.run.length_mm, coded.MILLIMETRE)
    name = " ".join(filter(None, ("series", found.sequence, found.plane)))
    shared = words.share(name, found.verdict)
    sr = words.hd.sr
    if not one.segmentation:
        shown = _show_key_slices(words, one)
        return sr.MeasurementsAndQualitativeEvaluations(
            measurements=measured, source_images=shown or None, **shared
        )
    segment = sr.ReferencedSegment(
        sop_class_uid=_SEGMENTATION,
        sop_instance_uid=one.segmentation,
        segment_number=1,
        source_series=sr.SourceSeriesForSegmentation(one.source.series),
    )
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=segment, measurements=measured, **shared
    )


def _report_key_slices(words: _Words, one: ReportedSeries) -> Iterator[Any]:
    """A group for each slice to open first, with its probability and its verdict."""
    for number, key in enumerate(one.finding.first_slices, 1):
        finding, frame = one.slices.get(key.place()), one.source.by_key.get((key.path, key.frame))
        if finding is None or frame is None:
            continue
        image = words.hd.sr.SourceImageForMeasurementGroup(**_point_at(frame))
        yield words.hd.sr.MeasurementsAndQualitativeEvaluations(
            measurements=words.measure_against(finding.tumor_probability, finding.thresholds),
            source_images=[image],
            **words.share(f"slice to open {number}", finding.verdict),
        )


def _show_key_slices(words: _Words, one: ReportedSeries) -> list[Any]:
    frames = (one.source.by_key.get((key.path, key.frame)) for key in one.finding.first_slices)
    kind = words.hd.sr.SourceImageForMeasurementGroup
    return [kind(**_point_at(frame)) for frame in frames if frame is not None]


def _point_at(frame: StoredFrame) -> dict[str, Any]:
    return {
        "referenced_sop_class_uid": frame.sop_class,
        "referenced_sop_instance_uid": frame.sop_instance,
        "referenced_frame_numbers": None if frame.number is None else [frame.number],
    }


def _report_regions(words: _Words, one: ReportedSeries) -> Iterator[tuple[Any, bool]]:
    """A group for each region of the slices to open first, and whether it lies in space.

    Beside a verdict that says no, or that nothing is known, regions would contradict it.
    """
    if one.finding.verdict not in (*_SPEAKING, None):
        return
    for number, key in enumerate(one.finding.first_slices, 1):
        finding = one.slices.get(key.place())
        if finding is None or finding.verdict not in _SPEAKING:
            continue
        for count, box in enumerate(finding.boxes or (), 1):
            region, in_space = _draw_region(words, one, key, finding, box)
            if region is None:
                continue
            name = f"region {count} of slice to open {number}"
            yield (
                words.hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                    referenced_region=region,
                    finding_type=coded.NEOPLASM.to_item(),
                    measurements=_measure_region(words, finding, box),
                    tracking_identifier=words.track(name),
                    algorithm_id=words.identify(),
                    finding_sites=[words.hd.sr.FindingSite(coded.BRAIN.to_item())],
                ),
                in_space,
            )


def _measure_region(words: _Words, finding: Finding, box: Box) -> list[Any]:
    measured = words.measure(coded.LARGEST_EVIDENCE, box.score)
    if finding.info.spacing_mm is None:
        return measured
    row, column = finding.info.spacing_mm
    short, long = sorted(((box.x1 - box.x0) * column, (box.y1 - box.y0) * row))
    measured += words.measure(coded.LONG_AXIS, long, coded.MILLIMETRE)
    return measured + words.measure(coded.SHORT_AXIS, short, coded.MILLIMETRE)


def _draw_region(
    words: _Words, one: ReportedSeries, key: KeySlice, finding: Finding, box: Box
) -> tuple[Any, bool]:
    """The outline of a box: in the stored frame, or in the patient where the slice was cut."""
    import numpy as np

    info, sr = finding.info, words.hd.sr
    corners = [(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)]
    frame = one.source.by_key.get((key.path, key.frame))
    if len(info.files) < 2 and frame is not None:
        drawn = [to_stored(frame.place, *corner) for corner in corners]
        source = sr.SourceImageForRegion(**_point_at(frame))
        outline = np.array([*drawn, drawn[0]])
        return sr.ImageRegion("POLYLINE", outline, source), False
    places = [info.to_patient(*corner) for corner in corners]
    if not one.source.frame_of_reference or None in places:
        return None, False
    outline = np.array([*places, places[0]])
    return sr.ImageRegion3D("POLYGON", outline, one.source.frame_of_reference), True


def _tell_observer(words: _Words) -> Any:
    sr = words.hd.sr
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=_DEVICE,
        name="tumorlens",
        manufacturer_name="tumorlens",
        model_name=words.maker.model,
        serial_number=words.maker.sha256[:16],
    )
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(
            observer_type=sr.CodedConcept("121007", "DCM", "Device"),
            observer_identifying_attributes=device,
        )
    )


def _comment(hd: Any, study: StudyFinding) -> list[Any]:
    """That it is for research only, then what the reader and the judge doubt."""
    silent = [_NO_VERDICT] if study.verdict is None else []
    notes = [RESEARCH_USE, *silent, *study.notes[:_MOST_NOTES]]
    return [
        hd.sr.TextContentItem(coded.COMMENT.to_item(), note[:1024], "CONTAINS") for note in notes
    ]


def _list_evidence(series: Sequence[ReportedSeries], common: Any) -> list[Any]:
    """What is referred to, as highdicom looks it up; the first stands for the patient."""
    from pydicom.dataset import Dataset

    def stand_in(uid: str, sop_class: str, own: str) -> Any:
        item = Dataset()
        item.update(common)
        item.SOPClassUID, item.SOPInstanceUID = sop_class, uid
        item.StudyInstanceUID, item.SeriesInstanceUID = series[0].source.study, own
        return item

    listed = [stand_in("2.25.1", MR_IMAGE, "2.25.2")]
    for one in series:
        frames = {frame.sop_instance: frame.sop_class for frame in one.source.frames}
        listed += [stand_in(uid, kind, one.source.series) for uid, kind in frames.items()]
        if one.segmentation:
            listed.append(stand_in(one.segmentation, _SEGMENTATION, one.segmentation_series))
    return listed


def _refer_study(series: Sequence[ReportedSeries]) -> Any:
    """An item of the evidence: all that was judged, and the segmentations."""
    from pydicom.dataset import Dataset

    item, frames = Dataset(), dict[str, list[StoredFrame]]()
    item.StudyInstanceUID = series[0].source.study
    for one in series:
        frames.setdefault(one.source.series, []).extend(one.source.frames)
    referenced = []
    for uid, stored in frames.items():
        listed = list_references(stored, uid)
        listed.ReferencedSOPSequence = listed.pop("ReferencedInstanceSequence").value
        referenced.append(listed)
    for one in series:
        if one.segmentation:
            own = Dataset()
            own.SeriesInstanceUID = one.segmentation_series
            own.ReferencedSOPSequence = [refer(_SEGMENTATION, one.segmentation)]
            referenced.append(own)
    item.ReferencedSeriesSequence = referenced
    return item
