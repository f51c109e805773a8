"""From a trained network to a model file whose probabilities and thresholds can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch

from tumorlens.data.rows import Manifest
from tumorlens.evaluation.calibration import (
    apply_calibration,
    apply_point,
    choose_thresholds,
    fit_logit,
)
from tumorlens.evaluation.scores import Scores
from tumorlens.model.card import Card
from tumorlens.model.contract import Calibration
from tumorlens.model.graph import write_model
from tumorlens.network.assembly import Deployed, Familiarity, TumorNetwork
from tumorlens.network.onnx_export import export_onnx
from tumorlens.progress import Notice
from tumorlens.training.familiarity import FamiliarityFit, find_raise

__all__ = ["CalibratedModel", "write_calibrated_model"]


@dataclass(frozen=True, eq=False)
class CalibratedModel:
    """A model file and what it was calibrated on.

    Attributes:
        path: path of the file.
        card: card in the file.
        validation: scores of the validation rows by the calibrated model.
    """

    path: Path
    card: Card
    validation: Scores


def write_calibrated_model(
    network: TumorNetwork,
    fit: FamiliarityFit,
    *,
    card: Card,
    fingerprints: str,
    validation: Manifest,
    folder: Path,
    calibrate: bool,
    score: Callable[[Path, Manifest], Scores],
    notice: Notice,
) -> CalibratedModel:
    """Write the model, score the validation rows with it, calibrate, and write the result back.

    Args:
        network: trained network, in evaluation mode.
        fit: fit of familiarity.
        card: card of the model before calibration.
        fingerprints: fingerprints of what the model has seen.
        validation: rows to calibrate on.
        folder: folder for ``model.onnx``.
        calibrate: fit probabilities and thresholds; else only the limit of familiarity.
        score: scores rows with a model file.
        notice: called with a sentence if the limit had to be raised.
    """
    familiarity = Familiarity(torch.from_numpy(fit.mean), torch.from_numpy(fit.projection))
    raw, model = folder / "uncalibrated.onnx", folder / "model.onnx"
    calibration = Calibration(unfamiliarity=1 / fit.limit)
    deployed = Deployed(network, familiarity, calibration)
    export_onnx(deployed, card, raw, seen=fingerprints, overwrite=True)
    scores = score(raw, validation)
    fitted = Calibration(unfamiliarity=1 / _raise_limit(scores, notice))
    if calibrate:
        logit = fit_logit(scores.tumor_probability, scores.tumor, scores.group)
        fitted = logit.then(fitted)
    scores = apply_calibration(scores, fitted)
    point = card.operating_points["balanced"]
    if calibrate:
        point = choose_thresholds(scores).point
        card = msgspec.structs.replace(card, operating_points={"balanced": point})
    write_model(raw, model, card=card, calibration=calibration.then(fitted), overwrite=True)
    raw.unlink()
    return CalibratedModel(model, card, apply_point(scores, point))


def _raise_limit(scores: Scores, notice: Notice) -> float:
    """Raise the limit of familiarity: training images look more familiar than new ones."""
    factor = find_raise(scores.unfamiliarity)
    if factor > 1:
        over = np.count_nonzero(scores.unfamiliarity > 1)
        notice(
            f"{over} of {len(scores)} validation pictures lay over the limit of what is familiar: "
            f"it was raised to {factor:.2f} times what the training pictures gave"
        )
    return factor
