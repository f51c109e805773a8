import onnx
import onnx.numpy_helper
import pytest
import torch
from torch import nn

from tumorlens.errors import DataError
from tumorlens.network.assembly import TumorNetwork
from tumorlens.network.inheritance import load_models


def make_network(seed, **changes):
    torch.manual_seed(seed)
    return TumorNetwork(**{"types": 3, "head": "cells", "width": 0.35, "hidden": 16, **changes})


def test_a_network_says_what_the_model_file_says(exported):
    path, taught = exported.path, exported.deployed.network
    network = make_network(2).eval()
    network.head.sharpen(9.0)
    assert load_models(network, [path], torch.rand(16, 1, 64, 64)) == path.name
    images = torch.rand(4, 1, 64, 64)
    with torch.no_grad():
        found, expected = network(images), taught(images)
    torch.testing.assert_close(found.cells, expected.cells, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.types, expected.types, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.picture, expected.picture, rtol=1e-3, atol=1e-4)


def test_training_goes_on_from_there(exported):
    path, taught = exported.path, exported.deployed.network
    network, images = make_network(2), torch.rand(32, 1, 64, 64)
    load_models(network, [path], images)
    network.head.dropout = nn.Identity()
    with torch.no_grad():
        found, expected = network.train()(images), taught(images)
    apart = (found.cells - expected.cells).abs().mean() / expected.cells.std()
    assert apart < 0.1


def test_several_models_give_the_mean_of_their_weights(exported, tmp_path):
    def shift(file):
        model = onnx.load(exported.path)
        for one in model.graph.initializer:
            if one.name == "network.head.tumor.bias":
                one.CopyFrom(
                    onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(one) + 3, one.name)
                )
        onnx.save(model, file)
        return file

    network = make_network(2).eval()
    paths = [exported.path, shift(tmp_path / "shifted.onnx"), exported.path]
    said = load_models(network, paths, torch.rand(16, 1, 64, 64))
    assert said == "the mean of 3 models: model.onnx, shifted.onnx, model.onnx"
    images = torch.rand(4, 1, 64, 64)
    with torch.no_grad():
        found, expected = network(images), exported.deployed.network(images)
    torch.testing.assert_close(found.cells, expected.cells + 1, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.picture, expected.picture + 1, rtol=1e-3, atol=1e-3)


def test_another_shape_is_refused_in_words(exported):
    with pytest.raises(DataError, match=r"network\.width"):
        load_models(make_network(2, width=0.5), [exported.path], torch.rand(2, 1, 64, 64))


def test_what_is_no_model_is_refused(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match="give initial weights"):
        load_models(make_network(2), [path], torch.rand(2, 1, 64, 64))
