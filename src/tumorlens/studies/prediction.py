"""`predict_studies`: anything readable in, studies out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from tumorlens.detector import Detector
from tumorlens.finding import Findings
from tumorlens.studies.assembling import FolderRule, SeriesGatherer, gather_studies
from tumorlens.studies.study_model import StudyModel, parse_study_model
from tumorlens.study_finding import SeriesFinding, StudyFinding

__all__ = ["find_study_model", "predict_studies"]


def predict_studies(
    x: Any,
    *,
    model: str | os.PathLike[str] | Detector = "default",
    operating_point: str = "balanced",
    series_from: FolderRule = None,
    study_from: FolderRule = None,
) -> Findings[StudyFinding]:
    """What the studies of an input show, each with its series, and these with their slices.

    Pictures that belong to no series (a JPEG by itself) are in no study: `predict` judges them;
    ``series_from="folder"`` says that the pictures of each folder are one series.

    Args:
        x: as `Detector.predict` takes it.
        model: name of the registry, an ``.onnx`` file, or a `Detector`.
        operating_point: name of one of the model's operating points.
        series_from: ``"folder"``: the pictures of a folder are the slices of one series, in the
            order of their names.
        study_from: ``"folder"``: series of one folder are one study, where no file says otherwise.

    Raises:
        InputError: an input cannot be used.
        ModelFileError: the model is unknown, or its file breaks the contract.
    """
    if isinstance(model, Detector):
        detector = model
    else:
        detector = Detector(model, operating_point=operating_point)
    numbers = find_study_model(detector)
    series = _gather(detector, numbers, x, series_from)
    return Findings(gather_studies(series, numbers, study_from))


def find_study_model(detector: Detector) -> StudyModel | None:
    """The numbers for series and studies in a model file; None if it has none.

    Raises:
        ModelFileError: they do not fit the schema.
    """
    text = detector.session.studies
    return None if text is None else parse_study_model(text, str(detector.session.path))


def _gather(
    detector: Detector, numbers: StudyModel | None, x: Any, rule: FolderRule
) -> Iterator[SeriesFinding]:
    gatherer = SeriesGatherer(numbers, rule)
    for _, finding in detector.iterate(x):
        yield from gatherer.add(finding)
    yield from gatherer.close()
