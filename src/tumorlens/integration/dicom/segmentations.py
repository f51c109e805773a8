"""The evidence of a series as a fractional segmentation; PS3.3, A.51."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.finding import RESEARCH_USE
from tumorlens.integration.dicom.attributes import Header, Maker
from tumorlens.integration.dicom.concepts import ABNORMAL, BRAIN, NEOPLASM
from tumorlens.integration.dicom.stored_frames import SourceSeries, StoredFrame
from tumorlens.optional import load

__all__ = ["MR_IMAGE", "list_references", "make_segmentation", "refer", "tell_lossy"]

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
_EVEN = 0.01  # of the distance of slices: how far one of an even series may differ


def make_segmentation(
    evidence: npt.NDArray[np.uint8],
    source: SourceSeries,
    header: Header,
) -> Any:
    """A fractional segmentation with one segment on the frames of the source.

    Args:
        evidence: (frames, rows, columns), 0 to 255, in the order of ``source.frames``.
        source: that `SourceSeries.explain_no_map` finds nothing wrong with.
        header: of the object.

    Returns:
        An object of highdicom's.
    """
    hd = load("highdicom", "writing DICOM objects")
    stand_ins = _stand_in(source, header.common)
    made = hd.seg.Segmentation(
        stand_ins,
        evidence.astype(np.float32) / np.float32(255),
        "FRACTIONAL",
        [_describe_segment(hd, header.maker)],
        fractional_type="PROBABILITY",
        max_fractional_value=255,
        omit_empty_frames=False,  # readers that take frames for an even volume would shift them
        content_label="TUMOR_EVIDENCE",
        content_description=f"Evidence of a tumor. {RESEARCH_USE}",
        **header.to_keywords(),
    )
    _name_sources(made, source, stand_ins)
    return made


def list_references(frames: Iterable[StoredFrame], series: str) -> Any:
    """An item of Referenced Series with the objects that hold some frames."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.SeriesInstanceUID = series
    item.ReferencedInstanceSequence = [
        refer(sop_class, instance)
        for sop_class, instance in dict.fromkeys(
            (one.sop_class, one.sop_instance) for one in frames
        )
    ]
    return item


def refer(sop_class: str, instance: str, number: int | None = None) -> Any:
    """A reference to an object, or to one of its frames (from 1)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    if number is not None:
        item.ReferencedFrameNumber = number
    return item


def _describe_segment(hd: Any, maker: Maker) -> Any:
    name, version = maker.split()
    algorithm = hd.AlgorithmIdentificationSequence(
        name=name,
        version=version,
        family=hd.sr.CodedConcept("123110", "DCM", "Artificial Intelligence"),
        source="tumorlens",
    )
    return hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Evidence of a tumor, for research only",
        segmented_property_category=ABNORMAL.to_item(),
        segmented_property_type=NEOPLASM.to_item(),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        anatomic_regions=[BRAIN.to_item()],
    )


def _stand_in(source: SourceSeries, common: Any) -> list[Any]:
    """A plain single-frame object for each stored frame, as highdicom takes them.

    Sources may be enhanced objects of one frame each, or of a class that highdicom does not know.
    """
    from pydicom.dataset import Dataset

    shared = Dataset()
    shared.update(common)
    gap = _find_gap(source.distances())
    first = source.frames[0]
    assert first.place.spacing is not None and first.place.directions is not None
    shared.SOPClassUID, shared.Modality = MR_IMAGE, source.modality
    shared.StudyInstanceUID, shared.SeriesInstanceUID = source.study, source.series
    shared.FrameOfReferenceUID = source.frame_of_reference
    shared.Rows, shared.Columns = first.place.shape
    shared.PixelSpacing = _write(first.place.spacing)
    shared.ImageOrientationPatient = _write(first.place.directions)
    shared.SliceThickness = _write([source.thickness or 1.0])[0]
    if gap is not None:
        shared.SpacingBetweenSlices = _write([gap])[0]
    stand_ins = []
    for number, frame in enumerate(source.frames, 1):
        one = Dataset()
        one.update(shared)
        one.SOPInstanceUID = f"2.25.{number}"
        one.ImagePositionPatient = _write(frame.place.origin or ())
        stand_ins.append(one)
    return stand_ins


def _write(values: Iterable[float]) -> list[Any]:
    """Numbers as decimal strings, which have at most 16 characters; PS3.5, 6.2."""
    from pydicom.valuerep import DSfloat

    return [DSfloat(value, auto_format=True) for value in values]


def _find_gap(distances: Sequence[float]) -> float | None:
    """The distance of even slices; None where they are not even, or but one."""
    gaps = np.diff(sorted(distances))
    if not len(gaps):
        return None
    middle = float(np.median(gaps))
    return middle if bool((np.abs(gaps - middle) <= _EVEN * middle).all()) else None


def _name_sources(made: Any, source: SourceSeries, stand_ins: Sequence[Any]) -> None:
    """Put the stored frames in the place of those that stood in for them."""
    known = {
        str(one.SOPInstanceUID): frame for one, frame in zip(stand_ins, source.frames, strict=True)
    }
    made.SourceImageSequence = [refer(*one.reference) for one in source.frames]
    made.ReferencedSeriesSequence = [list_references(source.frames, source.series)]
    for group in made.PerFrameFunctionalGroupsSequence:
        for derivation in group.DerivationImageSequence:
            for item in derivation.SourceImageSequence:
                frame = known[str(item.ReferencedSOPInstanceUID)]
                item.ReferencedSOPClassUID = frame.sop_class
                item.ReferencedSOPInstanceUID = frame.sop_instance
                if frame.number is not None:
                    item.ReferencedFrameNumber = frame.number
    tell_lossy(made, source)


def tell_lossy(made: Any, source: SourceSeries) -> None:
    """Say whether, and how, what an object is derived from was compressed with a loss."""
    made.LossyImageCompression = "01" if source.lossy else "00"
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if source.lossy and keyword in source.first:
            made.add(source.first[keyword])
