"""Ranges for eight bits: outliers are cut off where that pays."""

import numpy as np

from convolved import write_convolved_model
from tumorlens.exporting.graphs import load_graph
from tumorlens.exporting.int8.ranges import choose_ranges, shrink_range


def test_one_outlier_does_not_make_all_steps_coarse():
    values = np.random.default_rng(0).normal(0, 1, 100_000).astype(np.float32)
    low, high = shrink_range(np.append(values, np.float32(20)), -5.0, 20.0)
    assert high < 20
    assert low / -5.0 == high / 20.0


def test_a_flat_spread_keeps_its_ends():
    values = np.linspace(-1, 3, 10_000, dtype=np.float32)
    assert shrink_range(values, -1.0, 3.0) == (-1.0, 3.0)
    assert shrink_range(values * 0, 0.0, 0.0) == (0.0, 0.0)


def test_every_tensor_has_a_range_that_holds_zero(tmp_path):
    model = load_graph(write_convolved_model(tmp_path / "model.onnx"))
    images = [np.full((1, 1, 64, 64), level, np.float32) for level in (0.2, 0.9)]
    ranges = choose_ranges(model, ["image", "first", "first6", "last"], images)
    assert set(ranges) == {"image", "first", "first6", "last"}
    assert all(low <= 0 <= high for low, high in ranges.values())
    assert ranges["image"][1] <= np.float32(0.9)
    assert ranges["last"][0] < -5
