"""Findings of slices, series and models for the tests of studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models import write_tiny_model
from tumorlens.finding import Box, Finding, SliceInfo
from tumorlens.model.card import OperatingPoint
from tumorlens.model.graph import write_model
from tumorlens.studies.study_model import SeriesTerms, StudyModel, StudyTerms

POINT = OperatingPoint(low=0.3, middle=0.5, high=0.7)


def make_study_model(**changes: object) -> StudyModel:
    """Evidence is the best 10 mm; two series count as two."""
    fields: dict[str, object] = {
        "slice_logit": 0.0,
        "series": {"other": SeriesTerms(offset=-1.0, weights={"top_10mm": 1.0})},
        "study": StudyTerms(weights={"other": 1.0}, alike=0.0),
        "series_points": {"balanced": POINT},
        "study_points": {"balanced": POINT},
        "fitted_on": "a table of the tests",
    }
    return StudyModel(**{**fields, **changes})


def make_findings(
    chances: Sequence[float],
    *,
    gap: float | None = 5.0,
    verdicts: Sequence[str] | None = None,
    path: str = "scan.nii",
    **info: object,
) -> list[Finding]:
    """Slices of one volume, ``gap`` mm apart; None for unknown positions."""
    return [
        Finding(
            SliceInfo(
                path,
                frame=frame,
                position_mm=None if gap is None else frame * gap,
                **{"plane": "axial", **info},
            ),
            verdict=_judge(chance) if verdicts is None else verdicts[frame],
            tumor_probability=chance,
            probabilities={
                "no_tumor": 1 - chance,
                "glioma": chance * 0.8,
                "meningioma": chance * 0.2,
            },
            unfamiliarity=0.5,
            peak_xy=(10.0 + frame, 20.0),
            boxes=(Box(5, 5, 15, 25, 0.9),),
            operating_point="balanced",
            model="tiny 0",
            seconds=0.01,
        )
        for frame, chance in enumerate(chances)
    ]


def draw_chances(slices: int = 30, tumor: slice = slice(0, 0)) -> list[float]:
    """Low everywhere, high in the slices given."""
    chances = np.full(slices, 0.02)
    chances[tumor] = 0.98
    return chances.tolist()


def _judge(chance: float) -> str:
    return str(POINT.judge(chance, 0.0))


def write_study_model(folder: Path, *, brain: float | None = None) -> Path:
    """The tiny model as a file with numbers for series and studies; ``brain`` as it takes it."""
    tiny, model = write_tiny_model(folder / "tiny.onnx", brain=brain), folder / "model.onnx"
    write_model(tiny, model, studies=make_study_model().to_json())
    return model
