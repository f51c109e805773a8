"""What a training hands over: the model file, its card, and figures of what was held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from tumorlens.data.public_sets.catalogue import SETS
from tumorlens.data.rows import Manifest
from tumorlens.detector import Detector
from tumorlens.errors import DataError
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.evaluation.calibration import apply_point, choose_thresholds, fit_logit, recalibrate
from tumorlens.evaluation.heads.study_fitting import fit_study_model, list_fit_series
from tumorlens.evaluation.results import Evaluation
from tumorlens.evaluation.score_files import write_scores
from tumorlens.evaluation.scores import Scores, drop_unfit
from tumorlens.evaluation.scoring import score_manifest
from tumorlens.model.card import Card, DataTerms, Figure, OperatingPoint, Training
from tumorlens.model.contract import Calibration
from tumorlens.model.graph import write_model
from tumorlens.model.memory import recall
from tumorlens.network.assembly import Deployed, Familiarity, TumorNetwork
from tumorlens.network.onnx_export import export_onnx
from tumorlens.studies.study_model import StudyModel
from tumorlens.training.ancestry import Ancestor, join_terms
from tumorlens.training.familiarity import FamiliarityCheck, FamiliarityFit, find_raise
from tumorlens.training.job import Job
from tumorlens.training.learning.phases import count_seconds
from tumorlens.training.rows.prepared_rows import PreparedRows
from tumorlens.training.rows.selection import Selection, fingerprint_rows
from tumorlens.version import __version__

__all__ = [
    "complete_card",
    "export_model",
    "fit_studies",
    "measure_held_out",
    "score_held_out",
    "write_card",
]

_INTENDED_USE = (
    "Research on slices of brain MRI like those that it was trained on. Not for diagnosis, and not "
    "for any decision about a person."
)
CARD_FIGURES = (
    "auc",
    "accuracy",
    "sensitivity",
    "specificity",
    "found",
    "alarm",
    "unfamiliar",
    "coverage",
    "loss",
    "ece",
    "brier",
)
"""Figures of the held-out rows that the card of a model holds from the start."""


def write_card(
    job: Job,
    selection: Selection,
    prepared: PreparedRows,
    kept: npt.NDArray[np.intp],
    *,
    removed: dict[str, int],
    ancestors: Sequence[Ancestor],
) -> Card:
    """What is known of a model before it has judged anything."""
    classes = job.recipe.network.classes
    sources = Counter(prepared.rows[index].source for index in kept)
    return Card(
        schema=1,
        name=f"tumorlens-{job.recipe.name}",
        version=__version__,
        created=date.today().isoformat(),
        license=job.recipe.license,
        classes=classes,
        tumor_classes=classes[1:],
        preprocess=job.recipe.input,
        operating_points={"balanced": OperatingPoint(low=0.5, middle=0.5, high=0.5)},
        cell_threshold=0.5,
        intended_use=_INTENDED_USE,
        training=Training(
            recipe=job.recipe.to_record(),
            fingerprint=fingerprint_rows(selection.manifest.rows),
            sources=dict(sources),
            groups=len({prepared.rows[index].group_key for index in kept}),
            left_out=job.left_out,
            removed=removed,
            seconds=round(count_seconds(job.folder), 1),
            versions={"tumorlens": __version__, "torch": str(torch.__version__)},
            learned_from=[one.name for one in ancestors],
        ),
        data_terms=join_terms(
            [
                DataTerms(data=name, terms=known.terms)
                for name, known in SETS.items()
                if sources.keys() & set(known.sources)
            ],
            ancestors,
        ),
    )


def export_model(
    job: Job,
    network: TumorNetwork,
    fit: FamiliarityFit,
    *,
    card: Card,
    memory: str,
    validation: Manifest,
) -> tuple[Path, Card, Scores]:
    """Write the model, judge the validation rows with it, and write what they teach back.

    Returns:
        The model file, its card, and the scores of the validation rows as it judges them now.
    """
    familiarity = Familiarity(torch.from_numpy(fit.mean), torch.from_numpy(fit.projection))
    raw, model = job.folder / "uncalibrated.onnx", job.folder / "model.onnx"
    calibration = Calibration(unfamiliarity=1 / fit.limit)
    deployed = Deployed(network, familiarity, calibration)
    export_onnx(deployed, card, raw, seen=memory, overwrite=True)
    scores = _score(job, raw, validation)
    fitted = Calibration(unfamiliarity=1 / _raise_limit(job, scores))
    if job.recipe.calibrate:
        logit = fit_logit(scores.tumor_probability, scores.tumor, scores.group)
        fitted = logit.then(fitted)
    scores = recalibrate(scores, fitted)
    point = card.operating_points["balanced"]
    if job.recipe.calibrate:
        point = choose_thresholds(scores).point
        card = msgspec.structs.replace(card, operating_points={"balanced": point})
    write_model(raw, model, card=card, calibration=calibration.then(fitted), overwrite=True)
    raw.unlink()
    return model, card, apply_point(scores, point)


def _raise_limit(job: Job, scores: Scores) -> float:
    """A network knows the pictures that it was trained on better than new ones of their kind."""
    factor = find_raise(scores.unfamiliarity)
    if factor > 1:
        over = np.count_nonzero(scores.unfamiliarity > 1)
        job.notice(
            f"{over} of {len(scores)} validation pictures lay over the limit of what is familiar: "
            f"it was raised to {factor:.2f} times what the training pictures gave"
        )
    return factor


def score_held_out(
    job: Job, model: Path, sets: list[Manifest], *, suspicious: bool
) -> Scores | None:
    """Judge what was held out.

    Args:
        job: tells the folder that the scores go into.
        model: that judges.
        sets: of rows.
        suspicious: ask for each picture whether an ancestor of the model has seen it.

    Returns:
        Scores, or None if there are no rows.
    """
    rows = [row for one in sets for row in one.rows]
    if not rows:
        return None
    scores = _score(job, model, job.manifest.with_rows(rows), suspicious)
    write_scores(job.folder / "scores.csv", scores, overwrite=True)
    return scores


def measure_held_out(scores: Scores | None) -> Evaluation | None:
    """Figures of held-out scores; None if there are none, or of one label only.

    A precision is a predictive value at the share of tumors that the scores happen to hold.
    """
    if scores is None:
        return None
    counted, _ = drop_unfit(scores)
    if len(set(counted.label[counted.labelled])) < 2:
        return None
    return evaluate_scores(scores, prevalence=float(counted.tumor[counted.labelled].mean()))


def fit_studies(validation: Scores) -> tuple[StudyModel | None, str]:
    """Numbers for series and studies from the validation pictures, and a sentence on them.

    Args:
        validation: scores by the calibrated model.
    """
    middle = float(np.median(validation.thresholds[:, 1]))
    try:
        model = fit_study_model(list_fit_series(validation), slice_middle=middle, data="validation")
    except DataError as error:
        return None, f"the model judges slices only, and no series and studies: {error}"
    return model, f"numbers for series and studies: fitted on {model.fitted_on}"


def complete_card(
    model: Path,
    card: Card,
    evaluation: Evaluation | None,
    check: FamiliarityCheck,
    *,
    split: str,
    sources: Collection[str],
    numbers: StudyModel | None = None,
) -> None:
    """Write into a model's card what its held-out pictures showed, and its numbers for studies.

    Args:
        model: its file.
        card: as it is.
        evaluation: of the held-out pictures.
        check: of their familiarity.
        split: how they were kept out of training.
        sources: of the held-out pictures.
        numbers: for series and studies, if any.
    """
    data = ", ".join(sorted(sources)) if len(sources) < 4 else f"{len(sources)} sources"
    figures = [] if evaluation is None else _list_figures(evaluation, data, split)
    failures = [] if check.passed else [check.words]
    told = msgspec.structs.replace(
        card, figures=figures, known_failures=[*card.known_failures, *failures]
    )
    studies = None if numbers is None else numbers.to_json()
    write_model(model, model, card=told, studies=studies, overwrite=True)


def _list_figures(evaluation: Evaluation, data: str, split: str) -> list[Figure]:
    measured = {one.name: one for one in evaluation.leading.estimates}
    return [
        Figure(
            name=name,
            data=data,
            split=split,
            value=round(one.value, 4),
            low=None if one.low is None else round(one.low, 4),
            high=None if one.high is None else round(one.high, 4),
            slices=one.n,
            groups=one.groups,
            command="tumorlens evaluate --scores RUN/scores.csv, RUN the folder of the training",
        )
        for name in CARD_FIGURES
        if (one := measured.get(name)) is not None and one.value is not None
    ]


def _score(job: Job, model: Path, manifest: Manifest, suspicious: bool = False) -> Scores:
    detector = Detector(model, threads=job.hardware.threads)
    is_seen = recall(detector.session) if suspicious else None
    scored = score_manifest(detector, manifest, job.count("scoring"), is_seen=is_seen)
    for failure in scored.failures:
        job.notice(f"not scored: {failure}")
    return scored.scores
