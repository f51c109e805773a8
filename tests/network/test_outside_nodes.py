"""The output that tells what is no MRI of the brain, in the graph of a model file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models import write_tiny_model
from tumorlens.errors import ModelFileError
from tumorlens.model.session import Session
from tumorlens.network.outside_nodes import (
    DEPTHS,
    add_outside,
    measure_features,
    weigh_features,
)
from tumorlens.training.outside import OutsideFit, measure_outside


@pytest.fixture(scope="module")
def images():
    return torch.rand(5, 1, 64, 64, generator=torch.Generator().manual_seed(0)).numpy()


def make_answer(features, seed=0):
    rng = np.random.default_rng(seed)
    scale = features.std(0).mean()
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    return OutsideFit(0.1 * draw(features.shape[1], 7) / scale, draw(7), draw(11, 7), draw(11), 0.3)


def test_features_are_means_and_deviations_of_the_blocks(exported, images):
    found = measure_features(exported.path, [images[:2], images[2:]])
    network = exported.deployed.network
    x = (torch.from_numpy(images) - network.mean) / network.deviation
    wanted = []
    with torch.no_grad():
        for number, layer in enumerate(network.backbone.features):
            if number in DEPTHS:
                wanted += [x.mean((2, 3)), x.std((2, 3), unbiased=False)]
            x = layer(x)
    np.testing.assert_allclose(found, torch.cat(wanted, 1).numpy(), atol=1e-4, rtol=1e-3)


def test_each_depth_weighs_alike_however_many_channels_it_has(exported, images):
    blocks = weigh_features(exported.path)
    assert blocks.shape == measure_features(exported.path, [images]).shape[1:]
    assert (blocks**2).sum() == pytest.approx(sum(DEPTHS.values()))


def test_the_graph_computes_what_the_fit_says(exported, images, tmp_path):
    features = measure_features(exported.path, [images])
    answer = make_answer(features)
    add_outside(exported.path, tmp_path / "m.onnx", answer)
    before, after = Session(exported.path, threads=1), Session(tmp_path / "m.onnx", threads=1)
    assert before.run(images).outside is None
    found = after.run(images)
    np.testing.assert_allclose(found.outside, measure_outside(features, answer), atol=1e-5)
    assert found.outside.shape == (5,)
    for name in before.outputs:
        np.testing.assert_array_equal(getattr(found, name), getattr(before.run(images), name))
    assert (after.card, after.seen) == (before.card, before.seen)


def test_a_second_answer_replaces_the_first(exported, images, tmp_path):
    features = measure_features(exported.path, [images])
    first, second = make_answer(features), make_answer(features, seed=1)
    add_outside(exported.path, tmp_path / "once.onnx", second)
    add_outside(exported.path, tmp_path / "m.onnx", first)
    np.testing.assert_array_equal(measure_features(tmp_path / "m.onnx", [images]), features)
    add_outside(tmp_path / "m.onnx", tmp_path / "m.onnx", second, overwrite=True)
    assert (tmp_path / "m.onnx").read_bytes() == (tmp_path / "once.onnx").read_bytes()


def test_a_model_without_the_backbone_is_refused(tmp_path):
    path = write_tiny_model(tmp_path / "tiny.onnx")
    with pytest.raises(ModelFileError, match=r"features\.4\.conv\.0\.0.*tumorlens train wrote"):
        weigh_features(path)
