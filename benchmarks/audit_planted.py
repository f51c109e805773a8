"""Does an audit find three planted faults of each kind in a clean set?

    python benchmarks/audit_planted.py SETS [--seeds 5] [--patients 40]

SETS is the folder that holds the sets. The clean set is drawn from the FLAIR slices of tcga_lgg,
four slices with and four without a tumor of each patient, split by patient; faults are planted into
a copy in a temporary folder. For each kind it prints how many of the planted pictures the audit
flags, and how many others it flags with them (without those that it flags in the clean set).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from copying import CHANGES
from PIL import Image, ImageDraw

from tumorlens.auditing.checks import audit_manifest
from tumorlens.auditing.findings import Audit
from tumorlens.data.manifest import read_data
from tumorlens.data.rows import Manifest, Row

EACH = 3


class Planter:
    """A clean set on the disk, and one generator for all draws."""

    def __init__(self, sets: Path, folder: Path, patients: int, seed: int) -> None:
        self.sets, self.folder = sets, folder
        self.rng = np.random.default_rng(seed)
        self.rows = [self._take(row) for row in self._draw(patients)]

    def _draw(self, patients: int) -> list[Row]:
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in read_data(self.sets / "tcga_lgg").rows:
            if row.sequence == "FLAIR" and 0.25 <= (row.position or 0) <= 0.85:
                found[row.group, row.label].append(row)
        names = sorted({group for group, _ in found if len(found[group, "tumor"]) >= 8})
        chosen = self.rng.permutation(names)[:patients].tolist()
        rows = []
        for number, name in enumerate(chosen):
            for label in ("tumor", "no_tumor"):
                mine = found[name, label]
                for place in np.linspace(0, len(mine) - 1, min(4, len(mine))).astype(int):
                    split = "test" if number % 4 == 0 else "train"
                    rows.append(replace(mine[place], split=split, sequence="", source="clinic"))
        return rows

    def _take(self, row: Row) -> Row:
        mask = None
        if row.mask is not None and row.label == "tumor":
            mask = self.add(Image.open(row.mask))
        return replace(row, path=self.add(Image.open(row.path).convert("L")), mask=mask, boxes=())

    def add(self, picture: Image.Image) -> Path:
        path = self.folder / f"{len(list(self.folder.iterdir())):05}.png"
        picture.save(path)
        return path

    def pick(self, count: int = EACH, **wanted: str) -> list[int]:
        """Rows of different patients."""
        order = self.rng.permutation(len(self.rows)).tolist()
        seen: set[str] = set()
        picked = []
        for number in order:
            row = self.rows[number]
            if row.group in seen or any(getattr(row, k) != v for k, v in wanted.items()):
                continue
            seen.add(row.group)
            picked.append(number)
            if len(picked) == count:
                break
        return picked

    def change(self, number: int, edit: Callable[[Image.Image], Image.Image]) -> None:
        picture = edit(Image.open(self.rows[number].path))
        self.rows[number] = replace(self.rows[number], path=self.add(picture))

    def copy(self, number: int, **changes: str) -> int:
        """A changed copy under another name, without mask; the number of its row."""
        row = self.rows[number]
        name = str(self.rng.choice([n for n in CHANGES if "cut" not in n and "gamma" not in n]))
        picture = CHANGES[name](Image.open(row.path), self.rng)
        self.rows.append(replace(row, path=self.add(picture), mask=None, **changes))
        return len(self.rows) - 1

    def borrow(self, name: str, wanted: Callable[[Row], bool]) -> list[int]:
        """Pictures of another set, as if they were of this one."""
        groups: dict[str, Row] = {}
        rows = [row for row in read_data(self.sets / name).rows if wanted(row)]
        for place in self.rng.permutation(len(rows)).tolist():
            groups.setdefault(rows[place].group_key, rows[place])
        added = []
        for row in list(groups.values())[:EACH]:
            path = self.add(Image.open(row.path).convert("L"))
            label = "tumor" if len(added) % 2 else "no_tumor"
            self.rows.append(
                Row(path, source="clinic", group=path.stem, label=label, split="train")
            )
            added.append(len(self.rows) - 1)
        return added

    def audit(self) -> Audit:
        return audit_manifest(Manifest(tuple(self.rows), "planted", self.folder))


def leak_patients(site: Planter) -> list[int]:
    picked = site.pick(split="train")
    for number in picked:
        site.rows[number] = replace(site.rows[number], split="test")
    return picked


def leak_copies(site: Planter) -> list[int]:
    return [site.copy(n, split="test", group=f"other {n}") for n in site.pick(split="train")]


def flip_copies(site: Planter) -> list[int]:
    return [site.copy(n, label="no_tumor", tumor_class="", group=f"other {n}")
            for n in site.pick(label="tumor")]  # fmt: skip


def flip_alone(site: Planter) -> list[int]:
    picked = site.pick(label="no_tumor")
    for number in picked:
        site.rows[number] = replace(site.rows[number], label="tumor")
    return picked


def flip_in_series(site: Planter) -> list[int]:
    """Whole series of three other patients, a slice of each with the wrong label."""
    known = {row.group for row in site.rows}
    rows = [row for row in read_data(site.sets / "tcga_lgg").rows if row.sequence == "FLAIR"]
    names = site.rng.permutation(sorted({row.group for row in rows} - known))[:EACH].tolist()
    flipped = []
    for name in names:
        start = len(site.rows)
        site.rows += [replace(row, mask=None, boxes=()) for row in rows if row.group == name]
        number = int(site.rng.integers(start, len(site.rows)))
        label = "no_tumor" if site.rows[number].label == "tumor" else "tumor"
        site.rows[number] = replace(site.rows[number], label=label, tumor_class="")
        flipped.append(number)
    return flipped


def flip_annotated(site: Planter) -> list[int]:
    picked = site.pick(label="tumor")
    for number in picked:
        site.rows[number] = replace(site.rows[number], label="no_tumor", tumor_class="")
    return picked


def halve_masks(site: Planter) -> list[int]:
    return edit_masks(site, lambda mask: mask.resize((mask.width // 2, mask.height // 2)))


def shift_masks(site: Planter) -> list[int]:
    """To a corner, as if the picture had been cropped after it was drawn."""
    return edit_masks(site, place_in_corner)


def place_in_corner(mask: Image.Image) -> Image.Image:
    plain = mask.convert("L")
    sheet = Image.new("L", mask.size)
    sheet.paste(plain.crop(plain.getbbox()))
    return sheet


def edit_masks(site: Planter, edit: Callable[[Image.Image], Image.Image]) -> list[int]:
    picked = [n for n in site.pick(label="tumor") if site.rows[n].mask is not None]
    for number in picked:
        mask = edit(Image.open(site.rows[number].mask))
        site.rows[number] = replace(site.rows[number], mask=site.add(mask))
    return picked


def burn_few(site: Planter) -> list[int]:
    return [burn(site, number) for number in site.pick()]


def burn_class(site: Planter) -> list[int]:
    """Into every picture with a tumor."""
    return [burn(site, n) for n, row in enumerate(site.rows) if row.label == "tumor"]


def burn(site: Planter, number: int) -> int:
    def write(picture: Image.Image) -> Image.Image:
        words = "".join(site.rng.choice(list("ABCDEFGHKLMNPRSTUVWXYZ0123456789"), 6))
        ImageDraw.Draw(picture).text((4, picture.height - 16), words, fill=255)
        return picture

    site.change(number, write)
    return number


def flip(site: Planter) -> list[int]:
    picked = site.pick()
    for number in picked:
        site.change(number, lambda picture: picture.transpose(Image.Transpose.ROTATE_180))
    return picked


def truncate(site: Planter) -> list[int]:
    picked = site.pick()
    for number in picked:
        path = site.rows[number].path
        path.write_bytes(path.read_bytes()[:300])
    return picked


def add_ct(site: Planter) -> list[int]:
    return site.borrow("nickparvar", lambda row: "CT head" in row.note)


def add_sagittal(site: Planter) -> list[int]:
    numbers = range(446, 700)  # of cheng's rows: sagittal by eye
    rows = read_data(site.sets / "cheng").rows
    chosen = {rows[n].path for n in numbers}
    return site.borrow("cheng", lambda row: row.path in chosen)


def add_other_pictures(site: Planter) -> list[int]:
    return site.borrow("not_brain_mri", lambda row: "odd_files" not in row.source
                       and "synthetic" not in row.source)  # fmt: skip


FAULTS: dict[str, tuple[Callable[[Planter], list[int]], str]] = {
    "patient on two sides": (leak_patients, "groups across splits"),
    "changed copy on the other side": (leak_copies, "copies across splits"),
    "changed copy with the other label": (flip_copies, "two labels"),
    "flipped label, with a mask": (flip_annotated, "mask on a no-tumor slice"),
    "flipped label, in a series": (flip_in_series, "label unlike its neighbours"),
    "flipped label, nothing else": (flip_alone, ""),
    "mask of half the size": (halve_masks, "mask of another size"),
    "mask in the corner": (shift_masks, "mask outside the head"),
    "text on three pictures": (burn_few, "burnt-in text"),
    "text on one class": (burn_class, "burnt-in text predicts the label"),
    "upside-down": (flip, "upside-down"),
    "cut off file": (truncate, "unreadable files"),
    "CT": (add_ct, "CT in place of MRI"),
    "sagittal": (add_sagittal, "other planes"),
    "no head": (add_other_pictures, "no head"),
}


def named(audit: Audit, check: str) -> set[Path]:
    rows = [row for one in audit.findings if check in ("", one.check) for row in one.rows]
    return {audit.rows[row].path for row in rows}


def measure(sets: Path, patients: int, seed: int) -> dict[str, tuple[int, int, int]]:
    """Fault -> planted, found, others named with them."""
    counts = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "clean"
        folder.mkdir()
        clean = Planter(sets, folder, patients, seed).audit()
    for name, (plant, check) in FAULTS.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "clean"
            folder.mkdir()
            site = Planter(sets, folder, patients, seed)
            before = len(site.rows)
            planted = {site.rows[n].path for n in plant(site)}
            audit = site.audit()
            known = {path.name for path in named(clean, check)}
            new = {p for p in named(audit, check) if p.name not in known}
            found, others = new & planted, new - planted
            if check == "label unlike its neighbours":  # each is named with one of them
                others = set()
            if check in ("groups across splits", "copies across splits", "two labels"):
                others = {p for p in others if not is_partner(audit, p, planted)}
            counts[name] = (len(planted), len(found), len(others))
            assert before <= len(site.rows)
    return counts


def is_partner(audit: Audit, path: Path, planted: set[Path]) -> bool:
    """Whether a row is the other side of a planted fault: the same patient or picture."""
    groups = {row.group.removeprefix("other ") for row in audit.rows if row.path in planted}
    return any(
        row.path == path and (row.group in groups or str(number) in groups)
        for number, row in enumerate(audit.rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--patients", type=int, default=40)
    asked = parser.parse_args()
    total: dict[str, np.ndarray] = {name: np.zeros(3, int) for name in FAULTS}
    for seed in range(asked.seeds):
        for name, counts in measure(asked.sets, asked.patients, seed).items():
            total[name] += counts
        print(f"| fault ({seed + 1} sets) | planted | found | others named |", flush=True)
        for name, (planted, found, others) in total.items():
            print(f"| {name} | {planted} | {found} | {others} |", flush=True)


if __name__ == "__main__":
    main()
