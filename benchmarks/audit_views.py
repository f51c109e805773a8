"""Fit and measure how an audit recognises planes, upside-down heads, CT, and no head.

    python benchmarks/audit_views.py SETS --cache FOLDER [--write src/tumorlens/auditing/views.npz]

SETS is the folder that holds the sets, each with its manifest. Thumbnails are kept in FOLDER.
Fitted on cheng, healthy, ms_iran, tumors_elsewhere, half of the patients of tcga_lgg, whose slices
reach from jaw to vertex (planes), not_brain_mri (no head), br35h and nickparvar (CT); upside-down
heads, grey grounds and white frames are made. Each figure is measured on pictures that the
fit did not see: sources or groups are left out, and for "no head" whole kinds of pictures. The
orientation of the web pictures is known from their copies in navoneel. That of oasis was seen by
eye: the front is below in all of them. CTs are known from their notes.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from tumorlens.auditing.appearance import CERTAIN, CONFIDENT, CT_TRAITS, VIEWS, describe_views
from tumorlens.data.manifest import read_data
from tumorlens.data.rows import Row
from tumorlens.errors import InputError
from tumorlens.imaging.pixels.fingerprint import describe_head, turn_descriptors
from tumorlens.imaging.preprocess import PreprocessSpec, prepare
from tumorlens.imaging.readers import read_slice

FITTED = ("cheng", "healthy", "ms_iran", "tumors_elsewhere", "tcga_lgg")
APART = ("tcga_lgg", "look_alikes", "oasis")
THUMBNAIL = 16 * 16  # of what classifiers see; traits come after it
WHOLE = "tcga_lgg"  # the set with slices from jaw to vertex: half its patients are fitted
MOST = 12  # slices of a patient
LEAST = 100  # slices of a source that is left out by itself
# Rows of cheng's manifest that lie between two of one plane, as seen by eye on three slices a
# patient: the set is sorted by patient and plane.
CHENG = (
    (4, "axial"), (56, ""), (60, "axial"), (204, ""), (218, "coronal"), (440, ""),
    (445, "sagittal"), (707, ""), (710, "axial"), (734, ""), (748, "coronal"), (776, ""),
    (784, "coronal"), (816, ""), (818, "sagittal"), (916, ""), (922, "axial"), (1030, ""),
    (1033, "coronal"), (1164, ""), (1182, "sagittal"), (1280, ""), (1292, "axial"), (1452, ""),
    (1455, "coronal"), (1625, ""), (1647, "sagittal"), (1839, ""), (1849, "axial"), (2229, ""),
    (2245, "coronal"), (2341, ""), (2349, "axial"), (2387, ""), (2412, "coronal"), (2703, ""),
    (2734, "sagittal"), (3053, ""),
)  # fmt: skip


@dataclass(frozen=True)
class Set:
    """Prepared thumbnails (N, 32, 32) and their rows."""

    name: str
    images: np.ndarray
    rows: list[Row]
    numbers: np.ndarray  # of the manifest's rows

    def take(self, chosen: np.ndarray) -> Set:
        rows = [self.rows[n] for n in chosen]
        return Set(self.name, self.images[chosen], rows, self.numbers[chosen])


def read_set(sets: Path, cache: Path, name: str) -> Set:
    rows = read_data(sets / name).rows
    kept = cache / f"{name}.npz"
    if not kept.is_file():
        images, numbers = [], []
        for number, row in enumerate(rows):
            try:
                image = prepare(read_slice(row.path, row.frame or 0), PreprocessSpec()).image[0]
            except InputError:
                continue
            images.append(image.reshape(32, 5, 32, 5).mean((1, 3)).astype(np.float16))
            numbers.append(number)
        np.savez(kept, T=np.array(images), ok=np.array(numbers))
    held = np.load(kept)
    images, numbers = held["T"].astype(np.float32), held["ok"]
    return Set(name, images, [rows[n] for n in numbers], numbers)


def halve(one: Set, half: int) -> Set:
    """Half of the patients of `WHOLE`; all of another set."""
    if one.name != WHOLE:
        return one
    numbers = np.unique([row.group_key for row in one.rows], return_inverse=True)[1]
    return one.take(np.flatnonzero(numbers % 2 == half))


def thin(one: Set, rng: np.random.Generator) -> Set:
    """At most `MOST` slices of a patient, none at the ends of a head; two of an unknown patient."""
    seen: dict[str, int] = defaultdict(int)
    chosen = []
    most = 2 if one.name == "oasis" else MOST
    for number in rng.permutation(len(one.rows)):
        row = one.rows[number]
        if row.position is not None and not 0.08 <= row.position <= 0.95:
            continue
        if seen[row.group_key] < most:
            seen[row.group_key] += 1
            chosen.append(number)
    return one.take(np.sort(chosen))


def name_planes(one: Set) -> np.ndarray:
    if one.name != "cheng":
        return np.full(len(one.rows), "axial", object)
    starts = [start for start, _ in CHENG]
    places = np.searchsorted(starts, one.numbers, side="right") - 1
    return np.array([CHENG[place][1] if place >= 0 else "" for place in places], object)


def enlarge(
    images: np.ndarray, names: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mirrored at random, re-contrasted and spoiled, and all of it once more upside-down."""
    power = np.exp(rng.normal(0, 0.3, (len(images), 1, 1))).astype(np.float32)
    spoiled = np.stack([spoil(image, rng) for image in images**power])
    more = np.concatenate([images, spoiled])
    names = np.concatenate([names, names])
    mirrored = rng.random(len(more)) < 0.5
    more[mirrored] = more[mirrored][:, :, ::-1]
    heads = names != "other"
    below = np.array([f"{name}, upside-down" for name in names[heads]], object)
    return np.concatenate([more, more[heads][:, ::-1]]), np.concatenate([names, below])


