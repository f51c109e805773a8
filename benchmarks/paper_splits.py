"""How wide is "90.62 %"? The paper's recipe on many grouped splits, and draws of 32 pictures.

    python benchmarks/paper_splits.py DATA --weights FILE --output FOLDER [--splits 20]

Trains `recipes/seed.toml` once per split. Each split holds out an eighth of the groups. An
interrupted run continues. FOLDER/scores.csv gets all held-out scores. Then 32 pictures are drawn
1,000 times from those scores, and FOLDER/draws.png shows the accuracies.

    python benchmarks/paper_splits.py --scores release/scores/paper-20-splits.csv --output FOLDER

only draws.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tumorlens.evaluation.score_files import read_scores, write_scores
from tumorlens.evaluation.scores import Scores, as_text, join_scores

PUBLISHED, PICTURES, DRAWS = 0.9062, 32, 1000


def main() -> None:
    """Parse, train what is missing, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--scores", type=Path)
    parser.add_argument("--set", action="append", default=[], help="handed to tumorlens train")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    scores = read_scores(asked.scores) if asked.scores else train_all(asked)
    report(scores, asked.output / "draws.png")


def train_all(asked: argparse.Namespace) -> Scores:
    """Held-out scores of all splits; ``fold`` is the split's seed."""
    ended = []
    for seed in range(asked.splits):
        folder = asked.output / f"split-{seed}"
        if not (folder / "scores.csv").exists():
            as_paper = (f"seed={seed}", "data.test_groups=0")  # 32 pictures, no more
            changes = [f"--set={change}" for change in (*as_paper, *asked.set)]
            command = [sys.executable, "-m", "tumorlens", "train", str(asked.data), "--quiet"]
            command += ["--recipe", "seed", "--output", str(folder), "--drop-conflicts", *changes]
            subprocess.run([*command, "--weights", str(asked.weights)], check=True)
        scores = read_scores(folder / "scores.csv")
        ended.append(replace(scores, fold=as_text([str(seed)] * len(scores))))
        print(f"split {seed}: accuracy {accuracy(scores):.3f} of {len(scores)}", flush=True)
        write_scores(asked.output / "scores.csv", join_scores(ended), overwrite=True)
    return join_scores(ended)


def accuracy(scores: Scores) -> float:
    """Share of pictures on the right side of the middle threshold."""
    return float(np.mean(scores.called == scores.tumor))


def report(scores: Scores, picture: Path) -> None:
    """Print and draw the spread of accuracy over splits and over draws of 32 pictures."""
    right = (scores.called == scores.tumor).astype(float)
    rng = np.random.default_rng(0)
    names = np.array([str(row.path) for row in scores.rows], dtype=object)
    drawn = np.array([_draw(names, right, rng) for _ in range(DRAWS)])
    splits = [float(right[scores.fold == one].mean()) for one in np.unique(scores.fold)]
    groups = len({row.group_key for row in scores.rows})
    low, middle, high = np.quantile(drawn, (0.025, 0.5, 0.975))
    print(f"{len(splits)} grouped splits, {len(set(names))} pictures of {groups} groups held out")
    print(f"accuracy a split: {min(splits):.3f} to {max(splits):.3f}, mean {np.mean(splits):.3f}")
    print(f"32 pictures drawn {DRAWS} times: {low:.3f} to {high:.3f} (95 %), median {middle:.3f}")
    print(
        f"share of draws at or above the published {PUBLISHED}: {np.mean(drawn >= PUBLISHED):.2f}"
    )
    _plot(drawn, splits, picture)


def _draw(names: np.ndarray, right: np.ndarray, rng: np.random.Generator) -> float:
    """Accuracy on 32 different pictures, each with one of its held-out scores."""
    order = rng.permutation(len(names))
    _, first = np.unique(names[order].astype(str), return_index=True)
    chosen = rng.permutation(order[first])[:PICTURES]
    return float(right[chosen].mean())


def _plot(drawn: np.ndarray, splits: list[float], picture: Path) -> None:
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    edges = (np.arange(PICTURES + 2) - 0.5) / PICTURES
    axes.hist(drawn, edges, color="#9bb8de", label=f"{DRAWS:,} draws of {PICTURES} pictures")
    values, counts = np.unique(splits, return_counts=True)
    dots = [
        (value, 5 + 11 * place)
        for value, n in zip(values, counts, strict=True)
        for place in range(n)
    ]
    axes.plot(
        *zip(*dots, strict=True),
        "o",
        color="#1f3a63",
        ms=5,
        label=f"one of {len(splits)} grouped splits",
        zorder=3,
    )
    axes.axvline(PUBLISHED, color="#d1603d", label="published: 29 of 32")
    axes.set_xlim(min(0.5, drawn.min() - 0.02), 1.01)
    axes.set_xlabel("accuracy")
    axes.set_ylabel("draws")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    figure.savefig(picture, dpi=130)


if __name__ == "__main__":
    main()
