"""tumorlens: does an MRI slice of the brain show a tumor, where, and how far to trust the answer.

The public names are loaded when they are first used (PEP 562), so that ``import tumorlens`` costs
little more than Python itself.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tumorlens.version import __version__

# From 1.29 on, ONNX Runtime's wheels report their use to Microsoft unless this is set before they
# are loaded: they keep an identifier of the device and send the events of every session.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from tumorlens.auditing.checks import audit
    from tumorlens.auditing.findings import Audit
    from tumorlens.data.dividing import split
    from tumorlens.data.rows import Manifest
    from tumorlens.detector import Detector
    from tumorlens.errors import (
        DataError,
        InputError,
        MissingExtra,
        ModelFileError,
        RecipeError,
        TumorlensError,
        UsageError,
    )
    from tumorlens.evaluation.calibrating import calibrate
    from tumorlens.evaluation.evaluating import evaluate, score
    from tumorlens.evaluation.results import Evaluation
    from tumorlens.evaluation.scores import Scores
    from tumorlens.exporting.benchmarking.speed import benchmark
    from tumorlens.exporting.conversion import export
    from tumorlens.finding import Finding, SliceInfo
    from tumorlens.imaging.slices import Slice
    from tumorlens.integration.dicom.object_writing import DicomSummary, write_dicom
    from tumorlens.integration.pacs.keeping_watch import watch
    from tumorlens.integration.service.ceilings import ServiceLimits
    from tumorlens.integration.service.hosting import serve
    from tumorlens.model.card import Card
    from tumorlens.model.installation import Installation, info
    from tumorlens.model.session import load_card
    from tumorlens.predicting.engines.distributing import distribute
    from tumorlens.predicting.inputs import read
    from tumorlens.predicting.options import RunSummary
    from tumorlens.predicting.predictions import predict, predict_studies
    from tumorlens.predicting.recording import write_records
    from tumorlens.predicting.seen_slices import SeenSlice, seen
    from tumorlens.predicting.sharding.merging import merge
    from tumorlens.report.pictures.overlay import draw
    from tumorlens.study_finding import SeriesFinding, StudyFinding
    from tumorlens.training.recipe import Recipe
    from tumorlens.training.result import TrainingResult
    from tumorlens.training.workflow import train
    from tumorlens.tuning.outcome import Tuning
    from tumorlens.tuning.searching import tune
    from tumorlens.viewing.running import view
    from tumorlens.viewing.web.site import WebPage, write_web_page

__all__ = [
    "Audit",
    "Card",
    "DataError",
    "Detector",
    "DicomSummary",
    "Evaluation",
    "Finding",
    "InputError",
    "Installation",
    "Manifest",
    "MissingExtra",
    "ModelFileError",
    "Recipe",
    "RecipeError",
    "RunSummary",
    "Scores",
    "SeenSlice",
    "SeriesFinding",
    "ServiceLimits",
    "Slice",
    "SliceInfo",
    "StudyFinding",
    "TrainingResult",
    "TumorlensError",
    "Tuning",
    "UsageError",
    "WebPage",
    "__version__",
    "audit",
    "benchmark",
    "calibrate",
    "distribute",
    "draw",
    "evaluate",
    "export",
    "info",
    "load_card",
    "merge",
    "predict",
    "predict_studies",
    "read",
    "score",
    "seen",
    "serve",
    "split",
    "train",
    "tune",
    "view",
    "watch",
    "write_dicom",
    "write_records",
    "write_web_page",
]

_HOMES = {
    "Audit": "tumorlens.auditing.findings",
    "Card": "tumorlens.model.card",
    "DataError": "tumorlens.errors",
    "Detector": "tumorlens.detector",
    "DicomSummary": "tumorlens.integration.dicom.object_writing",
    "Evaluation": "tumorlens.evaluation.results",
    "Finding": "tumorlens.finding",
    "InputError": "tumorlens.errors",
    "Installation": "tumorlens.model.installation",
    "Manifest": "tumorlens.data.rows",
    "MissingExtra": "tumorlens.errors",
    "ModelFileError": "tumorlens.errors",
    "Recipe": "tumorlens.training.recipe",
    "RecipeError": "tumorlens.errors",
    "RunSummary": "tumorlens.predicting.options",
    "Scores": "tumorlens.evaluation.scores",
    "SeenSlice": "tumorlens.predicting.seen_slices",
    "SeriesFinding": "tumorlens.study_finding",
    "ServiceLimits": "tumorlens.integration.service.ceilings",
    "Slice": "tumorlens.imaging.slices",
    "SliceInfo": "tumorlens.finding",
    "StudyFinding": "tumorlens.study_finding",
    "TrainingResult": "tumorlens.training.result",
    "TumorlensError": "tumorlens.errors",
    "Tuning": "tumorlens.tuning.outcome",
    "UsageError": "tumorlens.errors",
    "WebPage": "tumorlens.viewing.web.site",
    "audit": "tumorlens.auditing.checks",
    "benchmark": "tumorlens.exporting.benchmarking.speed",
    "calibrate": "tumorlens.evaluation.calibrating",
    "distribute": "tumorlens.predicting.engines.distributing",
    "draw": "tumorlens.report.pictures.overlay",
    "evaluate": "tumorlens.evaluation.evaluating",
    "export": "tumorlens.exporting.conversion",
    "info": "tumorlens.model.installation",
    "load_card": "tumorlens.model.session",
    "merge": "tumorlens.predicting.sharding.merging",
    "predict": "tumorlens.predicting.predictions",
    "predict_studies": "tumorlens.predicting.predictions",
    "read": "tumorlens.predicting.inputs",
    "score": "tumorlens.evaluation.evaluating",
    "seen": "tumorlens.predicting.seen_slices",
    "serve": "tumorlens.integration.service.hosting",
    "split": "tumorlens.data.dividing",
    "train": "tumorlens.training.workflow",
    "tune": "tumorlens.tuning.searching",
    "view": "tumorlens.viewing.running",
    "watch": "tumorlens.integration.pacs.keeping_watch",
    "write_dicom": "tumorlens.integration.dicom.object_writing",
    "write_records": "tumorlens.predicting.recording",
    "write_web_page": "tumorlens.viewing.web.site",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tumorlens' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
