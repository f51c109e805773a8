"""Losses by hand, and cells that nobody annotated."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tumorlens.network.heads import Raw
from tumorlens.training.choices import LossChoice
from tumorlens.training.learning.batch import Batch
from tumorlens.training.learning.losses import (
    CellTargets,
    blend_losses,
    find_cell_targets,
    sum_losses,
)
from tumorlens.training.learning.teaching import TeacherOutputs
from tumorlens.training.rows.codes import (
    BRAIN_NONE,
    BRAIN_SHOWN,
    TUMOR_BOX,
    TUMOR_MASK,
    TUMOR_UNKNOWN,
)


def make_batch(tumor, kinds, weights=None):
    count = len(tumor)
    return Batch(
        images=torch.zeros(count, 1, 8, 8),
        annotation=torch.zeros(count, 1, 8, 8),
        tumor=torch.tensor(tumor, dtype=torch.float32),
        kinds=torch.tensor(kinds),
        weights=torch.ones(count) if weights is None else torch.tensor(weights),
        sources=torch.zeros(count, dtype=torch.int64),
        brain=torch.zeros(count, 1, 8, 8),
        looks=torch.full((count, 3), -1),
    )


def make_raw(picture, cells=None, types=None):
    count = len(picture)
    return Raw(
        torch.zeros(count, 2, 2) if cells is None else cells,
        torch.tensor(picture),
        torch.zeros(count, 1) if types is None else types,
        torch.tensor(2.0),
    )


NOTHING = CellTargets(torch.zeros(2, 2, 2), torch.zeros(2, 2, 2))


def softplus(x):
    return math.log1p(math.exp(x))


def test_picture_loss_by_hand():
    losses = sum_losses(make_raw([2.0, -1.0]), make_batch([1, 0], [-1, -1]), NOTHING, LossChoice())
    expected = (softplus(-2) + softplus(-1)) / 2
    assert losses.picture.item() == pytest.approx(expected, rel=1e-6)
    assert losses.total.item() == pytest.approx(expected, rel=1e-6)
    assert losses.cells == 0
    assert losses.types == 0


def test_label_smoothing_and_weights_by_hand():
    losses = sum_losses(
        make_raw([2.0, -1.0]),
        make_batch([1, 0], [-1, -1], [3.0, 1.0]),
        NOTHING,
        LossChoice(label_smoothing=0.2),
    )
    first = 0.9 * softplus(-2) + 0.1 * softplus(2)
    second = 0.1 * softplus(1) + 0.9 * softplus(-1)
    assert losses.picture.item() == pytest.approx((3 * first + second) / 2, rel=1e-6)


def test_cells_are_averaged_apart_by_hand():
    """One tumor cell weighs as much as seven without."""
    cells = torch.tensor([[[3.0, 0.0], [1.0, -2.0]], [[0.0, 0.0], [0.0, 5.0]]])
    positive = torch.zeros(2, 2, 2)
    positive[0, 0, 0] = 1
    negative = 1 - positive
    negative[1, 1, 1] = 0  # ignored
    losses = sum_losses(
        make_raw([0.0, 0.0], cells),
        make_batch([1, 0], [-1, -1]),
        CellTargets(positive, negative),
        LossChoice(cells=2.0),
    )
    clear = (softplus(0) * 4 + softplus(1) + softplus(-2)) / 6
    assert losses.cells.item() == pytest.approx(0.5 * (softplus(-3) + clear), rel=1e-6)
    assert losses.total.item() == pytest.approx((losses.picture + 2 * losses.cells).item())


def test_ignored_cells_and_unknown_types_give_no_gradient():
    cells = torch.randn(2, 2, 2, requires_grad=True)
    types = torch.randn(2, 3, requires_grad=True)
    positive, negative = torch.zeros(2, 2, 2), torch.zeros(2, 2, 2)
    positive[0, 0, 0] = negative[1, 0, 1] = 1
    losses = sum_losses(
        make_raw([0.0, 0.0], cells, types),
        make_batch([1, 0], [2, -1]),
        CellTargets(positive, negative),
        LossChoice(cells=1.0, types=1.0),
    )
    losses.total.backward()
    assert (cells.grad != 0).nonzero().tolist() == [[0, 0, 0], [1, 0, 1]]
    assert (types.grad[0] != 0).all()
    assert (types.grad[1] == 0).all()


def test_types_by_hand():
    types = torch.tensor([[2.0, 0.0, -1.0], [9.0, 9.0, 9.0]])
    losses = sum_losses(
        make_raw([0.0, 0.0], types=types),
        make_batch([1, 1], [0, -1]),
        NOTHING,
        LossChoice(types=1.0),
    )
    norm = math.log(math.exp(2) + 1 + math.exp(-1))
    surprise = [norm - value for value in (2.0, 0.0, -1.0)]
    expected = 0.95 * surprise[0] + 0.05 * sum(surprise) / 3
    assert losses.types.item() == pytest.approx(expected, rel=1e-5)


def test_a_batch_without_known_types_or_cells_gives_no_nan():
    losses = sum_losses(
        make_raw([0.0, 0.0]), make_batch([0, 0], [-1, -1]), NOTHING, LossChoice(cells=1, types=1)
    )
    assert torch.isfinite(losses.total)
    assert losses.cells == losses.types == 0


def targets_of(code, rows, columns, box_weight=0.5):
    """2 x 2 cells of 10 x 10 pixels; the code fills a corner of the first cell."""
    annotation = torch.zeros(1, 1, 20, 20)
    annotation[0, 0, :rows, :columns] = code
    found = find_cell_targets(annotation, (2, 2), box_weight)
    return found.positive[0].tolist(), found.negative[0].tolist()


@pytest.mark.parametrize(
    ("code", "rows", "columns", "positive", "negative"),
    [
        (TUMOR_MASK, 3, 10, 1.0, 0.0),  # 30 % of the cell
        (TUMOR_MASK, 2, 10, 0.0, 0.0),  # between: ignored
        (TUMOR_MASK, 0, 0, 0.0, 1.0),
        (TUMOR_BOX, 10, 10, 0.5, 0.0),
        (TUMOR_BOX, 9, 10, 0.0, 0.0),  # the rim of a box may be clear
        (TUMOR_UNKNOWN, 10, 10, 0.0, 0.0),
        (TUMOR_UNKNOWN, 1, 1, 0.0, 0.0),
    ],
)
def test_what_a_cell_is_known_to_be(code, rows, columns, positive, negative):
    found = targets_of(code, rows, columns)
    assert found[0] == [[positive, 0.0], [0.0, 0.0]]
    assert found[1] == [[negative, 1.0], [1.0, 1.0]]


def test_the_rest_of_a_tumor_picture_by_hand():
    cells = torch.zeros(2, 4, 4)
    cells[0, 3, 3] = 1.0
    negative = torch.ones(2, 4, 4)
    negative[0, 0, 0] = 0  # the tumor: its neighbours do not lie apart from it
    targets = CellTargets(1 - negative, negative)
    batch = make_batch([1, 0], [-1, -1])
    losses = sum_losses(make_raw([0.0, 0.0], cells), batch, targets, LossChoice(rest=1.0))
    evidence = math.log((math.exp(2 * 1.0) + 11) / 12) / 2
    assert losses.rest.item() == pytest.approx(softplus(evidence) / 2, rel=1e-5)
    assert losses.total.item() == pytest.approx((losses.picture + losses.rest).item())
    assert sum_losses(make_raw([0.0, 0.0], cells), batch, targets, LossChoice()).rest == 0


def test_no_rest_where_the_tumor_is_not_known_cell_by_cell():
    batch = make_batch([1, 1], [-1, -1])
    assert sum_losses(make_raw([0.0, 0.0]), batch, NOTHING, LossChoice(rest=1.0)).rest == 0


def test_the_distillation_loss_by_hand():
    outputs = TeacherOutputs(
        tumor=torch.tensor([0.9, 0.0]),
        types=torch.tensor([[0.6, 0.3], [0.0, 0.0]]),
        activation=torch.zeros(2, 4, 4),
    )
    raw = make_raw([2.0, -1.0], types=torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    losses = sum_losses(
        raw, make_batch([1, 0], [-1, -1]), NOTHING, LossChoice(teacher=2.0), teacher_outputs=outputs
    )
    picture = (0.9 * softplus(-2.0) + 0.1 * softplus(2.0) + softplus(-1.0)) / 2
    types = (0.6 * softplus(-1.0) + 0.3 * softplus(1.0)) / 2
    assert losses.teacher.item() == pytest.approx(picture + softplus(0.0) + types, rel=1e-5)
    assert losses.total.item() == pytest.approx(
        losses.picture.item() + 2 * losses.teacher.item(), rel=1e-5
    )


def test_losses_of_a_mixed_batch_are_blended():
    raw = make_raw([2.0, -1.0])
    one, other = (
        sum_losses(raw, make_batch(tumor, [-1, -1]), NOTHING, LossChoice())
        for tumor in ([1, 0], [0, 1])
    )
    mixed = blend_losses(one, other, 0.75)
    assert mixed.total.item() == pytest.approx(
        0.75 * one.total.item() + 0.25 * other.total.item(), rel=1e-6
    )


def test_cells_without_tumor_weigh_as_the_recipe_says():
    cells = torch.tensor([[[1.0, -1.0], [0.0, 0.0]]])
    targets = CellTargets(
        torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]), torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
    )
    raw, batch = make_raw([0.0], cells=cells), make_batch([1], [-1])
    for clear in (1.0, 4.0):
        losses = sum_losses(raw, batch, targets, LossChoice(cells=1.0, clear=clear))
        expected = 0.5 * (softplus(-1) + clear * softplus(-1))
        assert losses.cells.item() == pytest.approx(expected, rel=1e-6)


def test_the_brain_is_learned_where_it_is_known():
    raw = replace(make_raw([0.0]), brain=torch.tensor([[[2.0, 3.0], [-1.0, 5.0]]]))
    codes = torch.zeros(1, 1, 8, 8)
    codes[..., :4, :4] = BRAIN_SHOWN
    codes[..., 4:, :4] = BRAIN_NONE
    batch = replace(make_batch([0], [-1]), brain=codes)
    losses = sum_losses(raw, batch, NOTHING, LossChoice(brain=2.0))
    expected = 0.5 * (softplus(-2) + softplus(-1))
    assert losses.brain.item() == pytest.approx(expected, rel=1e-6)
    assert (losses.total - losses.picture).item() == pytest.approx(2 * expected, rel=1e-6)


def test_looks_are_learned_where_they_are_known():
    raw = replace(make_raw([0.0, 0.0]), looks=torch.zeros(2, 10))
    batch = replace(make_batch([0, 0], [-1, -1]), looks=torch.tensor([[0, -1, 1], [-1, -1, 0]]))
    losses = sum_losses(raw, batch, NOTHING, LossChoice(looks=1.0))
    assert losses.looks.item() == pytest.approx((math.log(3) + math.log(2)) / 3, rel=1e-6)
