"""Plane, sequence and skull: a confusion matrix of what a model recognises and what is known.

    python benchmarks/looks.py MODEL MANIFEST --split test [--count 2000] [--seed 0]

MANIFEST holds plane, sequence and skull, where they are known (`python release/label_data.py`
writes one). --split names rows that the model never saw. Shares are means over slices, with 95 %
intervals by bootstrap over groups.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from pathlib import Path

import numpy as np

from tumorlens.data.manifest import keep_split, read_data
from tumorlens.data.pictures import read_row
from tumorlens.detector import Detector
from tumorlens.model.contract import LOOKS

REPLICATES = 1000


def measure_share(groups: list[str], right: list[bool], seed: int) -> tuple[float, float, float]:
    """Share of right answers, and its interval: groups are drawn, with all their slices."""
    names = sorted(set(groups))
    places = {name: place for place, name in enumerate(names)}
    hits, sizes = np.zeros(len(names)), np.zeros(len(names))
    for group, hit in zip(groups, right, strict=True):
        hits[places[group]] += hit
        sizes[places[group]] += 1
    draws = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), REPLICATES
    )
    low, high = np.quantile(draws @ hits / (draws @ sizes), [0.025, 0.975])
    return float(hits.sum() / sizes.sum()), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rows = list(keep_split(read_data(asked.manifest), asked.split).rows)
    rows = random.Random(asked.seed).sample(rows, min(asked.count, len(rows)))
    detector = Detector(asked.model)
    judged = list(detector.judge(read_row(row) for row in rows))
    for name in LOOKS:
        known = [
            (row, getattr(row, name), finding.appearance.most_likely()[name][0])
            for row, (_, finding) in zip(rows, judged, strict=True)
            if getattr(row, name) in LOOKS[name] and finding.appearance is not None
        ]
        if not known:
            print(f"{name}: known of no row")
            continue
        groups = [f"{row.source} {row.group_key}" for row, _, _ in known]
        value, low, high = measure_share(groups, [a == b for _, a, b in known], asked.seed)
        print(f"{name}: {value:.3f} ({low:.3f}-{high:.3f}), {len(known)} slices, ", end="")
        print(f"{len(set(groups))} groups; true (rows), seen (columns)")
        table = Counter((true, seen) for _, true, seen in known)
        print(" " * 10 + "".join(f"{word:>10}" for word in LOOKS[name]))
        for true in LOOKS[name]:
            counts = "".join(f"{table[true, seen]:10}" for seen in LOOKS[name])
            print(f"{true:10}{counts}")


if __name__ == "__main__":
    main()
