"""Where do the groups of `search_copies` and those of the manifests differ?

    python benchmarks/copies_groups.py DATA... [--pictures FOLDER]

DATA are manifests with common names of groups: navoneel, br35h, nickparvar, cheng. Prints how many
distinct pictures each source has by both, how many pictures of one source stand in another, and how
many Testing pictures are joined to Training. --pictures writes what differs side by side, so that a
person can say which is right: `joined.png` (a cluster of ours over several groups, one row each)
and `parted.png` (a group over several clusters of ours).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from copying import load_picture
from PIL import Image

from tumorlens.data.duplicates.copy_search import search_copies
from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.data.rows import Manifest

TILE, COLUMNS, ROWS = 150, 8, 40


def count_distinct(manifest: Manifest, clusters: np.ndarray, groups: np.ndarray) -> None:
    sources = np.array([row.source for row in manifest.rows])
    print(f"{'source':16} {'pictures':>8} {'clusters':>8} {'groups':>8}")
    for source in manifest.sources:
        of = sources == source
        found, told = len(set(clusters[of])), len(set(groups[of]))
        print(f"{source:16} {of.sum():8} {found:8} {told:8}")
    print("pictures of a source with a copy in another, by clusters (by groups)")
    for first in manifest.sources:
        for second in manifest.sources:
            if first != second:
                one, two = sources == first, sources == second
                ours = np.isin(clusters[one], clusters[two]).sum()
                theirs = np.isin(groups[one], groups[two]).sum()
                print(f"  {first:16} in {second:16} {ours:6} ({theirs}) of {one.sum()}")


def count_leaks(manifest: Manifest, clusters: np.ndarray, groups: np.ndarray) -> None:
    """By copies alone, and by copies with the patients of `cheng`."""
    splits = np.array([row.split for row in manifest.rows])
    if "Testing" not in splits:
        return
    test, train = splits == "Testing", splits == "Training"
    patients = [
        row.group if row.source == "cheng" else f"picture {number}"
        for number, row in enumerate(manifest.rows)
    ]
    both = join(clusters.tolist(), patients)
    for name, labels in (("copies", clusters), ("copies and patients", both), ("groups", groups)):
        count = np.isin(labels[test], labels[train]).sum()
        print(f"Testing pictures joined to Training by {name}: {count} of {test.sum()}")


def join(*labellings: list) -> np.ndarray:
    """The finest labels that keep together what any of the labellings keeps together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(labellings[0])
    edges = []
    for labels in labellings:
        first: dict = {}
        edges += [(first.setdefault(label, number), number) for number, label in enumerate(labels)]
    rows, columns = np.array(edges).T
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def compare(ours: np.ndarray, theirs: np.ndarray) -> list[list[int]]:
    """For each of ours that lies over several of theirs: a picture of each of those."""
    lists = []
    for label in np.unique(ours):
        members = np.flatnonzero(ours == label)
        _, first = np.unique(theirs[members], return_index=True)
        if len(first) > 1:
            lists.append(members[np.sort(first)].tolist())
    return lists


def draw(manifest: Manifest, lists: list[list[int]], file: Path) -> None:
    sheet = Image.new("L", (COLUMNS * TILE, min(len(lists), ROWS) * TILE))
    for row, numbers in enumerate(lists[:ROWS]):
        for column, number in enumerate(numbers[:COLUMNS]):
            picture = load_picture(manifest.rows[number].path)
            picture.thumbnail((TILE - 4, TILE - 4))
            sheet.paste(picture, (column * TILE, row * TILE))
    sheet.save(file)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()
    manifest = merge_manifests([read_data(one) for one in asked.data], shared_groups=True)
    clusters = search_copies((row.path for row in manifest.rows), threads=2).clusters
    groups = np.array([row.group_key for row in manifest.rows])
    count_distinct(manifest, clusters, groups)
    count_leaks(manifest, clusters, groups)
    joined, parted = compare(clusters, groups), compare(groups, clusters)
    patients = {row.group for row in manifest.rows if row.source == "cheng"}  # many slices each
    web = [one for one in parted if groups[one[0]] not in patients]
    print(
        f"{len(joined)} clusters over several groups, {len(web)} groups without "
        "patients of cheng over several clusters"
    )
    if asked.pictures is not None:
        asked.pictures.mkdir(parents=True, exist_ok=True)
        draw(manifest, joined, asked.pictures / "joined.png")
        draw(manifest, web, asked.pictures / "parted.png")


if __name__ == "__main__":
    main()
