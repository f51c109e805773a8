"""Which slices of hospitals left out does the model get wrong? Counts, a list, and a picture.

    python benchmarks/worst_slices.py [--sources cheng ds000011] [--kind misses] [--sequence T1c]
        [--count 20 [--by-type]] [--picture FILE.png --data SETS]

Takes the score files of the hospital folds. A miss is a slice with a tumor of more than 150 pixels
that is judged and not called a tumor at `balanced`; an alarm is a slice of a tumor-free person that
is called one; unjudged are the slices with a tumor that are not judged. `balanced` was chosen on
the other folds (as in `show_hospitals.py`). The worst slices are those
with the lowest and the highest place among the tumor-free slices of their own fold, one a person.
With --picture they are drawn, with the outline of the tumor (yellow) and the strongest evidence
(cyan). The terms of a set decide whether such a picture may be shown to others.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

import numpy as np
from hospital_rows import is_free, is_large
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps
from show_hospitals import ROOT, judge_on_others, rank_folds, read_folds
from study_evidence import name_slice

from tumorlens.data.rows import Row
from tumorlens.evaluation.scores import Scores

WORDS = 30  # pixels below a slice
PIXELS = re.compile(r"(?<!\d)(\d+) tumor pixels")
SIZES = (150, 400, 1000, 2500)


def find_wrong(scores: Scores, judged: Scores, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the slices that count, and of the wrong ones among them."""
    rows = is_free(scores) if kind == "alarms" else is_large(scores)
    called, blank = judged.verdict == "tumor", judged.verdict == "not_judged"
    wrong = {"misses": ~called & ~blank, "alarms": called, "unjudged": blank}[kind]
    return rows, rows & wrong.astype(bool)


def count_kinds(scores: Scores, rows: np.ndarray, wrong: np.ndarray) -> None:
    """By source, sequence and type, and by the size of the tumor where a mask tells it."""
    words = [
        " ".join(filter(None, (one.source, one.sequence, one.tumor_class))) for one in scores.rows
    ]
    print("| slices | in all | wrong | share | people with one |\n|---|---|---|---|---|")
    print_counts(words, scores.group, rows, wrong)
    sizes = [name_size(one) for one in scores.rows]
    print_counts(sizes, scores.group, rows & (np.array(sizes) != ""), wrong)


def print_counts(words: list[str], group: np.ndarray, rows: np.ndarray, wrong: np.ndarray) -> None:
    all_of = Counter(words[i] for i in np.flatnonzero(rows))
    bad = Counter(words[i] for i in np.flatnonzero(rows & wrong))
    for word, count in bad.most_common():
        people = {group[i] for i in np.flatnonzero(rows & wrong) if words[i] == word}
        print(f"| {word} | {all_of[word]:,} | {count:,} | {count / all_of[word]:.3f} | "
              f"{len(people)} |")  # fmt: skip


def name_size(row: Row) -> str:
    """Of `tcga_lgg`, whose masks have one scale: its sequence and the size of the tumor."""
    told = PIXELS.search(row.note)
    if row.source != "tcga_lgg" or not told:
        return ""
    over = max((one for one in SIZES if int(told[1]) > one), default=0)
    return f"tcga_lgg {row.sequence}, over {over} pixels"


def choose_worst(scores: Scores, wrong: np.ndarray, kind: str, count: int) -> list[int]:
    """The worst slice of each person, worst first."""
    place = rank_folds(scores).tumor_probability
    order = np.argsort(-place if kind == "alarms" else place, kind="stable")
    people: dict[str, int] = {}
    for index in order[wrong[order]].tolist():
        people.setdefault(scores.group[index], index)
    return list(people.values())[:count]


def describe(scores: Scores, index: int) -> str:
    row = scores.rows[index]
    where = "" if row.position is None else f", {row.position:.2f} of the head"
    word = f" {row.tumor_class}" if row.tumor_class else ""
    name = "/".join(name_slice(row.path))
    return (f"{row.source} {row.sequence}{word}: {scores.tumor_probability[index]:.3f}, "
            f"{scores.verdict[index]}{where}; {name}; {row.note}")  # fmt: skip


