"""tumorlens: does an MRI slice of the brain show a tumor, where, and how far to trust the answer.

The public names are loaded when they are first used (PEP 562), so that ``import tumorlens`` costs
little more than Python itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tumorlens.version import __version__

if TYPE_CHECKING:
    from tumorlens.detector import Detector, predict
    from tumorlens.errors import InputError, TumorlensError
    from tumorlens.finding import Finding, SliceInfo
    from tumorlens.imaging.slices import Slice
    from tumorlens.report.pictures.overlay import draw
    from tumorlens.studies.prediction import predict_studies
    from tumorlens.study_finding import SeriesFinding, StudyFinding

__all__ = [
    "Detector",
    "Finding",
    "InputError",
    "SeriesFinding",
    "Slice",
    "SliceInfo",
    "StudyFinding",
    "TumorlensError",
    "__version__",
    "draw",
    "predict",
    "predict_studies",
]

_HOMES = {
    "Detector": "tumorlens.detector",
    "Finding": "tumorlens.finding",
    "InputError": "tumorlens.errors",
    "SeriesFinding": "tumorlens.study_finding",
    "Slice": "tumorlens.imaging.slices",
    "SliceInfo": "tumorlens.finding",
    "StudyFinding": "tumorlens.study_finding",
    "TumorlensError": "tumorlens.errors",
    "draw": "tumorlens.report.pictures.overlay",
    "predict": "tumorlens.detector",
    "predict_studies": "tumorlens.studies.prediction",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tumorlens' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
