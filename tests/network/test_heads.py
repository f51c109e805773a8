"""Heads: from cells to the picture, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from tumorlens.network.assembly import TumorNetwork
from tumorlens.network.heads import DeepCellHead, FineCellHead, PooledHead


def make_pyramid(batch=2, seed=0):
    torch.manual_seed(seed)
    return tuple(
        torch.rand(batch, channels, side, side) for channels, side in ((16, 8), (32, 4), (1280, 2))
    )


def test_cells_are_pooled_by_log_sum_exp():
    head = FineCellHead(0.35, 16, 3, 0.0).eval()
    raw = head(make_pyramid())
    assert raw.cells.shape == (2, 8, 8)
    assert raw.types.shape == (2, 3)
    sharpness = functional.softplus(head.sharpness).item() + 0.5
    for cells, picture in zip(raw.cells, raw.picture, strict=True):
        mean = sum(math.exp(sharpness * value) for value in cells.flatten().tolist()) / 64
        assert picture.item() == pytest.approx(math.log(mean) / sharpness, abs=1e-5)


CELL_HEADS = pytest.mark.parametrize("head", [FineCellHead, DeepCellHead])


@CELL_HEADS
def test_the_picture_lies_between_mean_and_largest_cell(head):
    raw = head(0.35, 16, 1, 0.0).eval()(make_pyramid())
    assert (raw.picture <= raw.cells.amax(dim=(1, 2))).all()
    assert (raw.picture >= raw.cells.mean(dim=(1, 2)) - 1e-6).all()


@CELL_HEADS
def test_an_untrained_cell_head_finds_no_tumor(head):
    raw = head(0.35, 16, 1, 0.0).eval()(make_pyramid())
    assert (raw.picture < 0).all()


def test_a_deep_cell_hears_the_features_of_its_place_at_two_strides():
    head = DeepCellHead(0.35, 16, 3, 0.0, brain=True, looks=10).eval()
    fine, middle, coarse = make_pyramid(batch=1)
    raw = head((fine, middle, coarse))
    assert raw.cells.shape == raw.brain.shape == (1, 4, 4)
    assert raw.looks.shape == (1, 10) and raw.types.shape == (1, 3)
    torch.testing.assert_close(head((fine + 1, middle, coarse)).cells, raw.cells)
    changed = middle.clone()
    changed[0, :, 0, 3] += 1
    moved = (head((fine, changed, coarse)).cells - raw.cells)[0] != 0
    assert moved.nonzero().tolist() == [[0, 3]]
    assert (head((fine, middle, coarse + 1)).cells != raw.cells).all()


def test_picture_head_decides_on_the_mean_and_its_cells_on_each_place():
    head = PooledHead(0.35, 16, 2, 0.5).eval()
    pyramid = make_pyramid()
    raw = head(pyramid)
    assert raw.cells.shape == (2, 2, 2)
    one_cell = head((pyramid[0], pyramid[1], pyramid[2][:, :, :1, :1]))
    torch.testing.assert_close(one_cell.picture, raw.cells[:, 0, 0])


@pytest.mark.parametrize(
    ("normalization", "white", "black"),
    [
        ("tensorflow", (1.0, 1.0, 1.0), (-1.0, -1.0, -1.0)),
        ("torchvision", (2.2489, 2.4286, 2.64), (-2.1179, -2.0357, -1.8044)),
    ],
)
def test_normalization_is_that_of_the_weights(normalization, white, black, monkeypatch):
    network = TumorNetwork(types=1, head="cells", width=0.35, normalization=normalization)
    seen = []
    monkeypatch.setattr(network.backbone, "pyramid", seen.append)
    network.features(torch.ones(1, 1, 32, 32))
    network.features(torch.zeros(1, 1, 32, 32))
    for found, wanted in zip(seen, (white, black), strict=True):
        assert found.shape == (1, 3, 32, 32)
        assert found[0, :, 0, 0].tolist() == pytest.approx(wanted, abs=1e-3)


def test_constants_are_no_part_of_the_weights():
    """A moving average takes buffers along; constants must not drift with it."""
    network = TumorNetwork(types=1, head="cells", width=0.35)
    names = [name for name, _ in network.named_buffers()]
    assert all("running" in name or "num_batches" in name for name in names)
