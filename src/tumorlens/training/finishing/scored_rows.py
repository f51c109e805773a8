"""Scores validation and test rows with the new model; gives figures and numbers for studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tumorlens.data.rows import Manifest
from tumorlens.detector import Detector
from tumorlens.errors import DataError
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.evaluation.results import Evaluation
from tumorlens.evaluation.scores import Scores, drop_unfit
from tumorlens.evaluation.scoring import score_manifest
from tumorlens.evaluation.series_and_studies.study_fitting import fit_study_model, list_fit_series
from tumorlens.model.seen_entry import load_seen_test
from tumorlens.progress import Notice
from tumorlens.studies.study_model import StudyModel

__all__ = ["Scorer", "fit_studies", "measure_test"]


@dataclass(frozen=True)
class Scorer:
    """Scores rows with a model file.

    Attributes:
        threads: threads to use; None: all cores.
        notice: called with a sentence for each row that could not be scored.
        progress: called with (done, all).
    """

    threads: int | None
    notice: Notice
    progress: Callable[[int, int], None] | None

    def __call__(self, model: Path, rows: Manifest, *, suspicious: bool = False) -> Scores:
        """Scores of the rows that can be read.

        Args:
            model: file of the model.
            rows: rows to score.
            suspicious: also check for each image whether the model has seen it in training.
        """
        detector = Detector(model, threads=self.threads)
        is_seen = load_seen_test(detector.session) if suspicious else None
        scored = score_manifest(detector, rows, self.progress, is_seen=is_seen)
        for failure in scored.failures:
            self.notice(f"not scored: {failure}")
        return scored.scores


def measure_test(test: Scores | None) -> Evaluation | None:
    """Figures of the test rows; None if there are none, or of one label only.

    A precision is a predictive value at the share of tumors that the rows happen to hold.
    """
    if test is None:
        return None
    counted, _ = drop_unfit(test)
    if len(set(counted.label[counted.labelled])) < 2:
        return None
    return evaluate_scores(test, prevalence=float(counted.tumor[counted.labelled].mean()))


def fit_studies(validation: Scores) -> tuple[StudyModel | None, str]:
    """Fit numbers for series and studies on the validation rows; gives them and a sentence.

    Args:
        validation: scores by the calibrated model.
    """
    middle = float(np.median(validation.thresholds[:, 1]))
    try:
        model = fit_study_model(list_fit_series(validation), slice_middle=middle, data="validation")
    except DataError as error:
        return None, f"the model judges slices, but no series and no studies: {error}"
    return model, f"numbers for series and studies: fitted on {model.fitted_on}"
