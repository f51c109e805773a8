"""The numbers for series and studies that lie in a model file."""

from __future__ import annotations

from tumorlens.detector import Detector
from tumorlens.studies.study_model import StudyModel, parse_study_model

__all__ = ["find_study_model"]


def find_study_model(detector: Detector) -> StudyModel | None:
    """The numbers for series and studies in a model file; None if it has none.

    Raises:
        ModelFileError: they do not fit the schema.
    """
    text = detector.session.studies
    return None if text is None else parse_study_model(text, str(detector.session.path))
