"""The terms of the training loss and their weighted sum.

The terms are image, cells, tumor type, brain, appearance, adversary and distillation.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from tumorlens.model.contract import LOOKS
from tumorlens.network.heads import Raw, pool_evidence
from tumorlens.training.choices import LossChoice
from tumorlens.training.learning.batch import Batch
from tumorlens.training.learning.teaching import TeacherOutputs, distillation_loss
from tumorlens.training.rows.codes import (
    BRAIN_NONE,
    BRAIN_SHOWN,
    TUMOR_BOX,
    TUMOR_MASK,
    TUMOR_NONE,
    TUMOR_UNKNOWN,
)

__all__ = ["LOSS_NAMES", "CellTargets", "Losses", "blend_losses", "find_cell_targets", "sum_losses"]

_POSITIVE = 0.3  # share of a cell that a tumor mask must cover to make the cell a tumor cell
_WHOLE = 0.6  # share of a cell that brain, or background, must cover to make its label known
_WORDS = [len(words) for words in LOOKS.values()]
_APART = 3  # side in cells of the square around a cell that must be free of tumor


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """The weighted sum ``total`` and its terms, each before its weight. All are scalars."""

    total: Tensor
    picture: Tensor
    cells: Tensor
    rest: Tensor
    types: Tensor
    brain: Tensor
    looks: Tensor
    sources: Tensor
    teacher: Tensor


LOSS_NAMES = tuple(field.name for field in fields(Losses))
"""The log and ``curves.csv`` have a column ``train_NAME`` for each."""


@dataclass(frozen=True, slots=True)
class CellTargets:
    """Weights of the cells as examples with and without tumor. Both are (N, h, w).

    Attributes:
        positive: 1 for a tumor cell known from a mask, less for one known from a box, else 0.
        negative: 1 for a cell known to show no tumor, else 0. A cell with 0 in both is ignored.
    """

    positive: Tensor
    negative: Tensor


def find_cell_targets(annotation: Tensor, cells: tuple[int, int], box_weight: float) -> CellTargets:
    """Turn the annotation codes of pixels, (N, 1, S, S), into the targets of cells."""

    def share(code: int) -> Tensor:
        covered = (annotation == code).to(torch.float32)
        return functional.adaptive_avg_pool2d(covered, cells).squeeze(1)

    mask, box, unknown = (share(code) for code in (TUMOR_MASK, TUMOR_BOX, TUMOR_UNKNOWN))
    by_mask = (mask >= _POSITIVE).to(torch.float32)
    by_box = ((box >= 0.95) & (mask < _POSITIVE)).to(torch.float32) * box_weight
    clear = (mask + box + unknown) <= TUMOR_NONE
    return CellTargets(positive=by_mask + by_box, negative=clear.to(torch.float32))


def sum_losses(
    raw: Raw,
    batch: Batch,
    targets: CellTargets,
    choice: LossChoice,
    *,
    guesses: Tensor | None = None,
    teacher_outputs: TeacherOutputs | None = None,
) -> Losses:
    """The loss of a batch.

    Args:
        raw: outputs of the network.
        batch: labels, types and weights of the images.
        targets: targets of the cells.
        choice: weights of the terms, from the recipe.
        guesses: (N, sources) logits of the adversary, if there is one.
        teacher_outputs: outputs of the teachers, if there are any.
    """
    nothing = raw.picture.new_zeros(())
    # A term is weighed by the key of the same name in the recipe's table `loss`. They are added in
    # this order: another order would round differently and change a training that is repeated.
    terms = {
        "picture": _picture_loss(raw, batch, choice),
        "cells": _cell_loss(raw.cells, targets, choice.clear) if choice.cells else nothing,
        "rest": _rest_loss(raw, batch, targets) if choice.rest else nothing,
        "types": _type_loss(raw, batch) if choice.types else nothing,
        "brain": nothing if raw.brain is None else _brain_loss(raw.brain, batch.brain),
        "looks": nothing if raw.looks is None else _appearance_loss(raw.looks, batch.looks),
        "sources": nothing if guesses is None else functional.cross_entropy(guesses, batch.sources),
        "teacher": nothing if teacher_outputs is None else distillation_loss(teacher_outputs, raw),
    }
    total = terms["picture"]
    for name, term in terms.items():
        total = total if name == "picture" else total + getattr(choice, name) * term
    return Losses(total=total, **terms)


def blend_losses(one: Losses, other: Losses, share: float) -> Losses:
    """The losses of a mixup batch: ``share`` times the one plus ``1 - share`` times the other."""
    return Losses(
        **{
            name: share * getattr(one, name) + (1 - share) * getattr(other, name)
            for name in LOSS_NAMES
        }
    )


def _picture_loss(raw: Raw, batch: Batch, choice: LossChoice) -> Tensor:
    smooth = batch.tumor * (1 - choice.label_smoothing) + choice.label_smoothing / 2
    return functional.binary_cross_entropy_with_logits(raw.picture, smooth, weight=batch.weights)


def _type_loss(raw: Raw, batch: Batch) -> Tensor:
    """Over the images whose tumor type is known."""
    known = batch.kinds >= 0
    if not bool(known.any()):
        return raw.picture.new_zeros(())
    return functional.cross_entropy(raw.types[known], batch.kinds[known], label_smoothing=0.05)


def _rest_loss(raw: Raw, batch: Batch, targets: CellTargets) -> Tensor:
    """Loss for evidence of a tumor in cells that lie away from the annotated tumor.

    These cells of a tumor slice are an example without tumor from the same source and sequence,
    so the source and the sequence cannot predict the label.
    """
    clear = -functional.max_pool2d(-targets.negative.unsqueeze(1), _APART, 1, _APART // 2)
    apart = clear.squeeze(1) > 0
    usable = (batch.tumor > 0) & (apart.flatten(1).float().mean(1) > 0.25)
    if not bool(usable.any()):
        return raw.picture.new_zeros(())
    evidence = pool_evidence(raw.cells[usable], raw.sharpness, apart[usable])
    return functional.softplus(evidence).sum() / len(batch.tumor)


def _cell_loss(cells: Tensor, targets: CellTargets, clear: float) -> Tensor:
    """Tumor cells and others are averaged separately, so that a small tumor weighs as much."""
    hit = functional.softplus(-cells) * targets.positive
    miss = functional.softplus(cells) * targets.negative
    return 0.5 * (
        hit.sum() / targets.positive.sum().clamp(min=1)
        + clear * miss.sum() / targets.negative.sum().clamp(min=1)
    )


def _brain_loss(logits: Tensor, codes: Tensor) -> Tensor:
    """Over cells mostly covered by brain or mostly by background; both kinds weigh the same."""
    shape = (logits.shape[1], logits.shape[2])
    shown, none = (
        (functional.adaptive_avg_pool2d((codes == code).float(), shape).squeeze(1) > _WHOLE).float()
        for code in (BRAIN_SHOWN, BRAIN_NONE)
    )
    hit, miss = functional.softplus(-logits) * shown, functional.softplus(logits) * none
    return 0.5 * (hit.sum() / shown.sum().clamp(min=1) + miss.sum() / none.sum().clamp(min=1))


def _appearance_loss(logits: Tensor, looks: Tensor) -> Tensor:
    """Mean loss over plane, sequence and skull, each over the images where it is known."""
    total = logits.new_zeros(())
    for number, part in enumerate(torch.split(logits, _WORDS, 1)):
        known = looks[:, number] >= 0
        if bool(known.any()):
            total = total + functional.cross_entropy(part[known], looks[known, number])
    return total / len(LOOKS)
