"""Phases on a CPU: the same bits every time, also after a break."""

from __future__ import annotations

import csv
import re
import shutil
import signal
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from limits_of_disk import small_files
from painter import write_manifest
from tiny_training import make_recipe
from tiny_training import train_phases as train
from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.errors import DataError, RecipeError, UsageError
from tumorlens.training.hardware import Hardware
from tumorlens.training.journal import CURVES
from tumorlens.training.learning.dataset import Draws
from tumorlens.training.learning.losses import Losses
from tumorlens.training.learning.module import build_network
from tumorlens.training.learning.telling import measure_auc
from tumorlens.training.rows.preparing import prepare_rows
from tumorlens.training.tracking.curve_files import CurveWriter
from tumorlens.training.tracking.experiment_logs import Tracking


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    near, far = (write_manifest(folder / name, 6, source=name) for name in ("near", "far"))
    manifest = merge_manifests([read_data(near), read_data(far)])
    rows, unreadable = prepare_rows(manifest, make_recipe().input, folder, types=["tumor"])
    assert not unreadable
    return rows


def read_curves(folder):
    with (folder / CURVES).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def drop_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def differing(first, second):
    return [name for name in first if not torch.equal(first[name], second[name])]


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """A training that nobody broke: its weights and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return train(prepared, folder), folder


def test_a_repeated_training_gives_the_same_bits(prepared, whole, tmp_path):
    assert differing(whole[0], train(prepared, tmp_path)) == []


def test_another_seed_gives_other_weights(prepared, whole, tmp_path):
    recipe = make_recipe(seed=1, phases=make_recipe().to_record()["phases"][:1])
    assert differing(whole[0], train(prepared, tmp_path, recipe))


def test_the_first_phase_moves_the_head_alone(prepared, tmp_path):
    recipe = make_recipe(average=0.0, phases=make_recipe().to_record()["phases"][:1])
    torch.manual_seed(recipe.seed)
    before = build_network(recipe).state_dict()
    changed = differing(before, train(prepared, tmp_path, recipe))
    assert changed
    assert all(name.startswith("head.") for name in changed)


@pytest.mark.slow
@pytest.mark.parametrize("patience", [0, 3])
def test_two_processes_train_one_network_and_leave_it_here(prepared, tmp_path, patience):
    """On a CPU, with a moving average; what comes back is what lies in the folder."""
    phase = {**make_recipe().to_record()["phases"][1], "schedule": "constant"}
    recipe = make_recipe(phases=[phase | {"patience": patience}])
    torch.manual_seed(recipe.seed)
    before = build_network(recipe).state_dict()
    pictures = np.array(prepared.images)
    tracking = Tracking(("csv",), tmp_path / "logs")
    state = train(
        prepared, tmp_path, recipe, hardware=Hardware(devices=2, threads=1), tracking=tracking
    )
    changed = differing(before, state)
    assert any(name.startswith("backbone.") for name in changed)
    assert any(name.startswith("head.") for name in changed)
    name = f"checkpoints/{'best-0' if patience else '0'}.ckpt"
    kept = torch.load(tmp_path / name, weights_only=True)["state_dict"]
    kept = {key.removeprefix("network."): value for key, value in kept.items()}
    assert differing({key: kept[key] for key in state}, state) == []
    assert [row["epoch"] for row in read_curves(tmp_path)] == ["1", "2"]
    with (tmp_path / "logs/csv/metrics.csv").open(newline="") as stream:
        assert [row["step"] for row in csv.DictReader(stream)] == ["1", "2"]  # the first logs alone
    np.testing.assert_array_equal(prepared.images, pictures)


def test_curves_have_a_line_an_epoch(whole):
    rows = read_curves(whole[1])
    assert [(row["phase"], row["epoch"]) for row in rows] == [
        ("head", "1"),
        ("all", "1"),
        ("all", "2"),
    ]
    assert {f"train_{field.name}" for field in fields(Losses)} < set(rows[0])
    for row in rows:
        assert 0 < float(row["train_total"]) < 20
        assert 0 < float(row["validation_total"]) < 20
        assert 0 <= float(row["validation_auc"]) <= 1
        assert float(row["train_cells"]) > 0
        assert float(row["train_sources"]) > 0
        assert float(row["learning_rate"]) > 0


MAKE_BATCH = Draws._make_batch


def break_with(error, epoch=1):
    """A batch that raises, once: what Ctrl-C or a full disk looks like from inside."""

    def make_batch(draws, order, start):
        if draws.phase == 1 and draws.epoch == epoch and start > 0:
            raise error
        return MAKE_BATCH(draws, order, start)

    return make_batch


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), ValueError("broken")], ids=["ctrl-c", "error"]
)
def test_a_broken_training_resumes_to_the_same_bits(prepared, whole, tmp_path, monkeypatch, error):
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(Draws, "_make_batch", break_with(error))
        with pytest.raises(type(error)):
            train(prepared, tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "checkpoints/0.pt").exists()
    assert not (tmp_path / "checkpoints/1.pt").exists()
    assert differing(whole[0], train(prepared, tmp_path)) == []
    assert drop_seconds(read_curves(tmp_path)) == drop_seconds(read_curves(whole[1]))


def test_a_plateau_with_patience_resumes_to_the_same_bits(prepared, tmp_path, monkeypatch):
    """The state of every callback and schedule is kept in plain numbers and texts."""
    head, rest = make_recipe().to_record()["phases"]
    rest = {**rest, "schedule": "plateau", "patience": 5, "epochs": 3}
    recipe = make_recipe(phases=[head, rest])
    unbroken = train(prepared, tmp_path / "whole", recipe)
    with monkeypatch.context() as patch:
        patch.setattr(Draws, "_make_batch", break_with(ValueError("broken"), epoch=2))
        with pytest.raises(ValueError, match="broken"):
            train(prepared, tmp_path / "broken", recipe)
    assert differing(unbroken, train(prepared, tmp_path / "broken", recipe)) == []


class Payload:
    """What a pickle may do to whoever opens it."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("name", ["0.pt", "0.ckpt"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "among weights"])
