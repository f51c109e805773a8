"""Processes that torchrun or Slurm starts: who they are, and that they train one model."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
import torch

import tumorlens
from painter import write_manifest
from tiny_training import write_weights
from tumorlens.errors import UsageError
from tumorlens.training.cluster import Cluster, find_cluster
from tumorlens.training.hardware import Hardware

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "RANK": "3"}
SLURM = {
    "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_PROCID": "3",
}  # fmt: skip
TOLERANCE = 1e-4
"""Mean difference of weights: a tenth of the step that each takes four times."""
RECIPE = """
name = "tiny"
batch = 8
[input]
size = 64
[network]
width = 0.35
hidden = 16
dropout = 0.0
head = "picture"
[data]
validation = 0.25
[[phases]]
name = "head"
epochs = 2
draws = 32
learning_rate = 1e-3
"""


@pytest.fixture
def started(monkeypatch):
    """Sets the environment that a starter gives its processes."""
    for name in {**TORCHRUN, **SLURM}:
        monkeypatch.delenv(name, raising=False)

    def start(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return start


@pytest.mark.parametrize(("name", "variables"), [("torchrun", TORCHRUN), ("Slurm", SLURM)])
def test_a_process_knows_who_started_it(started, name, variables):
    started(variables)
    assert find_cluster() == Cluster(name, size=4, local=2, rank=3)
    hardware = Hardware(devices=2, nodes=2)
    assert hardware.rank == 3
    assert hardware.strategy == "ddp_find_unused_parameters_true"


def test_a_process_that_nobody_started_is_the_first(started):
    assert find_cluster() is None
    assert Hardware().rank == 0
    assert Hardware(devices=2).strategy == "ddp_spawn_find_unused_parameters_true"


def test_a_task_of_slurm_may_train_alone(started):
    started(SLURM)
    assert Hardware().rank == 0
    assert Hardware().cluster is None


@pytest.mark.parametrize(
    ("variables", "devices", "nodes", "words"),
    [
        ({}, 1, 2, "`nodes=2`: neither torchrun nor Slurm has started this process"),
        (TORCHRUN, 1, 1, "need processes: 1 in all, 1 on each node; torchrun has started 4 in all"),
        (TORCHRUN, 1, 4, "4 in all, 1 on each node; torchrun has started 4 in all, 2 on this node"),
        (SLURM, 2, 3, "6 in all, 2 on each node; Slurm has started 4 in all, 2 on this node"),
        (SLURM | {"SLURM_NTASKS_PER_NODE": "0"}, 2, 2, "4 in all, no number given per node"),
    ],
    ids=["nobody", "alone", "layout", "size", "no layout"],
)
def test_other_processes_than_needed_are_refused(started, variables, devices, nodes, words):
    started(variables)
    with pytest.raises(UsageError, match=words):
        Hardware(devices=devices, nodes=nodes)


def test_folds_need_one_machine(started, tmp_path):
    started(TORCHRUN)
    with pytest.raises(UsageError, match="`folds=` needs one machine"):
        tumorlens.train(tmp_path, output=tmp_path / "run", folds=2, devices=2, nodes=2)
    assert not (tmp_path / "run").exists()


def find_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def start_nodes(*words, second=()):
    """Run one command as two nodes of this machine; (exit code, what was said) of each."""
    port, words = find_port(), [str(word) for word in words]
    nodes = [
        subprocess.Popen(
            [
                sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank",
                str(rank), "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port",
                port, "-m", "tumorlens", "train", *words, "--nodes", "2", "--threads", "1", *more,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ,
        )
        for rank, more in enumerate(((), second))
    ]  # fmt: skip
    said = [node.communicate(timeout=600)[0] for node in nodes]
    return [(node.returncode, words) for node, words in zip(nodes, said, strict=True)]


def load_state(run):
    return torch.load(run / "checkpoints/0.pt", weights_only=True)


@pytest.mark.slow
def test_two_nodes_give_what_one_process_gives(started, tmp_path):
    """At the same global batch; the second node says nothing and writes nothing.

    The backbone is frozen and this head has no batch norm, whose figures are those of a process.
    """
    data = write_manifest(tmp_path / "near", 13, source="near")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    weights = write_weights(tmp_path / "w.safetensors")
    common = [data, "--recipe", recipe, "--weights", weights, "--output"]
    first, second = start_nodes(*common, tmp_path / "two")
    assert first[0] == 0, first[1]
    assert second == (0, "")
    assert "head, epoch 2 of 2" in first[1]
    alone = tumorlens.train(
        data, output=tmp_path / "one", recipe=recipe, weights=weights, settings="batch=16",
        threads=1,
    )  # fmt: skip
    names = sorted(path.name for path in (tmp_path / "two").iterdir())
    assert names == sorted([*(path.name for path in alone.folder.iterdir()), "curves.png"])
    two, one = load_state(tmp_path / "two"), load_state(tmp_path / "one")
    for name, value in one.items():
        assert (two[name] - value).float().abs().mean() < TOLERANCE, name


@pytest.mark.slow
def test_nodes_with_other_work_end_at_once(started, tmp_path):
    data = write_manifest(tmp_path / "near", 13, source="near")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    weights = write_weights(tmp_path / "w.safetensors")
    common = [data, "--recipe", recipe, "--weights", weights, "--output", tmp_path / "run"]
    nodes = start_nodes(*common, second=["--set", "seed=1"])
    assert all(code for code, _ in nodes)
    assert any("the processes do not see the same run" in said for _, said in nodes)
