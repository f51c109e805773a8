"""How well do shortcuts predict the label, and how good is a model where they are wrong?

    python benchmarks/audit_nuisance.py SETS --cache FILE.npz [--scores SCORES.csv ...]

SETS is the folder that holds the sets, each with its manifest; pictures that are noted as doubtful,
CT or abdomen are left out. A shortcut is a property that predicts the label without the brain. The
classifier of `tumorlens audit` gets border, histogram, size and compression of the files, or
border, histogram and sharpness of the prepared images. Its AUC is cross-validated over groups, in
all sets together and in each set.

Then each table of scores of a model is read. The same classifier, cross-validated on the rows of
the table, calls as many slices a tumor as there are tumors. Printed are the sensitivity and the
specificity of the model at the middle threshold: on the slices where the classifier is right, and
on those where it is wrong. A model that relies on shortcuts fails on the latter. Intervals: 95 %,
by bootstrap over groups.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tumorlens.auditing.shortcuts import measure_label_shortcut, tell_label
from tumorlens.auditing.traits import measure_rows
from tumorlens.data.manifest import read_data
from tumorlens.data.rows import Row
from tumorlens.evaluation.figures.grouped_scores import GroupedScores, Ratio, ratio_family
from tumorlens.evaluation.figures.intervals import Estimate, measure
from tumorlens.evaluation.score_files import read_scores
from tumorlens.evaluation.scores import Scores

LEFT_OUT = ("doubtful", "CT head", "abdomen CT")
WEB = ("navoneel", "br35h", "nickparvar", "cheng")  # one numbering of groups
PLACES = ("file", "prepared")

Features = dict[str, np.ndarray]


def key_of(row: Row) -> str:
    return f"{row.path.resolve()} {row.frame or 0}"


def read_rows(sets: Path) -> dict[str, list[Row]]:
    found = {}
    for file in sorted(sets.glob("*/manifest.csv")):
        rows = [row for row in read_data(file).rows if row.label and row.group]
        rows = [row for row in rows if not any(note in row.note for note in LEFT_OUT)]
        if rows:
            found[file.parent.name] = rows
    return found


def read_features(rows: list[Row], cache: Path) -> Features:
    """Place -> (n, F) of all rows; NaN for what cannot be read."""
    if not cache.is_file():
        traits = measure_rows(rows)
        tables = {}
        for place in PLACES:
            known = [getattr(one, f"on_{place}") for one in traits]
            width = next(len(one) for one in known if one is not None)
            empty = np.full(width, np.nan, np.float32)
            tables[f"on_{place}"] = np.stack([empty if one is None else one for one in known])
        np.savez(cache, keys=np.array([key_of(row) for row in rows]), **tables)
    held = np.load(cache)
    places = {key: number for number, key in enumerate(held["keys"].tolist())}
    order = [places[key_of(row)] for row in rows]
    return {place: held[f"on_{place}"][order] for place in PLACES}


def name_groups(name: str, rows: list[Row]) -> list[str]:
    return [row.group if name in WEB else f"{name} {row.group}" for row in rows]


def show(one: Estimate | None) -> str:
    if one is None or one.value is None:
        return "–"
    span = "" if one.low is None else f" ({one.low:.2f}–{one.high:.2f})"
    return f"{one.value:.2f}{span}"


def measure_sets(sets: dict[str, list[Row]], features: Features) -> None:
    print("| set | slices | AUC, files | AUC, prepared |\n|---|---|---|---|", flush=True)
    start = 0
    parts = []
    for name, rows in sets.items():
        parts.append((name, rows, name_groups(name, rows), slice(start, start + len(rows))))
        start += len(rows)
    everything = [row for rows in sets.values() for row in rows]
    groups = [group for _, _, mine, _ in parts for group in mine]
    for name, rows, mine, part in (("all", everything, groups, slice(None)), *parts):
        if len({row.label for row in rows}) < 2:
            continue
        told = [measure_label_shortcut(rows, mine, features[place][part]) for place in PLACES]
        print(f"| {name} | {len(rows):,} | {show(told[0])} | {show(told[1])} |", flush=True)


def measure_model(file: Path, rows: list[Row], features: Features) -> None:
    scores = read_scores(file)
    places = {key_of(row): number for number, row in enumerate(rows)}
    kept = [n for n, row in enumerate(scores.rows) if row.label and key_of(row) in places]
    if len({scores.rows[n].label for n in kept}) < 2:
        print(f"\n{file.name}: one label only, which nuisance cannot tell")
        return
    scores = scores.take(np.array(kept))
    order = [places[key_of(row)] for row in scores.rows]
    print(f"\n{file.name}: {len(scores):,} slices")
    print("| nuisance of | its AUC | slices | sensitivity | specificity |\n|---|---|---|---|---|")
    for place in PLACES:
        seen = features[place][order]
        told = tell_label(scores.rows, scores.group.tolist(), seen)
        if told is None:
            continue
        area = show(measure_label_shortcut(scores.rows, scores.group.tolist(), seen))
        called = told > np.quantile(told, 1 - scores.tumor.mean())
        right = called == scores.tumor
        for words, chosen in (("right", right), ("wrong", ~right)):
            cells = (show(one) for one in measure_part(scores.take(np.flatnonzero(chosen))))
            print(f"| {place} | {area} | {chosen.sum():,} {words} | " + " | ".join(cells) + " |")


def measure_part(scores: Scores) -> list[Estimate]:
    grouped = GroupedScores.of(scores)
    called, tumor = scores.called, scores.tumor
    ratios = [
        Ratio("sensitivity", called & tumor, tumor),
        Ratio("specificity", ~called & ~tumor, ~tumor),
    ]
    return measure([ratio_family(grouped, ratios)], grouped.names)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--scores", type=Path, nargs="+", default=[])
    asked = parser.parse_args()
    sets = read_rows(asked.sets)
    rows = [row for mine in sets.values() for row in mine]
    features = read_features(rows, asked.cache)
    measure_sets(sets, features)
    for file in asked.scores:
        measure_model(file, rows, features)


if __name__ == "__main__":
    main()
