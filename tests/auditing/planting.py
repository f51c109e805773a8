"""A clean painted set, and faults to plant in it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from brains import paint_brain
from tumorlens.auditing.findings import AuditFinding

COLUMNS = ("path", "source", "group", "label", "split", "box", "mask", "note")


def paint_ct(seed: int) -> Image.Image:
    """A skull of bone around a flat brain."""
    rng = np.random.default_rng(seed)
    picture = Image.new("L", (200, 230))
    pen = ImageDraw.Draw(picture)
    for edges, value in (
        ((20, 15, 180, 215), 60),
        ((24, 19, 176, 211), 255),
        ((36, 31, 164, 199), 105),
        ((80, 80, 96, 140), 70),
        ((104, 80, 120, 140), 70),
    ):
        pen.ellipse(edges, fill=value)
    noisy = np.asarray(picture.filter(ImageFilter.GaussianBlur(1))) + rng.normal(0, 3, (230, 200))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def paint_page(words: str) -> Image.Image:
    """A page of text."""
    page = Image.new("L", (300, 200), 255)
    pen = ImageDraw.Draw(page)
    for line in range(12):
        pen.text((5, 5 + 16 * line), f"{words} {line} the quick brown fox jumps", fill=0)
    return page


OF_REAL_HEADS = (
    "upside-down",
    "other planes",
    "plane predicts the label",
    "way up predicts the label",
)
"""Checks that may say anything of painted heads, which have no front."""


def list_checks(findings: Iterable[AuditFinding]) -> list[str]:
    """The checks of findings, but for those that take a real head."""
    return [one.check for one in findings if one.check not in OF_REAL_HEADS]


class Site:
    """Heads on the disk, two slices a patient, every other patient with a tumor; no copies."""

    def __init__(self, folder: Path, patients: int = 24, seed: int = 0) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.rows: list[dict[str, str]] = []
        for patient in range(patients):
            for number in range(2):
                name = f"p{patient:02}-{number}.png"
                pixels = paint_brain(seed + 2 * patient + number, skull=140)
                Image.fromarray(pixels).save(folder / name)
                row = dict.fromkeys(COLUMNS, "") | {
                    "path": name,
                    "group": f"{folder.name}-{patient:02}",
                    "label": "no_tumor" if patient % 2 else "tumor",
                    "split": "test" if patient % 6 > 3 else "train",
                }
                if row["label"] == "tumor":
                    row["mask"], row["box"] = f"mask-{name}", "60 60 80 90"
                    mask = np.zeros_like(pixels)
                    mask[60:90, 60:80] = 255
                    Image.fromarray(mask).save(folder / row["mask"])
                self.rows.append(row)

    def of(self, **wanted: str) -> list[dict[str, str]]:
        return [row for row in self.rows if all(row[key] == wanted[key] for key in wanted)]

    def open(self, row: dict[str, str]) -> Image.Image:
        return Image.open(self.folder / row["path"])

    def add_copy(self, row: dict[str, str], **changes: str) -> None:
        """A mirrored, darker, smaller copy under another name."""
        name = f"copy{len(self.rows)}.png"
        picture = self.open(row).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((140, 140))
        picture.point(lambda value: int(value * 0.8)).save(self.folder / name)
        plain = {"path": name, "mask": "", "box": ""}
        self.rows.append(row | plain | changes)

    def replace(self, row: dict[str, str], picture: Image.Image) -> None:
        """Another picture under the same name, without mask and box."""
        picture.save(self.folder / row["path"])
        row |= {"mask": "", "box": ""}

    def burn(self, row: dict[str, str], text: str = "AB 12") -> None:
        picture = self.open(row)
        ImageDraw.Draw(picture).text((4, 145), text, fill=255)
        picture.save(self.folder / row["path"])

    def halve(self, row: dict[str, str]) -> None:
        """A mask of half the size of its picture."""
        mask = Image.open(self.folder / row["mask"])
        mask.resize((80, 80)).save(self.folder / row["mask"])

    def spoil(self, sources: Sequence[str]) -> None:
        """Copies with another label, a mask of another size, text on tumors, a broken file.

        The rows come from the two sources by turns.
        """
        for row in self.of(label="tumor"):
            self.burn(row)
        for row in self.of(label="tumor", split="train")[:2]:
            self.add_copy(row, label="no_tumor")
        self.halve(self.of(label="tumor", split="test")[0])
        broken = self.of(label="no_tumor")[0]
        (self.folder / broken["path"]).write_bytes(b"no picture")
        for number, row in enumerate(self.rows):
            row["source"] = sources[number % 2]

    def write(self) -> Path:
        file = self.folder / "manifest.csv"
        with file.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, COLUMNS)
            table.writeheader()
            table.writerows(self.rows)
        return file
