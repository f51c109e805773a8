"""The card of a new model: a draft from the training data, then the results of the test."""

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
from tumorlens.evaluation.results import Evaluation
from tumorlens.model.card import Card, DataTerms, Figure, OperatingPoint, Training
from tumorlens.model.graph import write_model
from tumorlens.studies.study_model import StudyModel
from tumorlens.training.ancestry import Ancestor, join_terms
from tumorlens.training.familiarity import FamiliarityCheck
from tumorlens.training.recipe import Recipe
from tumorlens.training.rows.prepared_rows import PreparedRows
from tumorlens.version import __version__

__all__ = ["CARD_FIGURES", "complete_card", "draft_card"]

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
"""Figures of the test rows that the card of a model holds from the start."""


def draft_card(
    recipe: Recipe,
    prepared: PreparedRows,
    training: npt.NDArray[np.intp],
    *,
    fingerprint: str,
    ancestors: Sequence[Ancestor],
    left_out: dict[str, int],
    removed: dict[str, int],
    seconds: float,
) -> Card:
    """Make the card of a model that was not tested yet.

    Args:
        recipe: as used.
        prepared: all rows that could be read.
        training: indices of those that were trained on.
        fingerprint: of the rows that may be trained on.
        ancestors: models that it started from or was taught by.
        left_out: name -> rows that were left out on request.
        removed: reason -> rows that were not trained on.
        seconds: duration of all epochs.
    """
    sources = Counter(prepared.rows[index].source for index in training)
    own = [
        DataTerms(data=name, terms=known.terms)
        for name, known in SETS.items()
        if sources.keys() & set(known.sources)
    ]
    return Card(
        schema=1,
        name=f"tumorlens-{recipe.name}",
        version=__version__,
        created=date.today().isoformat(),
        license=recipe.license,
        classes=recipe.network.classes,
        tumor_classes=recipe.network.classes[1:],
        preprocess=recipe.input,
        operating_points={"balanced": OperatingPoint(low=0.5, middle=0.5, high=0.5)},
        cell_threshold=0.5,
        intended_use=_INTENDED_USE,
        training=Training(
            recipe=recipe.to_record(),
            fingerprint=fingerprint,
            sources=dict(sources),
            groups=len({prepared.rows[index].group_key for index in training}),
            left_out=left_out,
            removed=removed,
            seconds=round(seconds, 1),
            versions={"tumorlens": __version__, "torch": str(torch.__version__)},
            learned_from=[one.name for one in ancestors],
        ),
        data_terms=join_terms(own, ancestors),
    )


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
    """Write the results of the test into a model's card, and the numbers for studies into its file.

    Args:
        model: its file.
        card: as it is.
        evaluation: figures of the test rows.
        check: how many validation and test rows are unfamiliar.
        split: how the test rows were kept out of training.
        sources: of the test rows.
        numbers: numbers for series and studies, if any.
    """
    data = ", ".join(sorted(sources)) if len(sources) < 4 else f"{len(sources)} sources"
    if evaluation is not None and evaluation.optimism:
        split = f"{split}, but SEEN in training"
    optimism = "" if evaluation is None else evaluation.optimism
    figures = [] if evaluation is None else _list_figures(evaluation, data, split)
    failures = [] if check.passed else [check.words]
    if optimism:  # a model that it started or learned from may have seen the test rows
        failures.append(f"The figures of this card do not hold for new patients: {optimism}.")
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
