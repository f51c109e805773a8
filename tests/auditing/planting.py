"""A clean painted set, and faults to plant in it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from brains import paint_brain

COLUMNS = ("path", "source", "group", "label", "split", "box", "mask", "note")


class Site:
    """Heads on the disk, two slices a patient, every other patient with a tumor; no copies."""

    def __init__(self, folder: Path, patients: int = 24, seed: int = 0) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.rows: list[dict[str, str]] = []
        for patient in range(patients):
            for number in range(2):
                name = f"p{patient:02}-{number}.png"
                pixels = paint_brain(seed + 2 * patient + number)
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

    def burn(self, row: dict[str, str], text: str = "AB 12") -> None:
        picture = self.open(row)
        ImageDraw.Draw(picture).text((4, 145), text, fill=255)
        picture.save(self.folder / row["path"])

    def halve(self, row: dict[str, str]) -> None:
        """A mask of half the size of its picture."""
        mask = Image.open(self.folder / row["mask"])
        mask.resize((80, 80)).save(self.folder / row["mask"])

    def write(self) -> Path:
        file = self.folder / "manifest.csv"
        with file.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, COLUMNS)
            table.writeheader()
            table.writerows(self.rows)
        return file
