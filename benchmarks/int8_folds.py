"""What eight bits cost on patients that neither the model nor its calibration has seen.

Takes the folder of `tumorlens train --folds K` and the DATA that it was trained on. Each fold's
model is made int8 as `tumorlens export` does it, fitted on slices of the fold's training groups,
and judges the whole held-out fold. The scores.csv of the fold holds its float32 answers. The table
has a line for each fold and each source in it, then for all folds together and each source in all
of them. Intervals: 95 %, bootstrap over groups. If --scores already holds the int8 scores of a
fold, they are not made again.

    python benchmarks/int8_folds.py RUN DATA... --scores FOLDER --output int8.csv
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tumorlens.data.choosing import read_sets
from tumorlens.data.rows import Manifest
from tumorlens.detector import Detector
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import FEW_GROUPS, draw_weights, replicate_family
from tumorlens.evaluation.figures.ranking import ranking_family
from tumorlens.evaluation.score_files import read_scores, write_scores
from tumorlens.evaluation.scores import Scores, join_scores
from tumorlens.evaluation.scoring import score_manifest
from tumorlens.exporting.int8.integers import convert
from tumorlens.exporting.samples import draw_slices, prepare_images

CALIBRATION = 256
REPLICATES = 1000
COLUMNS = (
    *("fold", "source", "slices", "groups", "verdicts_equal", "verdicts_low", "verdicts_high"),
    *("largest_difference", "mean_difference", "auc_change", "auc_low", "auc_high"),
)
Pair = tuple[Scores, Scores]


def judge_fold(folder: Path, whole: Manifest, ours: Path) -> Pair:
    """Scores of int8 and of float32 on the fold that was held out."""
    before = read_scores(folder / "scores.csv")
    if not ours.exists():
        held = set(before.column("group").tolist())
        seen = whole.where(lambda row: row.label != "" and row.group_key not in held)
        spec = Detector(folder / "model.onnx", threads=1).card.preprocess
        images = list(prepare_images(draw_slices(seen, CALIBRATION), spec))
        with TemporaryDirectory() as place:
            convert(folder / "model.onnx", Path(place) / "int8.onnx", images)
            small = Detector(Path(place) / "int8.onnx", threads=1)
            write_scores(ours, score_manifest(small, whole.with_rows(before.rows)).scores)
    after = read_scores(ours)
    assert [row.path for row in after.rows] == [row.path for row in before.rows], folder
    return after, before


def bound(drawn: Any, groups: int) -> tuple[str, str]:
    if groups < FEW_GROUPS:
        return "", ""
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return f"{low:.5f}", f"{high:.5f}"


def compare(fold: str, source: str, after: Scores, before: Scores) -> dict[str, Any]:
    """One line of the table."""
    grouped, other = GroupedScores.of(after), GroupedScores.of(before)
    weights, groups = draw_weights(len(grouped.names), REPLICATES, 0), len(grouped.names)
    equal = (after.verdict == before.verdict).astype(float)
    gap = np.abs(after.tumor_probability - before.tumor_probability)
    size = np.bincount(grouped.codes, minlength=groups)
    shares = (weights @ np.bincount(grouped.codes, equal, groups)) / (weights @ size)
    families = [ranking_family(one) for one in (grouped, other)]
    change = families[0].statistics[0].value - families[1].statistics[0].value
    ours, theirs = (replicate_family(one, weights)[:, 0] for one in families)
    known = bool(np.isfinite(change))
    values = (
        *(fold, source, len(after), groups, f"{equal.mean():.5f}", *bound(shares, groups)),
        *(f"{gap.max():.4f}", f"{gap.mean():.5f}", f"{change:+.5f}" if known else ""),
        *(bound(ours - theirs, groups) if known else ("", "")),
    )
    return dict(zip(COLUMNS, values, strict=True))


def compare_parts(fold: str, after: Scores, before: Scores) -> Iterator[dict[str, Any]]:
    yield compare(fold, "all", after, before)
    sources = after.column("source")
    for source in sorted(set(sources.tolist())):
        yield compare(fold, source, *(one.take(sources == source) for one in (after, before)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--scores", type=Path, required=True, help="folder of int8's scores")
    parser.add_argument("--output", type=Path, required=True, help="the table, CSV")
    options = parser.parse_args()
    options.scores.mkdir(parents=True, exist_ok=True)
    whole = read_sets(options.data, shared_groups=True)
    pairs: list[Pair] = []
    lines = []
    for folder in sorted(options.run.glob("fold-*")):
        fold = folder.name.removeprefix("fold-")
        if (folder / "scores.csv").exists():
            pairs.append(judge_fold(folder, whole, options.scores / f"fold-{fold}.csv"))
            lines += compare_parts(fold, *pairs[-1])
            print(lines[-1]["fold"], *compare(fold, "all", *pairs[-1]).values(), flush=True)
    lines += compare_parts("all", *(join_scores(side) for side in zip(*pairs, strict=True)))
    with options.output.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(lines)


if __name__ == "__main__":
    main()
