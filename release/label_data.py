"""One manifest over all sets of the project's data, with what the release model learns besides.

    python release/label_data.py DATA --output FILE.csv

DATA holds the sets, a folder with a manifest.csv each, and hospital_folds.csv. Each row gets the
hospital fold of its source as its split, and its plane, its skull and its mask of the brain where
they are known: from the note, from the set, and from brain.csv. Slices below the first or above the
last one that brain_extent.csv names for their series show no brain: their mask is no_brain.png, an
empty picture that is written beside FILE.csv. Left out: rows without a label,
CT, what somebody found doubtful, the tumors of `nickparvar` that are pictures of `cheng`, and the
groups of wrong_labels.csv, whose images contradict their label.

Images that are no MRI of the brain, all kinds but those of KEPT, teach the map of the brain: their
mask is the empty one, too. They have no fold: every training may learn from them.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from string import digits

from PIL import Image

from tumorlens.data.manifest import merge_manifests, read_data
from tumorlens.data.rows import Manifest, Row, absolute_path

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
OTHERS = ("not_brain_mri", "not_brain_mri_2")
"""Images of no brain, or not by MRI as the model knows it: CT, angiograms, diffusion, text, …."""
KEPT = ("abdomen_ct_64px", "mra_mrv", "adc")
"""Kinds of these that no model is trained on: how many are refused is measured on them."""
DOUBTFUL = ("CT head", "abdomen", "doubtful", "class contradicts cheng")
AXIAL = ("tcga_lgg", "ms_iran", "oasis", "healthy", "look_alikes", "tumors_elsewhere")
SKULL_OFF = ("brain cut out", "skull-stripped", "skull off")
SKULL_ON = ("tcga_lgg", "cheng", "ms_iran")
WRONG = Path(__file__).with_name("wrong_labels.csv")
"""By eye: groups with images that contradict their label. They serve neither label."""
EXTENT = Path(__file__).with_name("brain_extent.csv")
"""By eye: the lowest and the highest slice of a series (in a sagittal or coronal one the first and
the last) that shows or may show brain. Spinal cord alone, jaw, neck, skull and scalp are none."""


def main() -> None:
    """Parse, label, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    data = absolute_path(asked.data)  # as rows name their files
    folds = read_folds(data / "hospital_folds.csv")
    extent = read_extent(EXTENT)
    no_brain = write_empty(asked.output.with_name("no_brain.png"))
    wrong = read_wrong(WRONG)
    sets = [label_set(data / name, folds, extent, no_brain) for name in SETS]
    whole = drop_crossing(merge_manifests(sets, shared_groups=True))
    whole = whole.where(lambda row: (row.group, row.label) not in wrong)
    others = [label_others(data / name, whole, no_brain) for name in OTHERS]
    whole = merge_manifests([whole, *others], shared_groups=True)
    whole.write(asked.output, overwrite=True)
    print(Counter(row.split for row in whole.rows), len(whole))


def read_folds(file: Path) -> dict[str, str]:
    """Source -> fold."""
    with file.open(encoding="utf-8", newline="") as stream:
        return {row["source"]: row["fold"] for row in csv.DictReader(stream)}


def label_set(
    folder: Path, folds: dict[str, str], extent: dict[str, list[tuple[str, str]]], no_brain: Path
) -> Manifest:
    """The rows of a set that serve, with all that is known of them."""
    manifest = read_data(folder)
    masks = read_masks(folder / "brain.csv")
    rows = (
        replace(
            row,
            split=folds[row.source],
            plane=find_plane(row, folder.name),
            skull=find_skull(row, folder.name),
            brain=masks.get(row.path, no_brain if is_beyond(row, folder, extent) else None),
        )
        for row in manifest.rows
        if row.label and not any(word in row.note for word in DOUBTFUL)
        if not (folder.name == "nickparvar" and row.label == "tumor" and row.source == "nickparvar")
    )
    return manifest.with_rows(dict.fromkeys(rows))


def label_others(folder: Path, whole: Manifest, no_brain: Path) -> Manifest:
    """The images of a set without MRI of the brain, as rows without a tumor and without a brain.

    One set is one source: each kind as a source of its own would be drawn as often as a hospital.
    Left out: images of patients who stand in a fold, some of them with a tumor that a CT shows.
    """
    manifest = read_data(folder)
    patients = set(whole.groups)
    rows = (
        replace(
            row,
            source=folder.name,
            label="no_tumor",
            split="",
            brain=no_brain,
            note=f"{row.source.split('/')[-1]}; {row.note}",
        )
        for row in manifest.rows
        if row.source.split("/")[-1] not in KEPT and row.group_key not in patients
    )
    return manifest.with_rows(rows)


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


def read_wrong(file: Path) -> set[tuple[str, str]]:
    """Groups with the label that their images contradict."""
    with file.open(encoding="utf-8", newline="") as stream:
        return {(row["group"], row["label"]) for row in csv.DictReader(stream)}


def read_extent(file: Path) -> dict[str, list[tuple[str, str]]]:
    """Set and folder of a series -> names of the first and the last slice with brain, a plane."""
    found: dict[str, list[tuple[str, str]]] = {}
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            ends = (row["first"], row["last"])
            found.setdefault(f"{row['set']}/{row['series']}", []).append(ends)
    return found


def is_beyond(row: Row, folder: Path, extent: dict[str, list[tuple[str, str]]]) -> bool:
    """Whether a slice lies outside of the brain of its series, as far as the table knows."""
    series = f"{folder.name}/{row.path.parent.relative_to(folder).as_posix()}"
    name = row.path.stem
    return any(
        name.rstrip(digits) == first.rstrip(digits) and not first <= name <= last
        for first, last in extent.get(series, ())
    )


def write_empty(file: Path) -> Path:
    """The mask of a slice without brain; readers take an empty picture for any size."""
    Image.new("L", (64, 64)).save(file)
    return absolute_path(file)


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