def spoil(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Now and then a grey ground, or white bars at the sides."""
    chance = rng.random()
    if chance < 0.15:
        ground = rng.uniform(0.1, 0.5)
        return ground + (1 - ground) * image
    if chance < 0.25:
        image = image.copy()
        across = image if rng.random() < 0.5 else image.T
        left, right = rng.integers(0, 8, 2)
        across[:, :left], across[:, across.shape[1] - right :] = 1, 1
    return image


class Views:
    """The classifier of views, as it is fitted; `appearance.look_at` is how it is used."""

    def __init__(self, images: np.ndarray, names: np.ndarray, seed: int = 0) -> None:
        inputs, targets = enlarge(images, names, np.random.default_rng(seed))
        self.scaler = StandardScaler().fit(values := describe_views(inputs))
        self.scaler.scale_ = np.maximum(self.scaler.scale_, 0.05)
        codes = np.array([VIEWS.index(name) for name in targets])
        self.net = MLPClassifier((32,), alpha=1e-2, max_iter=15, batch_size=128, random_state=seed)
        with np.errstate(all="ignore"):
            self.net.fit(self.scaler.transform(values), codes)

    def chances(self, images: np.ndarray) -> np.ndarray:
        both = (images, images[:, :, ::-1])
        parts = [self.net.predict_proba(self.scaler.transform(describe_views(x))) for x in both]
        known = np.zeros((len(images), len(VIEWS)))
        known[:, self.net.classes_] = (parts[0] + parts[1]) / 2
        return known

    def numbers(self) -> dict[str, np.ndarray]:
        (first, second), (one, two) = self.net.coefs_, self.net.intercepts_
        found = {"center": self.scaler.mean_, "scale": self.scaler.scale_, "first": first}
        return found | {"first_bias": one, "second": second, "second_bias": two}


@dataclass(frozen=True)
class Examples:
    """Heads with their plane, and pictures of no head: what views are fitted on."""

    images: np.ndarray
    planes: np.ndarray
    sources: np.ndarray
    groups: np.ndarray
    other: np.ndarray
    kinds: np.ndarray

    def fit(self, heads: np.ndarray, kinds: np.ndarray) -> Views:
        names = np.concatenate([self.planes[heads], np.full(kinds.sum(), "other", object)])
        return Views(np.concatenate([self.images[heads], self.other[kinds]]), names)


def gather_examples(fitted: list[Set], other: Set) -> Examples:
    planes = np.concatenate([name_planes(one) for one in fitted])
    rows = [row for one in fitted for row in one.rows]
    known = planes != ""
    return Examples(
        images=np.concatenate([one.images for one in fitted])[known],
        planes=planes[known],
        sources=np.array([row.source for row in rows])[known],
        groups=np.array([row.group_key for row in rows])[known],
        other=other.images,
        kinds=np.array([row.source for row in other.rows]),
    )


def measure_views(examples: Examples, apart: list[Set]) -> Views:
    """Figures of planes and of upside-down heads, each source left out in turn."""
    sources, kinds = examples.sources, examples.kinds
    heads, others = np.ones(len(sources), bool), np.ones(len(kinds), bool)
    halves = np.unique(examples.groups, return_inverse=True)[1] % 2
    parts = [(f"cheng, half {n + 1}", (sources == "cheng") & (halves == n)) for n in (0, 1)]
    rest = sorted(set(sources) - {"cheng"})
    parts += [(name, sources == name) for name in rest if (sources == name).sum() >= LEAST]
    for name, held in parts:
        show(name, examples.fit(~held, others), examples.images[held], examples.planes[held])
    for third in range(3):
        left = np.isin(kinds, sorted(set(kinds))[third::3])
        views = examples.fit(heads, ~left)
        for kind in sorted(set(kinds[left])):
            chance = views.chances(examples.other[left & (kinds == kind)])[:, 6]
            print(f"  no head: {kind.rpartition('/')[2]:32} {np.mean(chance > CONFIDENT):6.1%}")
    final = examples.fit(heads, others)
    for one in apart:
        show(one.name, final, one.images, name_planes(one))
    return final


def below(chances: np.ndarray) -> np.ndarray:
    return chances[:, 3:6].sum(1)


def show(name: str, views: Views, images: np.ndarray, names: np.ndarray) -> None:
    chances = views.chances(images)
    planes = chances[:, :3] + chances[:, 3:6]
    told = np.array(VIEWS[:3])[planes.argmax(1)]
    sure = planes.max(1) > CERTAIN
    for plane in sorted(set(names)):
        mine = names == plane
        print(
            f"  {name:20} {plane:9} {mine.sum():5}: told {np.mean((told == plane)[mine]):6.1%}, "
            f"surely {np.mean((sure & (told == plane))[mine]):6.1%}, surely another "
            f"{np.mean((sure & (told != plane))[mine]):5.1%}, called upside-down "
            f"{np.mean(below(chances)[mine] > CERTAIN):5.1%}, no head "
            f"{np.mean(chances[mine, 6] > CONFIDENT):5.1%}",
            flush=True,
        )
    turned = below(views.chances(images[:, ::-1])) > CERTAIN
    print(f"  {name:20} flipped:  {len(turned):5}: called upside-down {np.mean(turned):6.1%}")


def find_orientations(one: Set, known: Set) -> tuple[np.ndarray, np.ndarray]:
    """Rows that copy one of ``known``, and whether they stand upside-down against it."""
    chosen = [n for n, row in enumerate(one.rows) if "picture of navoneel" in row.note]
    mine = describe_all(one, chosen).reshape(len(chosen), -1)
    theirs = turn_descriptors(describe_all(known, range(len(known.rows))))
    alike = np.stack([mine @ way.reshape(len(way), -1).T for way in theirs[:4]])
    best = alike.max(2)
    sure = best.max(0) > 0.9
    return np.array(chosen)[sure], best.argmax(0)[sure] >= 2  # upside-down, turned by 180 degrees


def describe_all(one: Set, chosen: Iterable[int]) -> np.ndarray:
    return np.array([describe_head(read_slice(one.rows[n].path)) for n in chosen])


def measure_orientations(views: Views, web: list[Set], known: Set) -> None:
    for one in web:
        chosen, turned = find_orientations(one, known)
        called = below(views.chances(one.images[chosen])) > CERTAIN
        print(
            f"  {one.name}: {turned.sum()} of {len(turned)} stand upside-down; found "
            f"{np.mean(called[turned]):.1%}, falsely {np.mean(called[~turned]):.1%}, precision "
            f"{np.mean(turned[called]):.1%}"
        )


@dataclass(frozen=True)
class Bones:
    """Traits of heads, which are CTs, and how much each counts: as much a group, whatever its size.

    CTs count together a tenth of the MRIs.
    """

    traits: np.ndarray
    is_ct: np.ndarray
    groups: np.ndarray
    names: np.ndarray

    def weigh(self, chosen: np.ndarray) -> np.ndarray:
        weights = np.zeros(len(self.groups))
        for kind, total in ((False, 1.0), (True, 0.1)):
            mine = chosen & (self.is_ct == kind)
            _, numbers, counts = np.unique(
                self.groups[mine], return_inverse=True, return_counts=True
            )
            share = 1 / counts[numbers]
            weights[mine] = total * share / share.sum() * chosen.sum()
        return weights

    def fit(self, chosen: np.ndarray) -> dict[str, np.ndarray]:
        scaler = StandardScaler().fit(self.traits[chosen])
        line = LogisticRegression(C=1, max_iter=500).fit(
            scaler.transform(self.traits[chosen]),
            self.is_ct[chosen],
            sample_weight=self.weigh(chosen)[chosen],
        )
        weights = line.coef_[0] / scaler.scale_
        bias = line.intercept_[0] - (weights * scaler.mean_).sum()
        return {"ct": weights, "ct_bias": np.array(bias)}


def gather_bones(sets: list[Set]) -> Bones:
    traits, is_ct, groups, names = [], [], [], []
    for one in sets:
        rows = np.array([fits_ct(row) for row in one.rows])
        for start in range(0, len(rows), 500):
            traits.append(
                describe_views(one.images[start : start + 500])[rows[start : start + 500]]
            )
        kept = [row for row, fits in zip(one.rows, rows, strict=True) if fits]
        is_ct += ["CT head" in row.note for row in kept]
        shared = one.name in ("br35h", "nickparvar", "navoneel", "cheng")
        groups += [row.group_key if shared else f"{one.name} {row.group_key}" for row in kept]
        names += [one.name] * len(kept)
    columns = np.concatenate(traits)[:, THUMBNAIL:][:, list(CT_TRAITS)]
    return Bones(columns, np.array(is_ct), np.array(groups), np.array(names))


def fits_ct(row: Row) -> bool:
    return (
        "abdomen CT" not in row.note
        and "doubtful" not in row.note
        and row.source != "nickparvar"  # its other rows are copies of cheng
    )


def measure_ct(bones: Bones) -> dict[str, np.ndarray]:
    """Figures of CTs, cross-validated over groups; then the fit on all of them."""
    known, numbers = np.unique(bones.groups, return_inverse=True)
    fold = np.random.default_rng(0).integers(0, 5, len(known))[numbers]
    chance = np.zeros(len(fold))
    for part in range(5):
        fit = bones.fit(fold != part)
        line = bones.traits[fold == part] @ fit["ct"] + fit["ct_bias"]
        chance[fold == part] = 1 / (1 + np.exp(-line))
    called, is_ct = chance > CERTAIN, bones.is_ct
    print(
        f"  CT: {called[is_ct].sum()} of {is_ct.sum()} found, "
        f"{len(set(numbers[called & is_ct]))} of {len(set(numbers[is_ct]))} groups"
    )
    for name in dict.fromkeys(bones.names):
        mine = (bones.names == name) & ~is_ct
        print(f"  CT: falsely {called[mine].sum()} of {mine.sum()} of {name}")
    return bones.fit(np.ones(len(fold), bool))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    asked.cache.mkdir(parents=True, exist_ok=True)
    names = (*dict.fromkeys((*FITTED, *APART)), "not_brain_mri", "br35h", "nickparvar", "navoneel")
    sets = {name: read_set(asked.sets, asked.cache, name) for name in names}
    fitted = [thin(halve(sets[name], 0), rng) for name in FITTED]
    apart = [thin(halve(sets[name], 1), rng) for name in APART]
    views = measure_views(gather_examples(fitted, sets["not_brain_mri"]), apart)
    measure_orientations(views, [sets["br35h"], sets["nickparvar"]], sets["navoneel"])
    bone = measure_ct(gather_bones([one for one in sets.values() if one.name != "not_brain_mri"]))
    if asked.write:
        found = {name: np.asarray(value, np.float16) for name, value in views.numbers().items()}
        np.savez_compressed(asked.write, **found, **{k: np.float32(v) for k, v in bone.items()})


if __name__ == "__main__":
    main()
