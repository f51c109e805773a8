"""The montage of a series as a Secondary Capture, which any viewer shows; PS3.3, A.8.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorlens.integration.dicom.attributes import Header, mark_object
from tumorlens.integration.dicom.segmentations import refer
from tumorlens.integration.dicom.stored_frames import SourceSeries, StoredFrame
from tumorlens.optional import load

__all__ = ["make_capture"]

_JPEG = "ISO_10918_1"


def make_capture(
    picture: npt.NDArray[np.uint8],
    shown: Sequence[StoredFrame],
    source: SourceSeries,
    header: Header,
    *,
    ratio: float,
) -> Any:
    """A Secondary Capture of a montage.

    Args:
        picture: (H, W, 3), RGB.
        shown: stored frames that it shows.
        source: the series.
        header: of the object.
        ratio: by which JPEG has made the small pictures in it smaller.

    Returns:
        An object of highdicom's.
    """
    hd = load("highdicom", "writing DICOM objects")
    made = hd.sc.SCImage(
        picture,
        "RGB",
        8,
        "PATIENT",
        study_instance_uid=source.study,
        patient_orientation=("L", "P"),
        **header.to_keywords(),
    )
    made.update(header.common)
    made.BodyPartExamined = "BRAIN"
    made.PatientOrientation = None  # many slices in one picture have none in common
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "YES" if source.burned_in else "NO"
    made.SourceImageSequence = [refer(*one.reference) for one in shown]
    made.DerivationDescription = "Slices beside their heat maps, drawn by tumorlens"
    made.LossyImageCompression = "01"
    made.LossyImageCompressionRatio = f"{max(ratio, 1):.2f}"
    made.LossyImageCompressionMethod = _JPEG
    mark_object(made, header.maker)
    return made
