"""Adds to a model file the output that tells images which are no MRI of the brain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from tumorlens.network.outside_nodes import add_outside, measure_features, weigh_features
from tumorlens.progress import Notice
from tumorlens.training.finishing.embedding import draw_alike
from tumorlens.training.outside import FEWEST, fit_outside
from tumorlens.training.rows.prepared_rows import PreparedRows

__all__ = ["draw_examples", "measure_rows", "teach_strangers"]

Indices = npt.NDArray[np.intp]

_BRAINS = 120  # slices of a source and sequence
_STRANGERS = 1000  # images without brain, of a source and sequence


def teach_strangers(
    model: Path, prepared: PreparedRows, kept: Indices, seed: int, notice: Notice
) -> bool:
    """Fit the output on training images, and write it into the model file.

    Args:
        model: the file; written anew.
        prepared: all rows.
        kept: indices of those that were trained on.
        seed: seed of the choice among them.
        notice: called with a sentence on what was done.

    Returns:
        Whether there were enough images of both kinds.
    """
    chosen, brain = draw_examples(prepared, kept, seed)
    if min(np.count_nonzero(brain), np.count_nonzero(~brain)) < FEWEST:
        return False
    rows = [prepared.rows[index] for index in chosen]
    fit = fit_outside(
        measure_rows(model, prepared, chosen),
        brain,
        np.array([f"{row.source} {row.sequence}" for row in rows], object),
        np.array([row.group_key for row in rows], object),
        weigh_features(model),
        seed=seed,
    )
    add_outside(model, model, fit, overwrite=True)
    notice(
        f"images that are no MRI of the brain are told: learned from {np.count_nonzero(~brain)} of "
        f"them and {np.count_nonzero(brain)} slices with brain"
    )
    return True


def draw_examples(
    prepared: PreparedRows, kept: Indices, seed: int
) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """Indices of slices with brain and of images without, and which of them show brain.

    Slices without brain of a head that shows it elsewhere, such as a neck, serve neither side.
    """
    strange = prepared.find_strangers()[kept]
    shown = prepared.find_shown()[kept]
    brains = draw_alike(prepared, kept[shown & ~strange], seed, each=_BRAINS)
    others = draw_alike(prepared, kept[strange], seed, each=_STRANGERS)
    is_brain = np.concatenate([np.ones(len(brains), np.bool_), np.zeros(len(others), np.bool_)])
    return np.concatenate([brains, others]), is_brain


def measure_rows(model: Path, prepared: PreparedRows, chosen: Indices) -> npt.NDArray[np.float32]:
    """Features of prepared images, as the model file computes them."""
    parts = np.array_split(chosen, max(1, len(chosen) // 32))
    return measure_features(model, (prepared.take(part)[0].numpy() for part in parts))
