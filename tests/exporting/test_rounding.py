"""Rounded weights make up for one another, and for what was rounded before them."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from convolved import write_convolved_model
from tumorlens.exporting.graphs import load_graph
from tumorlens.exporting.int8 import integers
from tumorlens.exporting.int8.rounding import compensate, round_weights, take_over
from tumorlens.model.session import Session


def measure_error(weights, steps, whole, shift, before, now):
    given = np.einsum("gnk,grk->grn", now, whole * steps[..., None]) + shift[..., None]
    return np.square(given - np.einsum("gnk,grk->grn", before, weights)).mean()


def draw_layer(groups, rows, size, samples=400):
    rng = np.random.default_rng(0)
    mixing = rng.normal(0, 1, (groups, 3, size))  # inputs have much in common
    inputs = rng.normal(0, 1, (groups, samples, 3)) @ mixing
    inputs += rng.normal(0, 0.1, inputs.shape) + 1
    weights = rng.normal(0, 1, (groups, rows, size))
    return inputs, weights, np.abs(weights).max(2) / 7


@pytest.mark.parametrize("shape", [(1, 5, 24), (6, 1, 9)], ids=["pointwise", "depthwise"])
def test_error_is_less_than_of_plain_rounding(shape):
    inputs, weights, steps = draw_layer(*shape)
    whole, shift = compensate(weights, steps, inputs, inputs)
    plain = np.round(weights / steps[..., None])
    ours = measure_error(weights, steps, whole, shift, inputs, inputs)
    theirs = measure_error(weights, steps, plain, 0 * shift, inputs, inputs)
    assert ours < theirs / 3
    assert (whole == np.round(whole)).all()
    assert np.abs(whole).max() <= 127


def test_a_change_of_the_inputs_is_taken_back():
    inputs, weights, steps = draw_layer(1, 5, 24)
    now = inputs * 1.2 - 0.5
    whole, shift = compensate(weights, steps, inputs, now)
    stale, old = compensate(weights, steps, inputs, inputs)
    ours = measure_error(weights, steps, whole, shift, inputs, now)
    assert ours < measure_error(weights, steps, stale, old, inputs, now) / 5


def shift_biases(path, steps):
    """As rounding would do it, but so far that anybody sees it."""
    graph = onnx.load(path)
    for value in graph.graph.initializer:
        if value.name.endswith("bias_quantized"):
            moved = numpy_helper.to_array(value) + np.int32(steps)
            value.CopyFrom(numpy_helper.from_array(moved, value.name))
    onnx.save(graph, path)


def find_logit(path, images):
    cells = Session(path, threads=1).run(np.concatenate(images)).activation
    return np.log(cells / (1 - cells))


def test_every_layer_of_a_network_comes_back(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    images = [rng.uniform(0, 1, (1, 1, 64, 64)).astype(np.float32) ** 2 for _ in range(24)]
    model = write_convolved_model(tmp_path / "model.onnx")
    for name in ("_share_equal", "_sign_weights"):  # what comes after rounding
        monkeypatch.setattr(integers, name, lambda graph: None)
    integers.convert(model, small := tmp_path / "small.onnx", images)
    wanted = find_logit(model, images)
    assert find_logit(small, images) == pytest.approx(wanted, abs=0.25)
    shift_biases(small, steps=400)
    assert abs((find_logit(small, images) - wanted).mean()) > 0.3
    graph = load_graph(small)
    round_weights(graph, load_graph(model), images)
    onnx.save(graph, small)
    assert find_logit(small, images) == pytest.approx(wanted, abs=0.25)


def test_a_float_graph_takes_the_rounded_weights_over(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.uniform(0, 1, (1, 1, 64, 64)).astype(np.float32) for _ in range(24)]
    path = write_convolved_model(tmp_path / "model.onnx")
    model, rounded_one = integers.fit_integers(path, images)
    before = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    rounded = take_over(model, rounded_one)
    after = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    layers = {node.name: node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert {layers[name] for name in rounded} >= {n for n in changed if n.endswith(".weight")}
    assert layers[rounded[-1]] in changed
    for name in changed:
        assert np.abs(before[name] - after[name]).max() < 0.1 * max(np.abs(before[name]).max(), 1)


@pytest.mark.parametrize("faint", [0.0, 1e-9])
def test_a_silent_channel_keeps_its_bias(tmp_path, faint):
    """Its largest weight sets the step that its bias is counted in."""
    rng = np.random.default_rng(0)
    images = [rng.uniform(0, 1, (1, 1, 64, 64)).astype(np.float32) for _ in range(24)]
    path = write_convolved_model(tmp_path / "model.onnx")
    graph = onnx.load(path)
    for one in graph.graph.initializer:
        values = numpy_helper.to_array(one).copy()
        if one.name == "h.weight":
            values[:3] *= faint
        elif one.name == "h.bias":
            values[:3] = 3.0
        one.CopyFrom(numpy_helper.from_array(values, one.name))
    onnx.save(graph, path)
    integers.convert(path, small := tmp_path / "small.onnx", images)
    assert find_logit(small, images) == pytest.approx(find_logit(path, images), abs=0.25)
