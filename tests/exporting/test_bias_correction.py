"""Means of channels come back to where they were."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from convolved import write_convolved_model
from tumorlens.exporting import integers
from tumorlens.exporting.bias_correction import correct_biases
from tumorlens.exporting.graphs import load_graph
from tumorlens.model.session import Session


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.uniform(0, 1, (1, 1, 64, 64)).astype(np.float32) ** 2 for _ in range(24)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_convolved_model(tmp_path_factory.mktemp("shift") / "model.onnx")


def shift_biases(path, steps):
    """As rounding would do it, but so far that anybody sees it."""
    graph = onnx.load(path)
    for value in graph.graph.initializer:
        if value.name.endswith("bias_quantized"):
            moved = numpy_helper.to_array(value) + np.int32(steps)
            value.CopyFrom(numpy_helper.from_array(moved, value.name))
    onnx.save(graph, path)


def mean_logit(path, images):
    cells = Session(path, threads=1).run(np.concatenate(images)).activation
    return float(np.log(cells / (1 - cells)).mean())


def test_shifted_biases_are_taken_back(model, images, tmp_path):
    small = tmp_path / "small.onnx"
    integers.convert(model, small, images)
    wanted, before = mean_logit(model, images), mean_logit(small, images)
    assert before == pytest.approx(wanted, abs=0.03)
    shift_biases(small, steps=400)
    shifted = mean_logit(small, images)
    assert abs(shifted - wanted) > 0.3
    graph = load_graph(small)
    correct_biases(graph, load_graph(model), images)
    onnx.save(graph, small)
    assert mean_logit(small, images) == pytest.approx(wanted, abs=0.03)
