"""How much time do loading, edits, augmentation and logging add to that of the network?

    python benchmarks/training_cost.py DATA [--draws 960] [--size 128]

Times epochs of the release recipe as ``tumorlens train`` runs them, and forward, backward and
step of the bare network on tensors that are ready, in turns, and prints their ratio; then the
memory that trainings on a quarter and on all of the rows take, each in a process of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tumorlens.training.allocator import start_torch

start_torch()

import numpy as np  # noqa: E402
import torch  # noqa: E402

from tumorlens.data.manifest import Manifest, read_data  # noqa: E402
from tumorlens.exporting.benchmarking.timing import read_peak_memory  # noqa: E402
from tumorlens.training.hardware import Hardware  # noqa: E402
from tumorlens.training.learning.batch import Batch  # noqa: E402
from tumorlens.training.learning.dataset import Draws  # noqa: E402
from tumorlens.training.learning.module import (  # noqa: E402
    TumorModule,
    build_network,
    freeze_backbone,
    make_adversary,
)
from tumorlens.training.learning.phases import run_phases  # noqa: E402
from tumorlens.training.recipe import Recipe, read_recipe  # noqa: E402
from tumorlens.training.request import Request  # noqa: E402
from tumorlens.training.rows.prepared_rows import PreparedRows  # noqa: E402
from tumorlens.training.rows.preparing import prepare_rows  # noqa: E402
from tumorlens.training.rows.sides import Sides  # noqa: E402


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", type=int, default=960)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--memory-of", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    changes = ["phases.1.epochs=1", f"phases.1.draws={asked.draws}", f"phases.1.size={asked.size}"]
    recipe = read_recipe("release", ["phases.0.epochs=1", "phases.0.draws=64", *changes])
    with tempfile.TemporaryDirectory() as folder:
        if asked.memory_of:
            train(recipe, prepare(asked.data, recipe, Path(folder), asked.memory_of), Path(folder))
            print((read_peak_memory() or 0) // 2**20)
            return
        prepared = prepare(asked.data, recipe, Path(folder), 1.0)
        turns = [measure(recipe, prepared, Path(folder) / str(n)) for n in range(asked.turns)]
    for epoch, bare in turns:
        print(f"epoch {epoch:.1f} s, bare network {bare:.1f} s, ratio {epoch / bare:.2f}")
    print(f"median ratio {statistics.median(epoch / bare for epoch, bare in turns):.2f}")
    for share in (0.25, 1.0):
        command = [sys.executable, __file__, str(asked.data), "--draws", "320"]
        told = subprocess.run(
            [*command, "--memory-of", str(share)], check=True, capture_output=True, text=True
        ).stdout
        print(f"{share:.0%} of the rows: {told.split()[-1]} MiB at most")


def prepare(data: Path, recipe: Recipe, folder: Path, share: float) -> PreparedRows:
    """A share of the rows, both labels alike."""
    manifest = read_data(data)
    rows = [row for number, row in enumerate(manifest.rows) if number % 100 < 100 * share]
    types = recipe.network.classes[1:]
    return prepare_rows(manifest.with_rows(rows), recipe.input, folder, types=types)[0]


def measure(recipe: Recipe, prepared: PreparedRows, folder: Path) -> tuple[float, float]:
    """Seconds of an epoch as trained, and of as many steps of the bare network."""
    folder.mkdir()
    train(recipe, prepared, folder)
    lines = (folder / "curves.csv").read_text().splitlines()
    return float(lines[-1].rsplit(",", 1)[1]), step_bare(recipe, prepared)


def train(recipe: Recipe, prepared: PreparedRows, folder: Path) -> None:
    """Both phases; no row is kept for validation, which is not measured."""
    everything = np.arange(len(prepared))
    run_phases(
        build_network(recipe),
        Request(recipe, Manifest(tuple(prepared.rows), "all", folder), folder),
        prepared=prepared,
        sides=Sides(everything, everything[:2], {}),
    )


def step_bare(recipe: Recipe, prepared: PreparedRows) -> float:
    """Forward, backward and step on one batch, as often as an epoch has batches."""
    network = build_network(recipe)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    draws = Draws(prepared, np.arange(len(prepared)), recipe, 1)
    freeze_backbone(network, recipe, recipe.phases[1])
    adversary = make_adversary(recipe, 1, draws.sources)
    module = TumorModule(network, recipe, recipe.phases[1], draws, adversary=adversary)
    network.train()
    optimizer = torch.optim.AdamW(one for one in network.parameters() if one.requires_grad)
    batch = next(iter(draws))
    _step(module, batch)
    started = time.perf_counter()
    for _ in range(len(draws)):
        optimizer.zero_grad()
        _step(module, batch)
        optimizer.step()
    return time.perf_counter() - started


def _step(module: TumorModule, batch: Batch) -> None:
    """In the numbers that a training computes with here."""
    half = Hardware().precision == "bf16-mixed"
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        loss = module._compute_loss(batch).total
    torch.autograd.backward(loss)


if __name__ == "__main__":
    main()
