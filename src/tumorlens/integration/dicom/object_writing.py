"""From inputs to DICOM objects: `write_dicom`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tumorlens.arguments import check_arguments
from tumorlens.detector import Detector, open_detector
from tumorlens.integration.dicom.object_folder import DicomFolder
from tumorlens.integration.dicom.object_options import OBJECTS, DicomOptions, ObjectKind
from tumorlens.predicting.options import Listener, RunOptions
from tumorlens.predicting.prediction_run import PredictionRun
from tumorlens.progress import Notice, Progress, stay_silent
from tumorlens.studies.assembling import FolderRule
from tumorlens.study_finding import StudyFinding

__all__ = ["DicomSummary", "fill_folder", "write_dicom"]

Path_ = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class DicomSummary:
    """What came of a run that wrote DICOM objects.

    Attributes:
        files: that were written.
        counts: verdict, or ``error`` for what could not be read, -> slices.
        skipped: reason -> files that are no images and were left out.
        studies: what was said of each.
    """

    files: tuple[Path, ...]
    counts: Mapping[str, int]
    skipped: Mapping[str, int]
    studies: tuple[StudyFinding, ...] = field(default=(), repr=False)


@check_arguments()
def write_dicom(
    paths: Path_ | Iterable[Path_],
    folder: Path_,
    *,
    model: Path_ | Detector = "default",
    operating_point: str | None = None,
    objects: Sequence[ObjectKind] = OBJECTS,
    deidentified: bool = False,
    uid_root: str | None = None,
    overwrite: bool = False,
    series_from: FolderRule = None,
    study_from: FolderRule = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
) -> DicomSummary:
    """Judge DICOM studies, and write each verdict as DICOM objects that a PACS takes.

    It does what ``tumorlens predict PATH... --dicom-out FOLDER`` does: a structured report a study
    (TID 1500), and a fractional segmentation of the evidence and a picture a series. The objects
    belong to the study that they speak of, and bear its patient's name and ID. Files get their
    names when all are written; after an error none of them is there. For research only.

    Args:
        paths: a file, a folder or a pattern, or several of them.
        folder: where the objects go; made if it is not there.
        model: name of the registry, an ``.onnx`` file, or a `Detector`.
        operating_point: name of one of the model's operating points, by default ``balanced``.
        objects: some of ``"sr"``, ``"seg"`` and ``"sc"``.
        deidentified: leave out what names the patient, the visit and the people around; UIDs stay,
            for the objects refer to the source.
        uid_root: new UIDs begin with it.
        overwrite: the folder may hold objects; those of the same names are replaced.
        series_from, study_from: as `tumorlens.write_records` takes them.
        progress: told of the files that are done, and of the files in all.
        notice: takes sentences for a person: what was doubtful, and why an object is missing.

    Raises:
        UsageError: the folder holds objects already or cannot be written, an option makes no
            sense, or there was no image at all.
        ModelFileError: the model is unknown, or its file breaks the contract.
        MissingExtra: highdicom is not installed.
    """
    from tumorlens.predicting.recording import count_judged, list_inputs

    options = DicomOptions(
        folder=Path(folder), objects=tuple(objects), deidentified=deidentified,
        uid_root=uid_root, overwrite=overwrite,
    )  # fmt: skip
    inputs, named = list_inputs(paths)
    taker = DicomFolder(options, open_detector(model, operating_point=operating_point))
    wanted = RunOptions(
        summary=True, slices=False, series_from=series_from, study_from=study_from, takers=(taker,)
    )
    listener = Listener(say=notice or stay_silent, advance=count_judged(progress, inputs))
    return fill_folder(
        PredictionRun(taker.detector, inputs, named, wanted, str(folder), listener=listener), taker
    )


def fill_folder(run: PredictionRun, taker: DicomFolder) -> DicomSummary:
    """Let a run judge its inputs, and have their objects written.

    Args:
        run: with the taker in its options.
        taker: the folder of the objects; after an error it holds none of them.
    """
    try:
        run.run(_Nowhere())
    finally:
        taker.discard()
    return DicomSummary(tuple(taker.files), dict(run.counts), dict(run.skipped), tuple(run.studies))


class _Nowhere:
    """Takes records that nobody asked for."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Forget it."""
