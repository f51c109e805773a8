"""Do 95 % intervals cover 95 %? Simulated worlds whose true figures are known.

A world draws groups (patients). Slices of a group share a random part, so they are alike. The
number of slices differs from group to group. The true value of each figure is measured on a very
large draw. Then many small data sets of 20, 50 and 200 groups are drawn and measured as
`tumorlens evaluate` does. Printed is the share of intervals that contain the true value, and the
same share for intervals that take slices for patients, which is the usual mistake.

    python benchmarks/coverage.py [--rounds 1000] [--replicates 1000]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from tumorlens.data.rows import Row
from tumorlens.evaluation.figures.families import build_families
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import measure
from tumorlens.evaluation.scores import Scores, as_text

FIGURES = ("auc", "average_precision", "balanced_accuracy", "sensitivity", "specificity", "mcc",
           "loss", "brier", "ece", "found", "alarm", "level_matched_auc",
           "within_patient_auc")  # fmt: skip
LARGE = 4000


def draw_world(groups: int, rng: np.random.Generator, prefix: str = "p") -> Scores:
    """Groups of 8 to 24 slices; half of a logit's variance belongs to the group."""
    size = rng.integers(8, 25, groups)
    code = np.repeat(np.arange(groups), size)
    n = len(code)
    position = rng.random(n)
    tumor = rng.random(n) < 0.8 * np.exp(-0.5 * ((position - 0.5) / 0.2) ** 2)
    logit = np.where(tumor, 1.3, -1.7) + rng.normal(0, 1, groups)[code] + rng.normal(0, 1, n)
    chance = 1 / (1 + np.exp(-2.2 * logit))
    verdict = np.where(chance >= 0.7, "tumor", np.where(chance < 0.3, "no_tumor", "uncertain"))
    rows = tuple(
        Row(
            path=Path(f"/{i}"),
            group=f"{prefix}{code[i]}",
            source="world",
            sequence="FLAIR",
            label="tumor" if tumor[i] else "no_tumor",
            position=float(position[i]),
        )
        for i in range(n)
    )
    return Scores(
        rows=rows,
        name="world",
        classes=("no_tumor", "tumor"),
        tumor_probability=chance,
        probabilities=np.column_stack([1 - chance, chance]),
        unfamiliarity=np.zeros(n),
        verdict=as_text([str(word) for word in verdict]),
        thresholds=np.tile([0.3, 0.5, 0.7], (n, 1)),
        peak_xy=np.full((n, 2), np.nan),
        boxes=as_text([""] * n),
        fold=as_text([""] * n),
        seen=np.full(n, np.nan),
        hits=np.full((n, 3), np.nan),
    )


def measure_truth() -> dict[str, float]:
    """The figures of a very large draw. Its ECE has hardly any noise of its own left."""
    grouped = GroupedScores.of(draw_world(LARGE, np.random.default_rng(1)))
    families = build_families(grouped)
    return {one.name: one.value for f in families for one in f.statistics if one.name in FIGURES}


def count_hits(groups: int, rounds: int, replicates: int, truth: dict[str, float]) -> None:
    rng = np.random.default_rng(groups)
    hits = {name: np.zeros(5) for name in FIGURES}  # given, inside, below, above, width
    naive = {name: np.zeros(2) for name in FIGURES}  # given, inside
    for number in range(rounds):
        scores = draw_world(groups, rng)
        for name, (low, high) in estimate(scores, replicates, number).items():
            true = truth[name]
            hits[name] += (1, low <= true <= high, true < low, true > high, high - low)
        if number % 5 == 0:
            slices = as_files(scores)
            for name, (low, high) in estimate(slices, replicates, number).items():
                naive[name] += (1, low <= truth[name] <= high)
    print(f"\n{groups} groups, {rounds} rounds of {replicates} replicates "
          f"(simulation error about {1.96 * np.sqrt(0.05 * 0.95 / rounds):.1%})")  # fmt: skip
    print(f"{'figure':22} truth  covers  misses low/high  mean width  given  slices as patients")
    for name in FIGURES:
        given, *sums = hits[name]
        inside, below, above, width = (value / max(given, 1) for value in sums)
        plain = naive[name][1] / naive[name][0] if naive[name][0] else np.nan
        print(f"{name:22} {truth[name]:.3f}  {inside:6.1%}  {below:6.1%} /{above:6.1%}"
              f"   {width:10.3f}  {given:5.0f}  {plain:15.1%}")  # fmt: skip


def estimate(scores: Scores, replicates: int, seed: int) -> dict[str, tuple[float, float]]:
    grouped = GroupedScores.of(scores)
    families = [
        f for f in build_families(grouped) if any(one.name in FIGURES for one in f.statistics)
    ]
    found = measure(families, grouped.names, replicates=replicates, seed=seed)
    return {
        one.name: (one.low, one.high)
        for one in found
        if one.name in FIGURES and one.low is not None and one.high is not None
    }


def as_files(scores: Scores) -> Scores:
    """The same slices, each a case of its own; without positions, whose pairs would be many."""
    rows = tuple(replace(row, group=f"s{i}", position=None) for i, row in enumerate(scores.rows))
    return replace(scores, rows=rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--groups", type=int, nargs="*", default=[20, 50, 200])
    options = parser.parse_args()
    truth = measure_truth()
    for groups in options.groups:
        count_hits(groups, options.rounds, options.replicates, truth)


if __name__ == "__main__":
    main()
