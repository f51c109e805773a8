import pytest
import torch
from torch import nn

from tumorlens.errors import DataError
from tumorlens.network.assembly import TumorNetwork
from tumorlens.network.inheritance import load_model


def make_network(seed, **changes):
    torch.manual_seed(seed)
    return TumorNetwork(**{"types": 3, "head": "cells", "width": 0.35, "hidden": 16, **changes})


def test_a_network_says_what_the_model_file_says(exported):
    path, taught = exported.path, exported.deployed.network
    network = make_network(2).eval()
    assert load_model(network, path, torch.rand(16, 1, 64, 64)) == path.name
    images = torch.rand(4, 1, 64, 64)
    with torch.no_grad():
        found, expected = network(images), taught(images)
    torch.testing.assert_close(found.cells, expected.cells, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.types, expected.types, rtol=1e-3, atol=1e-4)


def test_training_goes_on_from_there(exported):
    path, taught = exported.path, exported.deployed.network
    network, images = make_network(2), torch.rand(32, 1, 64, 64)
    load_model(network, path, images)
    network.head.dropout = nn.Identity()
    with torch.no_grad():
        found, expected = network.train()(images), taught(images)
    apart = (found.cells - expected.cells).abs().mean() / expected.cells.std()
    assert apart < 0.1


def test_another_shape_is_refused_in_words(exported):
    with pytest.raises(DataError, match=r"network\.width"):
        load_model(make_network(2, width=0.5), exported.path, torch.rand(2, 1, 64, 64))


def test_what_is_no_model_is_refused(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match="give initial weights"):
        load_model(make_network(2), path, torch.rand(2, 1, 64, 64))
