"""Does `find_twins` find copies, and does it leave other pictures alone?

    python benchmarks/twins_quality.py DATA... [--copies 40] [--seed 0]

DATA are manifests. From each, a sample of pictures is copied in every way of benchmarks/copying.py;
originals, copies and up to --others further pictures of the sets go through `find_twins` together.

- recall: copies that share a cluster with their original;
- neighbours: pairs of slices of one patient that follow each other and are no copies: how many
  are called copies (they share a cluster when only the two of them are looked at);
- strangers: pictures that share a cluster with a picture of another patient.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from copying import CHANGES, as_slice, find_neighbours, load_picture

from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.data.rows import Manifest
from tumorlens.data.twins import find_twins


def measure_recall(manifest: Manifest, copies: int, others: int, rng: np.random.Generator) -> None:
    rows = [row for row in manifest.rows if row.position is None or 0.15 < row.position < 0.9]
    order = rng.permutation(len(rows))
    originals = [load_picture(rows[number].path) for number in order[:copies]]
    further = [load_picture(rows[number].path) for number in order[copies : copies + others]]
    named = [(name, change(one, rng)) for name, change in CHANGES.items() for one in originals]
    pictures = [*originals, *further, *(copy for _, copy in named)]
    clusters = find_twins(map(as_slice, pictures)).clusters
    found = clusters[-len(named) :].reshape(len(CHANGES), copies) == clusters[:copies]
    for name, share in zip(CHANGES, found.mean(1), strict=True):
        print(f"  {name:20} {share:6.1%}")
    print(
        f"  {'all':20} {found.mean():6.1%} of {found.size} copies, among {len(pictures)} pictures"
    )


def measure_neighbours(manifest: Manifest, count: int, rng: np.random.Generator) -> None:
    pairs = find_neighbours(manifest)
    joined: dict[str, list[bool]] = {}
    for number in rng.permutation(len(pairs))[:count]:
        first, second = pairs[number]
        twins = find_twins([first.path, second.path])
        joined.setdefault(first.source, []).append(twins.distinct == 1)
    for source, calls in sorted(joined.items()):
        print(f"  {source:20} {np.mean(calls):6.1%} of {len(calls)} pairs called copies")


def measure_strangers(manifest: Manifest, count: int, rng: np.random.Generator) -> None:
    """Two slices a patient, so that neighbours do not chain whole series."""
    chosen, seen = [], {}
    for number in rng.permutation(len(manifest.rows)):
        row = manifest.rows[number]
        if seen.setdefault(row.group_key, 0) < 2 and len(chosen) < count:
            seen[row.group_key] += 1
            chosen.append(row)
    clusters = find_twins(row.path for row in chosen).clusters
    groups = np.array([row.group_key for row in chosen])
    wrong = sum(len(set(groups[clusters == cluster])) > 1 for cluster in clusters)
    print(f"  {wrong} of {len(chosen)} pictures of {len(seen)} patients joined to another patient")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--copies", type=int, default=40)
    parser.add_argument("--others", type=int, default=2000)
    parser.add_argument("--neighbours", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    for folder in asked.data:
        manifest = merge_manifests([read_data(folder)])
        print(f"{manifest.name}: {len(manifest)} pictures of {len(manifest.groups)} groups; recall")
        measure_recall(manifest, asked.copies, asked.others, rng)
        print(f"{manifest.name}: neighbouring slices")
        measure_neighbours(manifest, asked.neighbours, rng)
        print(f"{manifest.name}: strangers")
        measure_strangers(manifest, 1000, rng)


if __name__ == "__main__":
    main()
