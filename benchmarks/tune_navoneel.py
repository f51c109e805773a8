"""What a search gains over the paper's recipe on 253 pictures, and what it would seem to gain.

    python benchmarks/tune_navoneel.py DATA --weights FILE --output FOLDER [--trials 30]

The recipe is the frozen phase of `recipes/seed.toml` alone, on features of the frozen backbone
that are computed once: each picture as it is and mirrored. So a trial takes a second, and the
search can be repeated without each nested fold. The rest is what `tumorlens tune`
does: the same space, trials, folds by group, figure and intervals. An interrupted run continues.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch.nn import functional

from tumorlens.data.choosing import group_copies, read_sets
from tumorlens.data.rows import Manifest
from tumorlens.data.splits import fold_manifest
from tumorlens.evaluation.scores import Scores, as_text, join_scores
from tumorlens.imaging.preprocess import prepare
from tumorlens.imaging.readers import read_slice
from tumorlens.network.heads import PooledHead
from tumorlens.network.mobilenet import MobileNetV2
from tumorlens.network.weights import load_backbone
from tumorlens.training.recipe import Recipe, read_recipe
from tumorlens.training.rows.selection import count_label_groups
from tumorlens.tuning.gains import expect_optimism, measure_figure, measure_gain
from tumorlens.tuning.outcome import Gain
from tumorlens.tuning.recipe_spaces import Space, read_space
from tumorlens.tuning.searches import Running, Search

SPACE = """\
batch = { choices = [16, 32, 64] }
weight_decay = { low = 1e-4, high = 1.0, log = true }
network.hidden = { choices = [32, 64, 128] }
network.dropout = { low = 0.0, high = 0.7 }
data.class_weights = { choices = [true, false] }
loss.label_smoothing = { low = 0.0, high = 0.2 }
phases.0.epochs = { low = 4, high = 16 }
phases.0.learning_rate = { low = 1e-4, high = 3e-2, log = true }
"""


@dataclass(frozen=True, eq=False)
class World:
    """What all trials share: rows with their features (N, views, 1280), and the space."""

    rows: Manifest
    features: torch.Tensor
    space: Space
    folder: Path
    trials: int
    seed: int
    folds: int
    nested: int


def main() -> None:
    """Parse, compute the features, search with and without nested folds, write figures.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, default=2, help="that a trial is judged on")
    parser.add_argument("--nested", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.output.mkdir(parents=True, exist_ok=True)
    rows = group_copies(read_sets([asked.data]), threads=1)
    (asked.output / "space.toml").write_text(SPACE)
    paper = read_recipe("seed")
    base = msgspec.structs.replace(paper, phases=[paper.phases[0]])
    space = read_space(asked.output / "space.toml", base)
    features = compute_features(rows, base, asked.weights, asked.output / "features.npy")
    world = World(
        rows, features, space, asked.output, asked.trials, asked.seed, asked.folds, asked.nested
    )
    figures = compare(world)
    text = json.dumps(figures, indent=1)
    (asked.output / f"figures-{asked.seed}.json").write_text(text + "\n")
    print(text)


def compute_features(rows: Manifest, recipe: Recipe, weights: Path, file: Path) -> torch.Tensor:
    """(N, 2, 1280): pooled last features of each picture as it is, and mirrored."""
    if not file.exists():
        backbone = MobileNetV2(padding=recipe.network.padding)
        load_backbone(backbone, weights)
        backbone.eval()
        found = []
        for row in rows.rows:
            image = prepare(read_slice(row.path), recipe.input).image
            pair = torch.from_numpy(np.stack([image, image[:, :, ::-1].copy()])) * 2 - 1
            with torch.no_grad():
                found.append(backbone(pair.expand(-1, 3, -1, -1)).mean(dim=(2, 3)).numpy())
        np.save(file, np.stack(found))
    return torch.from_numpy(np.load(file, allow_pickle=False))


def compare(world: World) -> dict[str, object]:
    """Gains of the best recipe where it was chosen, and on folds that took no part."""
    outer, _ = fold_manifest(world.rows, folds=world.nested, seed=world.seed + 1)
    splits = np.array([row.split for row in outer.rows])
    best, known, claims = [], [], []
    for fold in sorted(set(splits)):
        kept, held = np.flatnonzero(splits != fold), np.flatnonzero(splits == fold)
        found, recipe = search(world, f"without-{fold}", kept)
        claims.append(claim(found))
        best.append(judge(world, recipe, kept, held, fold))
        known.append(judge(world, world.space.base, kept, held, fold))
        gain = measure_gain_of(best[-1:], known[-1:]).difference
        print(f"without fold {fold}: claimed {claims[-1]:+.4f}, gained {gain:+.4f}")
    whole = np.arange(len(world.rows))
    found, recipe = search(world, "all", whole)
    folds = deal(world, whole)
    claimed = [cross(world, one, whole, folds) for one in (recipe, world.space.base)]
    counts = count_label_groups(world.rows.rows)
    return {
        "slices": len(world.rows),
        "groups": len(world.rows.groups),
        "trials": len(found.trials),
        "luck": expect_optimism(counts["tumor"], counts["no_tumor"], world.trials),
        "claimed": msgspec.to_builtins(
            measure_gain(*claimed, "auc", over="paper's frozen phase", nested=False)
        ),
        "nested": msgspec.to_builtins(measure_gain_of(best, known)),
        "claims without each fold": claims,
        "importances": found.weigh_keys(),
        "best": found.best.values if found.best else {},
    }


def claim(found: Search) -> float:
    """What a search seems to gain: its best trial over the known one, which is its first."""
    first = found.trials[0].value
    if found.best is None or found.best.value is None or first is None:
        raise RuntimeError("no trial ended well")
    return found.best.value - first


def measure_gain_of(best: list[Scores], known: list[Scores]) -> Gain:
    """The gain on nested folds."""
    over = "paper's frozen phase"
    return measure_gain(join_scores(best), join_scores(known), "auc", over=over, nested=True)


def search(world: World, name: str, chosen: np.ndarray) -> tuple[Search, Recipe]:
    """The search over some of the rows, and its best recipe."""
    folds = deal(world, chosen)
    one = Search(
        journal=world.folder / f"seed-{world.seed}.journal",
        folder=world.folder / f"seed-{world.seed}" / name,
        name=name,
        space=world.space,
        known=("paper",),
        maximize=True,
        pruner="none",
        seed=world.seed,
        asked={"trials of": name},
    )

    def attempt(running: Running) -> float:
        recipe = world.space.make_recipe(running.values)
        return measure_figure(cross(world, recipe, chosen, folds), "auc")

    one.run(world.trials, attempt)
    if one.best is None:
        raise RuntimeError("no trial ended well")
    return one, world.space.make_recipe(one.best.values)


def deal(world: World, chosen: np.ndarray) -> np.ndarray:
    """Names of the folds of some rows, by group."""
    kept = world.rows.with_rows(world.rows.rows[one] for one in chosen)
    parted, _ = fold_manifest(kept, folds=world.folds, seed=world.seed)
    return np.array([row.split for row in parted.rows])


def cross(world: World, recipe: Recipe, chosen: np.ndarray, folds: np.ndarray) -> Scores:
    """Held-out scores of all folds."""
    return join_scores(
        [
            judge(world, recipe, chosen[folds != fold], chosen[folds == fold], fold)
            for fold in sorted(set(folds))
        ]
    )


def judge(world: World, recipe: Recipe, kept: np.ndarray, held: np.ndarray, fold: str) -> Scores:
    """Scores of the held rows by a head that was trained on the others."""
    head = train_head(recipe, world.features[kept], find_labels(world, kept))
    with torch.no_grad():
        last = world.features[held, 0][:, :, None, None]
        chance = torch.sigmoid(head((last, last, last)).picture).double().numpy()
    rows = tuple(replace(world.rows.rows[one], split="") for one in held)
    n, unknown = len(rows), np.full(len(rows), np.nan)
    return Scores(
        rows=rows, name="navoneel", classes=("no_tumor", "tumor"), tumor_probability=chance,
        probabilities=np.stack([1 - chance, chance], axis=1), unfamiliarity=np.zeros(n),
        verdict=as_text(["tumor" if one >= 0.5 else "no_tumor" for one in chance]),
        thresholds=np.full((n, 3), 0.5), peak_xy=np.full((n, 2), np.nan), boxes=as_text([""] * n),
        fold=as_text([fold] * n), seen=unknown, hits=np.full((n, 3), np.nan),
    )  # fmt: skip


def find_labels(world: World, chosen: np.ndarray) -> torch.Tensor:
    """1 for a tumor."""
    return torch.tensor([float(world.rows.rows[one].label == "tumor") for one in chosen])


def train_head(recipe: Recipe, features: torch.Tensor, tumor: torch.Tensor) -> PooledHead:
    """The first phase of a recipe, at a constant rate; a view of each picture an epoch."""
    torch.manual_seed(recipe.seed)
    choice, phase = recipe.network, recipe.phases[0]
    head = PooledHead(1.0, choice.hidden, 1, choice.dropout)
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=phase.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    smooth = recipe.loss.label_smoothing
    share = tumor.mean() if recipe.data.class_weights else torch.tensor(0.5)
    weights = torch.where(tumor > 0, 0.5 / share, 0.5 / (1 - share))
    for _ in range(phase.epochs):
        order = torch.randperm(len(tumor))
        views = torch.randint(features.shape[1], (len(tumor),))
        for at in order.split(recipe.batch):
            last = features[at, views[at]][:, :, None, None]
            target = tumor[at] * (1 - smooth) + smooth / 2
            loss = functional.binary_cross_entropy_with_logits(
                head((last, last, last)).picture, target, weight=weights[at]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return head.eval()


if __name__ == "__main__":
    main()
