"""Does `search_copies` find copies, and does it leave other pictures alone?

    python benchmarks/copies_quality.py DATA... [--copies 40] [--seed 0]

DATA are manifests. From each, a sample of pictures is copied in every way of benchmarks/copying.py.

- copies: share of pairs (original, copy) that are called copies, at several least correlations;
  last column: at the one in use, with --others further pictures that could hide the original;
- neighbours: the same for pairs of slices of one patient that follow each other: no copies;
- strangers: pictures that share a cluster with a picture of another patient, two slices a patient;
- chains: patients that all pictures of the set join to others, and the longest chain of patients.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from copying import CHANGES, as_slice, find_neighbours, load_picture

from tumorlens.data.duplicates.copy_search import (
    COPY_CORRELATION,
    SliceOrFile,
    group_manifest,
    search_copies,
)
from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.data.rows import Manifest

LIMITS = (0.85, COPY_CORRELATION, 0.93, 0.95)


def measure_copies(manifest: Manifest, copies: int, others: int, rng: np.random.Generator) -> None:
    rows = [row for row in manifest.rows if row.position is None or 0.15 < row.position < 0.9]
    order = rng.permutation(len(rows))
    originals = [load_picture(rows[number].path) for number in order[:copies]]
    further = [load_picture(rows[number].path) for number in order[copies : copies + others]]
    for name, change in CHANGES.items():
        # One change at a time: else a copy could be found by way of another, easier one.
        made = [change(one, rng) for one in originals]
        pairs = zip(map(as_slice, originals), map(as_slice, made), strict=True)
        clusters = search_copies(map(as_slice, [*originals, *further, *made])).clusters
        found = np.mean(clusters[-copies:] == clusters[:copies])
        show(name, [call(*pair) for pair in pairs], f"{found:8.1%}")


def measure_neighbours(manifest: Manifest, count: int, rng: np.random.Generator) -> None:
    pairs = find_neighbours(manifest)
    found: dict[str, list[list[bool]]] = {}
    for number in rng.permutation(len(pairs))[:count]:
        first, second = pairs[number]
        found.setdefault(first.source, []).append(call(first.path, second.path))
    for source, calls in sorted(found.items()):
        show(f"neighbours, {source}", calls, f"  of {len(calls)}")


def call(first: SliceOrFile, second: SliceOrFile) -> list[bool]:
    """Whether the pair is called copies, at each of `LIMITS`."""
    return [search_copies([first, second], threshold=limit).distinct == 1 for limit in LIMITS]


def show(name: str, calls: list[list[bool]], last: str) -> None:
    print(
        f"  {name:26}" + "".join(f"{share:8.1%}" for share in np.mean(calls, 0)) + last, flush=True
    )


def measure_strangers(manifest: Manifest, count: int, rng: np.random.Generator) -> None:
    """Two slices a patient, so that neighbours do not chain whole series."""
    chosen, seen = [], {}
    for number in rng.permutation(len(manifest.rows)):
        row = manifest.rows[number]
        if seen.setdefault(row.group_key, 0) < 2 and len(chosen) < count:
            seen[row.group_key] += 1
            chosen.append(row)
    clusters = search_copies(row.path for row in chosen).clusters
    groups = np.array([row.group_key for row in chosen])
    wrong = sum(len(set(groups[clusters == cluster])) > 1 for cluster in clusters)
    print(
        f"  strangers: {wrong} of {len(chosen)} pictures of {len(seen)} patients "
        "joined to another patient"
    )


def measure_chains(manifest: Manifest) -> None:
    """What a user loses: patients of one chain stand on one side of every split."""
    grouped, _ = group_manifest(manifest)
    chains: dict[str, set[str]] = {}
    for before, after in zip(manifest.rows, grouped.rows, strict=True):
        chains.setdefault(after.group_key, set()).add(before.group_key)
    joined = [len(one) for one in chains.values() if len(one) > 1]
    print(
        f"  chains: {sum(joined)} of {len(manifest.groups)} groups joined to others, "
        f"the longest of {max(joined, default=1)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--copies", type=int, default=40)
    parser.add_argument("--others", type=int, default=300)
    parser.add_argument("--neighbours", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    for folder in asked.data:
        manifest = merge_manifests([read_data(folder)])
        limits = "".join(f"{limit:8}" for limit in LIMITS)
        print(f"{manifest.name + ', called copies at':28}{limits}   found")
        measure_copies(manifest, asked.copies, asked.others, rng)
        measure_neighbours(manifest, asked.neighbours, rng)
        measure_strangers(manifest, 1000, rng)
        measure_chains(manifest)


if __name__ == "__main__":
    main()
