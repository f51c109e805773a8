import pytest
import torch
from torch import nn

from models import make_card
from tumorlens.errors import DataError
from tumorlens.model.contract import Calibration
from tumorlens.network.assembly import Deployed, Familiarity, TumorNetwork
from tumorlens.network.inheritance import load_model
from tumorlens.network.onnx_export import export_onnx


def make_network(seed, **changes):
    torch.manual_seed(seed)
    return TumorNetwork(**{"types": 3, "head": "cells", "width": 0.35, "hidden": 16, **changes})


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    network = make_network(1).train()
    for _ in range(3):  # norms with statistics of their own
        network(torch.rand(4, 1, 64, 64))
    network.eval()
    card = make_card()
    deployed = Deployed(network, Familiarity.empty(network.embedding), Calibration())
    export_onnx(deployed, card, path)
    return path, network


def test_a_network_says_what_the_model_file_says(file):
    path, taught = file
    network = make_network(2).eval()
    assert load_model(network, path, torch.rand(16, 1, 64, 64)) == path.name
    images = torch.rand(4, 1, 64, 64)
    with torch.no_grad():
        found, expected = network(images), taught(images)
    torch.testing.assert_close(found.cells, expected.cells, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.types, expected.types, rtol=1e-3, atol=1e-4)


def test_training_goes_on_from_there(file):
    path, taught = file
    network, images = make_network(2), torch.rand(32, 1, 64, 64)
    load_model(network, path, images)
    network.head.dropout = nn.Identity()
    with torch.no_grad():
        found, expected = network.train()(images), taught(images)
    apart = (found.cells - expected.cells).abs().mean() / expected.cells.std()
    assert apart < 0.1


def test_another_shape_is_refused_in_words(file):
    with pytest.raises(DataError, match=r"network\.width"):
        load_model(make_network(2, width=0.5), file[0], torch.rand(2, 1, 64, 64))


def test_what_is_no_model_is_refused(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(DataError, match="give initial weights"):
        load_model(make_network(2), path, torch.rand(2, 1, 64, 64))
