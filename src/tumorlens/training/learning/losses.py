"""What training minimises: the picture, the evidence per cell, the type of tumor."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from tumorlens.model.contract import LOOKS
from tumorlens.network.heads import Raw, pool_evidence
from tumorlens.training.choices import LossChoice
from tumorlens.training.learning.batch import Batch
from tumorlens.training.learning.teaching import Lesson, learn_from
from tumorlens.training.rows.codes import (
    BRAIN_NONE,
    BRAIN_SHOWN,
    TUMOR_BOX,
    TUMOR_MASK,
    TUMOR_NONE,
    TUMOR_UNKNOWN,
)

__all__ = ["CellTargets", "Losses", "blend_losses", "find_cell_targets", "sum_losses"]

_POSITIVE = 0.3  # share of a cell that tumor must cover to make it one
_WHOLE = 0.6  # share of a cell that brain, or none, must cover to tell what it is
_WORDS = [len(words) for words in LOOKS.values()]
_APART = 3  # cells of a square around a cell that must be clear for it to lie apart from a tumor


@dataclass(frozen=True, slots=True)
class Losses:
    """The parts and their weighted sum; all scalars."""

    total: Tensor
    picture: Tensor
    cells: Tensor
    rest: Tensor
    types: Tensor
    brain: Tensor
    looks: Tensor
    sources: Tensor
    teacher: Tensor


@dataclass(frozen=True, slots=True)
class CellTargets:
    """What is known of each cell, (N, h, w) each.

    Attributes:
        positive: weight of a cell that shows tumor: 1 by mask, less by box, 0 otherwise.
        negative: 1 for a cell that shows none, 0 otherwise. Cells with neither are ignored.
    """

    positive: Tensor
    negative: Tensor


def find_cell_targets(annotation: Tensor, cells: tuple[int, int], box_weight: float) -> CellTargets:
    """From codes a pixel, (N, 1, S, S), to what is known of each cell."""

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
    lesson: Lesson | None = None,
) -> Losses:
    """The loss of a batch.

    Args:
        raw: of the network.
        batch: labels, types and weights of the pictures.
        targets: of the cells.
        choice: of the recipe.
        guesses: (N, sources) logits of the adversary, if there is one.
        lesson: of the teachers, if there are any.
    """
    smooth = batch.tumor * (1 - choice.label_smoothing) + choice.label_smoothing / 2
    picture = functional.binary_cross_entropy_with_logits(raw.picture, smooth, weight=batch.weights)
    nothing = picture.new_zeros(())
    cells = _average_apart(raw.cells, targets, choice.clear) if choice.cells else nothing
    rest = _judge_rest(raw, batch, targets) if choice.rest else nothing
    known = batch.kinds >= 0
    types = nothing
    if choice.types and bool(known.any()):
        types = functional.cross_entropy(raw.types[known], batch.kinds[known], label_smoothing=0.05)
    brain = nothing if raw.brain is None else _judge_brain(raw.brain, batch.brain)
    looks = nothing if raw.looks is None else _judge_looks(raw.looks, batch.looks)
    sources = teacher = nothing
    if guesses is not None:
        sources = functional.cross_entropy(guesses, batch.sources)
    if lesson is not None:
        teacher = learn_from(lesson, raw)
    total = picture + choice.cells * cells + choice.rest * rest + choice.types * types
    total = total + choice.brain * brain + choice.looks * looks
    total = total + choice.sources * sources + choice.teacher * teacher
    return Losses(total, picture, cells, rest, types, brain, looks, sources, teacher)


def blend_losses(one: Losses, other: Losses, share: float) -> Losses:
    """Those of a mixed batch: ``share`` of the one, the rest of the other."""
    return Losses(
        *(
            share * getattr(one, field.name) + (1 - share) * getattr(other, field.name)
            for field in fields(Losses)
        )
    )


def _judge_rest(raw: Raw, batch: Batch, targets: CellTargets) -> Tensor:
    """Loss of calling the rest of a picture, away from its tumor, a tumor.

    A slice whose tumor is known cell by cell is a slice without tumor beside it, of the same
    source and sequence.
    """
    clear = -functional.max_pool2d(-targets.negative.unsqueeze(1), _APART, 1, _APART // 2)
    apart = clear.squeeze(1) > 0
    usable = (batch.tumor > 0) & (apart.flatten(1).float().mean(1) > 0.25)
    if not bool(usable.any()):
        return raw.picture.new_zeros(())
    evidence = pool_evidence(raw.cells[usable], raw.sharpness, apart[usable])
    return functional.softplus(evidence).sum() / len(batch.tumor)


def _average_apart(cells: Tensor, targets: CellTargets, clear: float) -> Tensor:
    """Positives and negatives averaged apart, so that few tumor cells weigh as much as many."""
    hit = functional.softplus(-cells) * targets.positive
    miss = functional.softplus(cells) * targets.negative
    return 0.5 * (
        hit.sum() / targets.positive.sum().clamp(min=1)
        + clear * miss.sum() / targets.negative.sum().clamp(min=1)
    )


def _judge_brain(logits: Tensor, codes: Tensor) -> Tensor:
    """Loss of cells that are known, nearly whole, to show brain or none; both weigh alike."""
    shape = (logits.shape[1], logits.shape[2])
    shown, none = (
        (functional.adaptive_avg_pool2d((codes == code).float(), shape).squeeze(1) > _WHOLE).float()
        for code in (BRAIN_SHOWN, BRAIN_NONE)
    )
    hit, miss = functional.softplus(-logits) * shown, functional.softplus(logits) * none
    return 0.5 * (hit.sum() / shown.sum().clamp(min=1) + miss.sum() / none.sum().clamp(min=1))


def _judge_looks(logits: Tensor, looks: Tensor) -> Tensor:
    """Mean loss over plane, sequence and skull, each over the pictures of which it is known."""
    total = logits.new_zeros(())
    for number, part in enumerate(torch.split(logits, _WORDS, 1)):
        known = looks[:, number] >= 0
        if bool(known.any()):
            total = total + functional.cross_entropy(part[known], looks[known, number])
    return total / len(LOOKS)
