"""The moving average of the weights is what a phase leaves, wherever it broke."""

from __future__ import annotations

import torch

from painter import write_manifest
from tiny_training import make_recipe, train_phases
from tumorlens.data.manifest import read_data
from tumorlens.training.rows.preparing import prepare_rows


def test_a_break_behind_the_last_checkpoint_still_leaves_the_average(tmp_path):
    recipe = make_recipe(phases=make_recipe().to_record()["phases"][1:])
    manifest = read_data(write_manifest(tmp_path / "data", 12))
    prepared, _ = prepare_rows(manifest, recipe.input, tmp_path, types=["tumor"])

    whole = train_phases(prepared, tmp_path, recipe)
    (tmp_path / "checkpoints" / "0.pt").unlink()
    again = train_phases(prepared, tmp_path, recipe)
    assert [name for name in whole if not torch.equal(whole[name], again[name])] == []
