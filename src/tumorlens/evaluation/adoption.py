"""`Adoption`: a model refitted to a site's own cases, and what that did, measured honestly.

The figures before and after come from crosswise fits: each group is judged with numbers fitted on
the other groups, so that no case speaks for its own calibration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from tumorlens.evaluation.assessment import drop_unfit
from tumorlens.evaluation.calibration import (
    ChosenPoint,
    carry_point,
    check_enough,
    choose_thresholds,
    fit_familiarity,
    fit_logit,
    recalibrate,
)
from tumorlens.evaluation.cases import Cases
from tumorlens.evaluation.comparison import Difference, compare_cases
from tumorlens.evaluation.scores import Scores
from tumorlens.model.card import Card, Figure, HistoryEntry
from tumorlens.model.contract import Calibration
from tumorlens.model.graph import read_calibration, write_model

__all__ = ["Adoption", "adopt_model", "recalibrate_crosswise"]

FOLDS = 5
SHOWN = ("ece", "brier", "loss")
RANK_FIGURES = ("auc", "average", "pointing")
"""Figures of a card that a new calibration leaves as they are: those of order and of place."""


@dataclass(frozen=True)
class Adoption:
    """What a calibration found.

    Attributes:
        card: the new card.
        fitted: to be applied after the calibration that the model has.
        chosen: thresholds, with sensitivity and specificity on the cases that chose them.
        differences: ECE, Brier and loss of the crosswise calibration minus those before.
    """

    card: Card
    fitted: Calibration
    chosen: ChosenPoint
    differences: list[Difference]

    def write(self, source: Path, output: Path, *, overwrite: bool = False) -> None:
        """Write the new model file: numbers and card; the network stays as it is.

        Raises:
            ModelFileError: ``source`` cannot be recalibrated.
            UsageError: ``output`` cannot be written.
        """
        write_model(
            source,
            output,
            card=self.card,
            calibration=read_calibration(source).then(self.fitted),
            overwrite=overwrite,
        )


def adopt_model(
    card: Card,
    scores: Scores,
    *,
    point: str = "balanced",
    sensitivity: float | None = None,
    specificity: float | None = None,
) -> Adoption:
    """Fit calibration, thresholds and familiarity limit on labelled scores.

    Args:
        card: of the model that gave the scores.
        scores: of a site's own cases; rows without a label or noted as unfit are ignored.
        point: operating point to set; others keep their decisions.
        sensitivity, specificity: wanted at the middle threshold, one of them at most.

    Raises:
        DataError: too few cases; gives the number that would do.
        UsageError: a wish that contradicts itself.
    """
    labelled = drop_unfit(scores.take(scores.labelled))[0]
    check_enough(labelled, sensitivity=sensitivity, specificity=specificity)
    fitted = _fit(labelled)
    after = recalibrate(labelled, fitted)
    chosen = choose_thresholds(after, sensitivity=sensitivity, specificity=specificity)
    crosswise = Cases.of(recalibrate_crosswise(labelled))
    differences = compare_cases(crosswise, Cases.of(labelled))
    return Adoption(
        _renew(card, labelled, fitted, point, chosen),
        fitted,
        chosen,
        [one for one in differences if one.name in SHOWN],
    )


def recalibrate_crosswise(scores: Scores, *, folds: int = FOLDS, seed: int = 0) -> Scores:
    """The scores with each group recalibrated by a fit on the groups of other folds."""
    cases = Cases.of(scores)
    fold = np.random.default_rng(seed).permutation(len(cases.names)) % folds
    chance = scores.tumor_probability.copy()
    chances = scores.probabilities.copy()
    for one in range(folds):
        held = fold[cases.codes] == one
        if held.any() and not held.all():
            fresh = recalibrate(scores.take(held), _fit(scores.take(~held)))
            chance[held], chances[held] = fresh.tumor_probability, fresh.probabilities
    return replace(scores, tumor_probability=chance, probabilities=chances)


def _fit(scores: Scores) -> Calibration:
    logit = fit_logit(scores.tumor_probability, scores.tumor, scores.group)
    return Calibration(
        scale=logit.scale,
        offset=logit.offset,
        unfamiliarity=fit_familiarity(scores.unfamiliarity, scores.group),
    )


def _renew(
    card: Card, scores: Scores, fitted: Calibration, point: str, chosen: ChosenPoint
) -> Card:
    today = datetime.now(UTC).date().isoformat()
    points = {name: carry_point(one, fitted) for name, one in card.operating_points.items()}
    groups = len(set(scores.group))
    entry = HistoryEntry(
        date=today,
        change=(
            f"scale x {fitted.scale:.4g}, offset {fitted.offset:+.4g}, unfamiliarity x "
            f"{fitted.unfamiliarity:.4g}; operating point {point}: {chosen.point.meaning}"
        ),
        slices=len(scores),
        groups=groups,
        data=scores.name,
    )
    return msgspec.structs.replace(
        card,
        version=f"{card.version.partition('+')[0]}+calibrated.{len(card.history) + 1}",
        created=today,
        operating_points=points | {point: chosen.point},
        figures=[*_keep_figures(card), *_state_figures(scores, chosen)],
        history=[*card.history, entry],
    )


def _keep_figures(card: Card) -> list[Figure]:
    return [one for one in card.figures if one.name.lower().startswith(RANK_FIGURES)]


def _state_figures(scores: Scores, chosen: ChosenPoint) -> list[Figure]:
    return [
        Figure(
            name=one.name,
            data=scores.name,
            split="the cases that chose the thresholds",
            value=one.value,
            low=one.low,
            high=one.high,
            slices=one.n,
            groups=one.groups,
            command="tumorlens calibrate",
        )
        for one in chosen.estimates
        if one.value is not None
    ]
