"""The exported file: what torch computes, what the contract asks, and nothing of this computer."""

from __future__ import annotations

import getpass
import re
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import tumorlens
from models import make_card
from tumorlens.errors import UsageError
from tumorlens.model.contract import SEEN_KEY, Calibration
from tumorlens.model.graph import read_calibration, write_model
from tumorlens.model.session import Session
from tumorlens.network.assembly import Deployed, Familiarity, TumorNetwork
from tumorlens.network.onnx_export import export_onnx

CALIBRATION = Calibration(1.5, -0.25, 0.75)
CLASSES = ["no_tumor", "glioma", "meningioma", "pituitary"]


def compare(deployed, path, count):
    images = torch.rand(count, 1, 64, 64)
    with torch.no_grad():
        wanted = deployed.eval()(images)
    found = Session(path, threads=1).run(images.numpy())
    for one, other in zip(
        (found.probabilities, found.activation, found.unfamiliarity), wanted, strict=True
    ):
        np.testing.assert_allclose(one, other.numpy(), atol=2e-5, rtol=1e-4)
    return found


@pytest.mark.parametrize("count", [1, 5])
def test_cells_compute_as_in_torch(exported, count):
    found = compare(*exported, count)
    assert found.probabilities.shape == (count, 4)
    assert found.activation.shape == (count, 8, 8)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.slow
def test_picture_head_computes_as_in_torch(tmp_path):
    """The calibration does nothing, and is there all the same."""
    torch.manual_seed(0)
    network = TumorNetwork(
        types=1, head="picture", width=0.35, hidden=16, dropout=0.3, padding="symmetric"
    )
    familiarity = Familiarity(torch.rand(network.embedding), torch.randn(network.embedding, 4))
    deployed = Deployed(network, familiarity, Calibration())
    export_onnx(deployed, make_card(), tmp_path / "m.onnx")
    found = compare(deployed, tmp_path / "m.onnx", 3)
    assert found.activation.shape == (3, 2, 2)
    assert read_calibration(tmp_path / "m.onnx") == Calibration()


def test_calibration_survives_under_its_names_and_can_be_rewritten(exported, tmp_path):
    deployed, path = exported
    assert read_calibration(path) == CALIBRATION
    write_model(path, tmp_path / "new.onnx", calibration=Calibration(3.0, 0.5, 0.1))
    changed = Deployed(deployed.network, deployed.familiarity, Calibration(3.0, 0.5, 0.1))
    compare(changed, tmp_path / "new.onnx", 2)


def test_the_file_tells_nothing_of_this_computer(exported):
    data = exported[1].read_bytes()
    package = Path(tumorlens.__file__).parent
    for word in (str(package.parent), str(Path.home()), ".py", "site-packages", "torch/nn"):
        assert word.encode() not in data, word
    if len(socket.gethostname()) > 5:
        assert socket.gethostname().encode() not in data
    if len(getpass.getuser()) > 5:
        assert getpass.getuser().encode() not in data
    assert not re.search(rb"pkg\.torch|stack_trace", data)


def test_card_and_fingerprints_travel_along(exported):
    session = Session(exported[1])
    assert session.card.classes == CLASSES
    assert session.seen == "fingerprints"
    keys = {entry.key for entry in onnx.load(exported[1]).metadata_props}
    assert keys == {"tumorlens.card", SEEN_KEY}


def test_an_existing_file_is_kept(exported):
    before = exported[1].read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        export_onnx(exported[0], make_card(), exported[1])
    assert exported[1].read_bytes() == before


def test_everything_is_typical_to_an_empty_familiarity():
    network = TumorNetwork(types=1, head="cells", width=0.35)
    assert (Familiarity.empty(network.embedding)(torch.rand(3, network.embedding)) == 0).all()


def test_familiarity_is_the_distance_from_the_mean():
    found = Familiarity(torch.tensor([1.0, 2.0]), torch.diag(torch.tensor([1.0, 0.5])))(
        torch.tensor([[1.0, 2.0], [4.0, 10.0]])
    )
    torch.testing.assert_close(found, torch.tensor([0.0, ((9 + 16) / 2) ** 0.5]))


def test_embeddings_are_means_and_deviations_by_hand():
    middle = torch.rand(2, 3, 4, 4)
    found = TumorNetwork.embed((torch.zeros(2), middle, torch.zeros(2)))
    expected = torch.cat([middle.mean((2, 3)), middle.std((2, 3), correction=0)], 1)
    torch.testing.assert_close(found, expected)


@pytest.fixture(scope="module")
def looking(tmp_path_factory):
    """A network that tells brain, plane, sequence and skull, and its file."""
    torch.manual_seed(0)
    network = TumorNetwork(
        types=1, head="cells", width=0.35, hidden=16, brain=True, looks=True, padding="same"
    )
    familiarity = Familiarity(torch.rand(network.embedding), torch.randn(network.embedding, 4))
    deployed = Deployed(network, familiarity, CALIBRATION)
    path = tmp_path_factory.mktemp("looking") / "model.onnx"
    export_onnx(deployed, make_card(), path)
    return deployed, path


def test_what_a_slice_looks_like_is_exported(looking):
    deployed, path = looking
    images = torch.rand(3, 1, 64, 64)
    with torch.no_grad():
        wanted = deployed.eval()(images)
    found = Session(path, threads=1).run(images.numpy())
    told = (found.probabilities, found.activation, found.unfamiliarity, found.brain)
    for one, other in zip((*told, found.plane, found.sequence, found.skull), wanted, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=2e-5, rtol=1e-4)
    assert found.brain.shape == found.activation.shape
    assert found.sequence.shape == (3, 5)
    np.testing.assert_allclose(found.plane.sum(axis=1), 1, rtol=1e-5)


def test_evidence_off_the_brain_counts_for_nothing(looking):
    deployed, _ = looking
    raw = deployed.network(torch.rand(2, 1, 64, 64))
    nowhere = replace(raw, brain=torch.full_like(raw.cells, -30.0)).without_outside()
    everywhere = replace(raw, brain=torch.full_like(raw.cells, 30.0)).without_outside()
    assert (nowhere.cells < raw.cells - 29).all()
    assert (nowhere.picture < -20).all()
    torch.testing.assert_close(everywhere.picture, raw.picture)


def test_a_cell_beside_the_brain_still_counts(looking):
    deployed, _ = looking
    raw = deployed.network(torch.rand(1, 1, 64, 64))
    brain = torch.full_like(raw.cells, -30.0)
    brain[0, 4, 4] = 30.0
    kept = replace(raw, brain=brain).without_outside().cells > raw.cells - 1
    assert kept[0, 3:6, 3:6].all()
    assert int(kept.sum()) == 9
