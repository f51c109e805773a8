"""One manifest over all sets of the project's data, with what the release model learns besides.

    python release/label_data.py DATA --output FILE.csv

DATA holds the sets, a folder with a manifest.csv each, and hospital_folds.csv. Each row gets the
hospital fold of its source as its split, and its plane, its skull and its mask of the brain where
they are known: from the note, from the set, and from brain.csv. Left out: rows without a label,
CT, what somebody found doubtful, and the tumors of `nickparvar` that are pictures of `cheng`.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.data.rows import Manifest, Row

SETS = (
    "navoneel",
    "br35h",
    "cheng",
    "tcga_lgg",
    "nickparvar",
    "ms_iran",
    "oasis",
    "healthy",
    "look_alikes",
    "tumors_elsewhere",
    "heads",
    "healthy_2",
    "look_alikes_2",
    "more_tumors",
)
DOUBTFUL = ("CT head", "abdomen", "doubtful", "class contradicts cheng")
AXIAL = ("tcga_lgg", "ms_iran", "oasis", "healthy", "look_alikes", "tumors_elsewhere")
SKULL_OFF = ("brain cut out", "skull-stripped", "skull off")
SKULL_ON = ("tcga_lgg", "cheng", "ms_iran")


def main() -> None:
    """Parse, label, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    folds = read_folds(asked.data / "hospital_folds.csv")
    sets = [label_set(asked.data / name, folds) for name in SETS]
    whole = drop_crossing(merge_manifests(sets, shared_groups=True))
    whole.write(asked.output, overwrite=True)
    print(Counter(row.split for row in whole.rows), len(whole))


def read_folds(file: Path) -> dict[str, str]:
    """Source -> fold."""
    with file.open(encoding="utf-8", newline="") as stream:
        return {row["source"]: row["fold"] for row in csv.DictReader(stream)}


def label_set(folder: Path, folds: dict[str, str]) -> Manifest:
    """The rows of a set that serve, with all that is known of them."""
    manifest = read_data(folder)
    masks = read_masks(folder / "brain.csv")
    rows = (
        replace(
            row,
            split=folds[row.source],
            plane=find_plane(row, folder.name),
            skull=find_skull(row, folder.name),
            brain=masks.get(row.path),
        )
        for row in manifest.rows
        if row.label and not any(word in row.note for word in DOUBTFUL)
        if not (folder.name == "nickparvar" and row.label == "tumor" and row.source == "nickparvar")
    )
    return manifest.with_rows(dict.fromkeys(rows))


def read_masks(file: Path) -> dict[Path, Path]:
    """Picture -> mask of its brain; empty where the set has none."""
    if not file.exists():
        return {}
    with file.open(encoding="utf-8", newline="") as stream:
        return {
            file.parent / row["path"]: file.parent / row["brain_mask"]
            for row in csv.DictReader(stream)
            if row["brain_mask"]
        }


def find_plane(row: Row, name: str) -> str:
    """The plane, as the note says it, or as all slices of the set lie."""
    told = [word for word in ("axial", "coronal", "sagittal") if word in row.note]
    return told[0] if told else "axial" if name in AXIAL else ""


def find_skull(row: Row, name: str) -> str:
    """Whether the skull is on, as the note or the set says."""
    if any(word in row.note for word in SKULL_OFF) or row.source == "oasis":
        return "off"
    return "on" if "skull on" in row.note or name in SKULL_ON else ""


def drop_crossing(manifest: Manifest) -> Manifest:
    """Without groups that stand in two folds: pictures of one patient in sets of two hospitals."""
    sides: dict[str, set[str]] = {}
    for row in manifest.rows:
        sides.setdefault(row.group_key, set()).add(row.split)
    return manifest.where(lambda row: len(sides[row.group_key]) == 1)


if __name__ == "__main__":
    main()
