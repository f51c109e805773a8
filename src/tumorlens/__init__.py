"""tumorlens: does an MRI slice of the brain show a tumor, where, and how far to trust the answer.

The public names are loaded when they are first used (PEP 562), so that ``import tumorlens`` costs
little more than Python itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tumorlens.version import __version__

if TYPE_CHECKING:
    from tumorlens.detector import Detector
    from tumorlens.errors import InputError, TumorlensError
    from tumorlens.finding import Finding, SliceInfo
    from tumorlens.imaging.slices import Slice
    from tumorlens.predicting.inputs import read
    from tumorlens.predicting.options import Listener
    from tumorlens.predicting.predictions import predict, predict_studies
    from tumorlens.predicting.recollection import SeenSlice, seen
    from tumorlens.predicting.recording import RunSummary, write_records
    from tumorlens.report.pictures.overlay import draw
    from tumorlens.study_finding import SeriesFinding, StudyFinding

__all__ = [
    "Detector",
    "Finding",
    "InputError",
    "Listener",
    "RunSummary",
    "SeenSlice",
    "SeriesFinding",
    "Slice",
    "SliceInfo",
    "StudyFinding",
    "TumorlensError",
    "__version__",
    "draw",
    "predict",
    "predict_studies",
    "read",
    "seen",
    "write_records",
]

_HOMES = {
    "Detector": "tumorlens.detector",
    "Finding": "tumorlens.finding",
    "InputError": "tumorlens.errors",
    "Listener": "tumorlens.predicting.options",
    "RunSummary": "tumorlens.predicting.recording",
    "SeenSlice": "tumorlens.predicting.recollection",
    "SeriesFinding": "tumorlens.study_finding",
    "Slice": "tumorlens.imaging.slices",
    "SliceInfo": "tumorlens.finding",
    "StudyFinding": "tumorlens.study_finding",
    "TumorlensError": "tumorlens.errors",
    "draw": "tumorlens.report.pictures.overlay",
    "predict": "tumorlens.predicting.predictions",
    "predict_studies": "tumorlens.predicting.predictions",
    "read": "tumorlens.predicting.inputs",
    "seen": "tumorlens.predicting.recollection",
    "write_records": "tumorlens.predicting.recording",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tumorlens' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