def choose_rows(scores: Scores, options: argparse.Namespace) -> np.ndarray:
    rows = np.ones(len(scores), bool)
    if options.sources:
        rows &= np.isin(scores.column("source").astype(str), options.sources)
    if options.sequence:
        rows &= np.asarray(scores.column("sequence") == options.sequence, bool)
    return rows


def list_parts(scores: Scores, rows: np.ndarray, by_type: bool) -> list[np.ndarray]:
    """The rows, whole or by the type of their tumor."""
    types = scores.column("tumor_class")
    return [rows & (types == word) for word in sorted(set(types[rows]))] if by_type else [rows]


def draw_sheet(scores: Scores, chosen: list[int], options: argparse.Namespace) -> Image.Image:
    side, columns = options.side, options.columns
    lines = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (columns * side, lines * (side + WORDS)), "white")
    drawing = ImageDraw.Draw(sheet)
    for number, index in enumerate(chosen):
        x, y = number % columns * side, number // columns * (side + WORDS)
        sheet.paste(draw_slice(scores, index, options.data, side - 2), (x, y))
        row = scores.rows[index]
        name = f"{number + 1}. {row.tumor_class or row.source} {row.sequence}"
        told = f"{scores.tumor_probability[index]:.3f} {scores.verdict[index]}".replace("_", " ")
        drawing.text((x + 3, y + side), f"{name}\n{told}", fill="black")
    return sheet


def draw_slice(scores: Scores, index: int, data: Path, side: int) -> Image.Image:
    """The slice, the outline of its tumor, and a ring around the strongest evidence."""
    row = scores.rows[index]
    with Image.open(data.joinpath(*name_slice(row.path))) as stored:
        plain = ImageOps.autocontrast(stored.convert("L"), cutoff=(0, 0.5))
    scale = side / max(plain.size)
    size = tuple(round(edge * scale) for edge in plain.size)
    picture = plain.resize(size, Image.Resampling.BICUBIC).convert("RGB")
    drawing = ImageDraw.Draw(picture)
    if row.mask is not None:
        with Image.open(data.joinpath(*name_slice(row.mask))) as stored:
            mask = stored.convert("L").resize(size)
        edge = ImageChops.difference(mask, mask.filter(ImageFilter.MinFilter(3)))
        picture.paste("yellow", mask=edge.point(lambda value: 255 if value else 0))
    else:
        for box in row.boxes:
            drawing.rectangle([edge * scale for edge in box], outline="yellow")
    x, y = (edge * scale for edge in scores.peak_xy[index].tolist())
    if np.isfinite(x):
        drawing.ellipse((x - 6, y - 6, x + 6, y + 6), outline="cyan", width=2)
    return picture


def main() -> None:
    kept = ROOT / "release" / "scores"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", nargs="*", type=Path,
                        default=sorted(kept.glob("student-fold-?.csv")))  # fmt: skip
    parser.add_argument("--kind", nargs="+", choices=("misses", "alarms", "unjudged"),
                        default=["misses"])  # fmt: skip
    parser.add_argument("--sources", nargs="+")
    parser.add_argument("--sequence")
    parser.add_argument("--by-type", action="store_true", help="so many of each type of tumor")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--side", type=int, default=224, help="pixels of a slice")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--columns", type=int, default=5)
    options = parser.parse_args()
    scores = read_folds(options.scores)
    judged, _ = judge_on_others(scores, scores.fold)
    chosen: list[int] = []
    for kind in options.kind:
        rows, wrong = find_wrong(scores, judged, kind)
        print(f"\n{kind}: {wrong.sum():,} of {rows.sum():,} slices\n")
        count_kinds(judged, rows, wrong)
        for part in list_parts(scores, wrong & choose_rows(scores, options), options.by_type):
            chosen += choose_worst(scores, part, kind, options.count)
    print()
    for number, index in enumerate(chosen, start=1):
        print(f"{number}. {describe(judged, index)}")
    if options.picture:
        drawn = draw_sheet(judged, chosen, options)
        drawn.quantize(96, Image.Quantize.FASTOCTREE).save(options.picture, optimize=True)


if __name__ == "__main__":
    main()
