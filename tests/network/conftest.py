"""One exported network for all files here: torch takes ten seconds to export one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from models import make_card
from tumorlens.model.contract import Calibration
from tumorlens.network.assembly import Deployed, Familiarity, TumorNetwork
from tumorlens.network.onnx_export import export_onnx

CLASSES = ["no_tumor", "glioma", "meningioma", "pituitary"]


class Exported(NamedTuple):
    """A network in evaluation, and its model file."""

    deployed: Deployed
    path: Path


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Four classes, cells, and norms with statistics of their own."""
    torch.manual_seed(0)
    network = TumorNetwork(types=3, head="cells", width=0.35, hidden=16, dropout=0.3).train()
    for _ in range(3):
        network(torch.rand(4, 1, 64, 64))
    familiarity = Familiarity(torch.rand(network.embedding), torch.randn(network.embedding, 4))
    deployed = Deployed(network, familiarity, Calibration(1.5, -0.25, 0.75)).eval()
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    card = make_card(classes=CLASSES, tumor_classes=CLASSES[1:])
    export_onnx(deployed, card, path, seen="fingerprints")
    return Exported(deployed, path)
