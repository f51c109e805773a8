"""The moving average of the weights is what a phase leaves, wherever it broke."""

from __future__ import annotations

import numpy as np
import torch

from painter import write_manifest
from tiny_training import make_recipe
from tumorlens.data.manifest import read_data
from tumorlens.training.hardware import Hardware
from tumorlens.training.learning.module import build_network
from tumorlens.training.learning.phases import run_phases
from tumorlens.training.rows.preparing import prepare_rows


def test_a_break_behind_the_last_checkpoint_still_leaves_the_average(tmp_path):
    recipe = make_recipe(phases=make_recipe().to_record()["phases"][1:])
    manifest = read_data(write_manifest(tmp_path / "data", 12))
    prepared, _ = prepare_rows(manifest, recipe.input, tmp_path, types=["tumor"])

    def train():
        network = build_network(recipe)
        run_phases(
            network,
            recipe,
            prepared=prepared,
            training=np.arange(16),
            validation=np.arange(16, 24),
            folder=tmp_path,
            hardware=Hardware(threads=1),
        )
        return network.state_dict()

    whole = train()
    (tmp_path / "checkpoints" / "0.pt").unlink()
    again = train()
    assert [name for name in whole if not torch.equal(whole[name], again[name])] == []
