"""What does another hospital in the training gain on hospitals that were left out?

    python benchmarks/learning_curve.py DATA... --leave-out NAME... --output FOLDER \\
        --share 0.25 --share 0.5 --share 1 [--seed N] [--change KEY=VALUE ...]

Trains the recipe on a share of the sources that are not left out, with the same number of draws
each time. The parts are nested: a larger share holds the sources of a smaller one. Sources with
tumors and sources without are dealt apart, in an order that the seed decides; images that are no
MRI of the brain always stay. Judged on half of the groups left out and every second slice, as
`compare_recipes.py` does. An interrupted run continues. FOLDER/curve.csv gets a row for each share:
sources, groups and slices of the training, and each figure with its interval over groups.
FOLDER/curve.png shows it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from compare_recipes import choose, evaluate, make_parser, train

from tumorlens.data.choosing import read_sets
from tumorlens.data.rows import Manifest
from tumorlens.evaluation.score_files import read_scores

NAMES = {
    "found_at_99_cleared": "found at 99 % cleared",
    "found_at_95_cleared": "found at 95 % cleared",
    "auc": "AUC of slices",
    "pointing": "pointing",
}
FIGURES = tuple(NAMES)
ENDS = ("low", "high")
ALWAYS = "not_brain_mri"


def main() -> None:
    """Parse, train what is missing, write the curve."""
    parser = make_parser(__doc__)
    parser.add_argument("--share", action="append", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--change", action="append", default=[])
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    whole = choose(read_sets(asked.data, shared_groups=True), asked.leave_out)
    with (asked.output / "curve.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["share", "sources", "groups", "slices", *_head()])
        for share in sorted(asked.share):
            part = take_share(whole, asked.leave_out, share, asked.seed)
            name = f"share-{share:g}-seed-{asked.seed}"
            file = asked.output / f"{name}.csv"
            if not file.exists():
                part.write(file)
            changes = [f"seed={asked.seed}", *asked.change]
            scores = train(asked, file, name, changes)
            table.writerow([share, *_count(part, asked.leave_out), *_measure(scores)])
            stream.flush()
    draw(asked.output / "curve.csv", asked.output / "curve.png")


def take_share(whole: Manifest, left_out: Sequence[str], share: float, seed: int) -> Manifest:
    """What is left out, and the rows of a share of all other sources."""
    with_tumor = {row.source for row in whole.rows if row.label == "tumor"} - set(left_out)
    without = {row.source for row in whole.rows} - with_tumor - set(left_out)
    without = {name for name in without if not name.startswith(ALWAYS)}
    generator = np.random.default_rng(seed)
    kept = set(left_out)
    for sources in (with_tumor, without):
        order = generator.permutation(sorted(sources)).tolist()
        kept.update(order[: ceil(share * len(order))])
    return whole.where(lambda row: row.source in kept or row.source.startswith(ALWAYS))


def draw(file: Path, picture: Path) -> None:
    """Each figure over the number of sources; a bar is its interval, where there is one."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    sources = [int(row["sources"]) for row in rows]
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for name in FIGURES:
        values = np.array([float(row[name]) for row in rows])
        ends = [
            np.array([float(row[f"{name}_{end}"] or row[name]) for row in rows]) for end in ENDS
        ]
        bars = np.abs(np.stack(ends) - values)
        axes.errorbar(sources, values, bars, marker="o", capsize=3, label=NAMES[name])
    axes.set(xlabel="sources in the training", xticks=sources, ylim=(0.3, 1))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize="small")
    figure.savefig(picture, dpi=150)


def _count(part: Manifest, left_out: Sequence[str]) -> tuple[int, int, int]:
    rows = [
        row for row in part.rows if row.source not in left_out and not row.source.startswith(ALWAYS)
    ]
    return len({row.source for row in rows}), len({row.group_key for row in rows}), len(rows)


def _head() -> Iterator[str]:
    for name in FIGURES:
        yield from (name, f"{name}_low", f"{name}_high")


def _measure(file: Path) -> Iterator[float | None]:
    whole = evaluate(read_scores(file), None).parts[0]
    for name in FIGURES:
        figure = whole.find(name)
        yield from (figure.value, figure.low, figure.high)


if __name__ == "__main__":
    main()