def test_a_planted_checkpoint_runs_nothing(prepared, whole, tmp_path, name, wrapped):
    checkpoints = tmp_path / "run" / "checkpoints"
    checkpoints.mkdir(parents=True)
    payload = Payload(tmp_path / "ran")
    content = torch.load(whole[1] / "checkpoints" / name, weights_only=True) if wrapped else None
    torch.save({**content, "more": payload} if wrapped else payload, checkpoints / name)
    with pytest.raises(DataError, match=rf"{name}: .*none of its code was run .*remove it"):
        train(prepared, tmp_path / "run")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [{"a": torch.zeros(2)}, [1, 2]], ids=["others", "a list"])
def test_weights_of_another_network_are_told(prepared, tmp_path, content):
    (tmp_path / "checkpoints").mkdir()
    torch.save(content, tmp_path / "checkpoints/0.pt")
    with pytest.raises(DataError, match=r"0\.pt: does not hold the weights of this run"):
        train(prepared, tmp_path)


def test_a_checkpoint_cut_short_is_told(prepared, whole, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    data = (whole[1] / "checkpoints/0.pt").read_bytes()
    (tmp_path / "checkpoints/0.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"0\.pt: is damaged"):
        train(prepared, tmp_path)


def test_a_phase_that_broke_in_its_first_epoch_begins_alike(prepared, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Draws, "_make_batch", break_with(ValueError("broken"), epoch=0))
        with pytest.raises(ValueError, match="broken"):
            train(prepared, tmp_path)
    torch.manual_seed(99)
    assert differing(whole[0], train(prepared, tmp_path)) == []


def test_a_break_before_the_first_checkpoint_starts_anew(prepared, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            CurveWriter,
            "on_train_epoch_end",
            _write_and_break(CurveWriter.on_train_epoch_end),
        )
        with pytest.raises(ValueError, match="after the line"):
            train(prepared, tmp_path)
    assert len(read_curves(tmp_path)) == 1
    assert differing(whole[0], train(prepared, tmp_path)) == []
    assert drop_seconds(read_curves(tmp_path)) == drop_seconds(read_curves(whole[1]))


def _write_and_break(write):
    def broken(*given):
        write(*given)
        raise ValueError("after the line")

    return broken


def test_patience_keeps_the_best_epoch(prepared, tmp_path):
    phase = {"name": "stalls", "epochs": 9, "draws": 8, "learning_rate": 1e-9, "patience": 1}
    state = train(prepared, tmp_path, make_recipe(average=0.0, phases=[phase]))
    losses = [float(row["validation_total"]) for row in read_curves(tmp_path)]
    assert len(losses) < 9
    best = torch.load(tmp_path / "checkpoints/best-0.ckpt", weights_only=True)
    assert best["epoch"] == int(np.argmin(losses))
    kept = {name.removeprefix("network."): value for name, value in best["state_dict"].items()}
    assert differing(state, kept) == []


def test_a_run_begun_with_fewer_columns_keeps_them(prepared, whole, tmp_path):
    """As an older version left it, broken before its last phase."""
    folder = tmp_path / "older"
    shutil.copytree(whole[1], folder)
    (folder / "checkpoints" / "1.pt").unlink()
    (folder / "checkpoints" / "1.ckpt").unlink()
    rows = [row for row in read_curves(folder) if row["phase"] == "head"]
    older = [name for name in rows[0] if name != "train_teacher"]
    with (folder / CURVES).open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, older, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    train(prepared, folder)
    assert [list(row) for row in read_curves(folder)] == [older] * 3
    assert all(float(row["seconds"]) >= 0 for row in read_curves(folder))


def test_full_disk_says_what_to_do_and_resumes(prepared, whole, tmp_path):
    """Curves fit under the limit, checkpoints do not."""
    with (
        small_files(200_000),
        pytest.raises(DataError, match=r"cannot be written .*the same command again: it resumes"),
    ):
        train(prepared, tmp_path)
    assert not list((tmp_path / "checkpoints").glob("*.pt*"))
    assert differing(whole[0], train(prepared, tmp_path)) == []


def test_a_training_that_a_cluster_ends_has_not_ended_well(prepared, tmp_path):
    def end(words):
        if "epoch 1 of" in words:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        train(prepared, tmp_path / "run", notice=end)
    assert ended.value.code == 128 + signal.SIGTERM
    assert not list((tmp_path / "run/checkpoints").glob("*.pt"))


def test_a_loss_that_is_no_number_ends_the_training(prepared, tmp_path):
    phase = {"name": "wild", "epochs": 3, "draws": 16, "learning_rate": 1e25}
    with pytest.raises(RecipeError, match=r"wild, epoch 1 of 3: the loss is no number .*=1e\+24"):
        train(prepared, tmp_path / "run", make_recipe(phases=[phase]))


def test_each_phase_and_each_epoch_has_a_line(prepared, whole, tmp_path):
    said, counted = [], []

    def count(what, done, total):
        counted.append((what, done, total))

    state = train(prepared, tmp_path, notice=said.append, progress=count)
    assert differing(whole[0], state) == []  # who listens changes nothing
    assert said[0] == "phase 1 of 2, head: 1 epoch"
    assert said[2] == "phase 2 of 2, all: 2 epochs"
    line = r"loss \d\.\d{3}, validation: loss \d\.\d{3}, AUC \d\.\d{3}, \d+ s"
    for words, begin in zip(
        (said[1], said[3], said[4]),
        ("head, epoch 1 of 1", "all, epoch 1 of 2", "all, epoch 2 of 2"),
        strict=True,
    ):
        assert re.fullmatch(f"{begin}: {line}", words)
    assert counted == [
        ("head, epoch 1 of 1", 1, 2),
        ("head, epoch 1 of 1", 2, 2),
        *(("all, epoch 1 of 2", done, 2) for done in (1, 2)),
        *(("all, epoch 2 of 2", done, 2) for done in (1, 2)),
    ]
    auc = read_curves(tmp_path)[0]["validation_auc"]
    assert f"AUC {float(auc):.3f}" in said[1]


def test_a_resumed_phase_says_what_is_left(prepared, tmp_path, monkeypatch):
    said = []
    with monkeypatch.context() as patch:
        patch.setattr(Draws, "_make_batch", break_with(ValueError("broken")))
        with pytest.raises(ValueError, match="broken"):
            train(prepared, tmp_path)
    train(prepared, tmp_path, notice=said.append)
    assert said[:2] == [
        "phase 1 of 2, head: done before",
        "phase 2 of 2, all: 2 epochs, 1 of them done before",
    ]
    assert said[2].startswith("all, epoch 2 of 2: ")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_told_in_one_line(device):
    there = torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()
    if there:
        pytest.skip(f"{device} is there")
    with pytest.raises(UsageError, match=rf"device {device}: PyTorch .* finds none") as caught:
        Hardware(device=device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ill", "well", "wanted"),
    [([3, 4], [1, 2], 1.0), ([1], [1, 1], 0.5), ([0, 2], [1], 0.5), ([1, 1, 3], [2, 0], 4 / 6)],
)
def test_auc_counts_pairs_with_ties_half(ill, well, wanted):
    scores = torch.tensor([*map(float, ill), *map(float, well)])
    tumor = torch.tensor([True] * len(ill) + [False] * len(well))
    assert measure_auc(scores, tumor) == pytest.approx(wanted)


def test_auc_of_one_label_is_unknown():
    assert np.isnan(measure_auc(torch.zeros(3), torch.ones(3, dtype=torch.bool)))
