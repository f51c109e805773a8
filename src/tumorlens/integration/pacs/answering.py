"""A study becomes its answer: the objects of `integration.dicom`, with UIDs that never change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import NAMESPACE_OID, uuid5

from tumorlens.digits import show_probability
from tumorlens.errors import UsageError
from tumorlens.integration.dicom.object_folder import DicomFolder
from tumorlens.integration.dicom.object_options import OBJECTS, DicomOptions, ObjectKind
from tumorlens.integration.pacs.boxes import Answer, Unanswerable
from tumorlens.integration.pacs.image_headers import read_image_header
from tumorlens.integration.pacs.study_queue import QueuedStudy

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.integration.dicom.object_writing import DicomSummary
    from tumorlens.study_finding import StudyFinding

__all__ = ["Answerer"]


@dataclass(frozen=True, slots=True)
class Answerer:
    """Judges studies, and writes their objects.

    The UIDs of the objects are made from the study, the images that were judged, the model and its
    operating point: who sends an answer again sends the same objects, which a PACS has once.

    Attributes:
        detector: the model.
        kinds: of objects.
        uid_root: new UIDs begin with it.
    """

    detector: Detector
    kinds: tuple[ObjectKind, ...] = OBJECTS
    uid_root: str | None = None

    def answer(self, study: QueuedStudy, images: Path, folder: Path) -> Answer:
        """See `boxes.Answering`."""
        from tumorlens.integration.dicom.object_writing import fill_folder
        from tumorlens.predicting.options import Listener, RunOptions
        from tumorlens.predicting.prediction_run import PredictionRun

        options = DicomOptions(
            folder=folder, objects=self.kinds, uid_root=self.uid_root, overwrite=True
        )
        taker = DicomFolder(options, self.detector, make_uid=self._make_uids(study))
        run = PredictionRun(
            self.detector, [str(images)], (str(images),),
            RunOptions(summary=True, slices=False, takers=(taker,)), str(folder),
            listener=Listener(),
        )  # fmt: skip
        try:
            done = fill_folder(run, taker)
        except UsageError as error:
            cause = error.__cause__
            if isinstance(cause, OSError):  # the disk is full: the study waits
                raise cause from None
            if run.counts:
                raise
            raise Unanswerable("holds no picture that can be judged") from error
        _check(done)
        return Answer(_list_objects(done), _tell(done))

    def _make_uids(self, study: QueuedStudy) -> Callable[[str], str]:
        model = self.detector.session.sha256
        seed = f"{study.study} {study.content} {model} {self.detector.operating_point}"
        made = Counter[str]()

        def make(told: str) -> str:
            made[told] += 1
            number = uuid5(NAMESPACE_OID, f"{seed} {told} {made[told]}").int
            if self.uid_root is None:
                return f"2.25.{number}"
            return f"{self.uid_root}.{number}"[:64]

        return make


def _check(done: DicomSummary) -> None:
    if done.files:
        return
    if done.counts.get("error", 0) == sum(done.counts.values()):
        raise Unanswerable("no image of it can be read")
    raise Unanswerable("no object can be written of it; `tumorlens.write_dicom` says why")


def _list_objects(done: DicomSummary) -> dict[str, str]:
    headers = ((path, read_image_header(path)) for path in done.files)
    return {header.instance: path.name for path, header in headers if header is not None}


def _tell(done: DicomSummary) -> str:
    studies = [one for one in done.studies if one.verdict is not None]
    words = [_word(one) for one in studies]
    failed = done.counts.get("error", 0)
    if failed:
        words.append(f"{failed} of {sum(done.counts.values())} images cannot be read")
    return ", ".join(words) or "no verdict"


def _word(study: StudyFinding) -> str:
    if study.tumor_probability is None:
        return str(study.verdict)
    return f"{study.verdict} {show_probability(study.tumor_probability)}"
