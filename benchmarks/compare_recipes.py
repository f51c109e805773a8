"""What does a change of the recipe gain on sources that were left out?

    python benchmarks/compare_recipes.py DATA... --leave-out NAME... --output FOLDER \\
        --variant "plain" --variant "rest loss.rest=0.5"

Trains the recipe once a variant (a name, then changes as for ``tumorlens train --set``, then other
options of it, as --name=value) without the sources named, and judges it on half of their groups
only, so that the choice does not touch the other half (--other-half: on that one). It takes every
second slice of a series. An interrupted comparison continues. FOLDER/comparison.md gets the table:
the first variant with intervals over groups, and for each other variant the paired difference from
the first.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

from tumorlens.data.choosing import read_sets
from tumorlens.data.rows import Manifest, Row
from tumorlens.data.splits import leave_out
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.evaluation.figures.intervals import FEW_GROUPS
from tumorlens.evaluation.results import Evaluation, Subset
from tumorlens.evaluation.score_files import read_scores
from tumorlens.evaluation.scores import Scores

REPLICATES = 300
FIGURES = (
    "found_at_99_cleared",
    "found_at_95_cleared",
    "auc",
    "level_matched_auc",
    "within_patient_auc",
    "sensitivity",
    "specificity",
    "pointing",
    "ece",
)


def main() -> None:
    """Parse, train what is missing, print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--variant", action="append", required=True)
    parser.add_argument("--other-half", action="store_true",
                        help="judge on the groups that did not serve to choose")  # fmt: skip
    parser.add_argument("--whole", action="store_true",
                        help="judge on every slice of each group: none is chosen")  # fmt: skip
    asked = parser.parse_args()
    file = asked.output / "data" / "manifest.csv"
    if not file.exists():
        file.parent.mkdir(parents=True)
        merged = read_sets(asked.data, shared_groups=True)
        if not asked.whole:
            merged = choose(merged, asked.leave_out, other_half=asked.other_half)
        merged.write(file)
    measured: dict[str, Evaluation] = {}
    first: Scores | None = None
    for variant in asked.variant:
        name, *changes = variant.split()
        scores = read_scores(train(asked, file, name, changes))
        measured[name] = evaluate(scores, first)
        first = first or scores
        table = tabulate(measured)
        (asked.output / "comparison.md").write_text(table, encoding="utf-8")
    print(table)


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """What each program needs that trains without sources and judges on them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--leave-out", action="append", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--recipe", default="release")
    parser.add_argument("--weights", type=Path)
    return parser


def choose(merged: Manifest, names: list[str], *, other_half: bool = False) -> Manifest:
    """Everything that may be trained on, and of what is left out the half that serves to choose."""
    kept, held_out, _ = leave_out(merged, names)
    half = held_out.where(lambda row: serves_to_choose(row) != other_half)
    return merged.with_rows([*kept.rows, *_thin(half)])


def serves_to_choose(row: Row) -> bool:
    """Whether a row's group belongs to the half on which recipes are compared."""
    return hashlib.blake2b(row.group_key.encode(), digest_size=1).digest()[0] % 2 == 0


def _thin(manifest: Manifest) -> list[Row]:
    return [row for number, row in enumerate(manifest.rows) if number % 2 == 0]


def train(asked: argparse.Namespace, file: Path, name: str, changes: list[str]) -> Path:
    """The run's scores of what was left out."""
    folder: Path = asked.output / name
    if not (folder / "scores.csv").exists():
        command = [sys.executable, "-m", "tumorlens", "train", str(file), "--recipe", asked.recipe]
        command += ["--output", str(folder), "--drop-conflicts", "--skip-unreadable", "--quiet"]
        command += ["--store", str(asked.output / "store")]
        command += [part for left in asked.leave_out for part in ("--leave-out", left)]
        for change in changes:
            command += [change] if change.startswith("--") else ["--set", change]
        command += ["--weights", str(asked.weights)] if asked.weights else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "scores.csv"


def evaluate(scores: Scores, first: Scores | None) -> Evaluation:
    """Figures by source and sequence, beside those of the first variant."""
    return evaluate_scores(scores, other=first, by=["source,sequence"], replicates=REPLICATES)


def tabulate(measured: dict[str, Evaluation]) -> str:
    """One line a source, sequence and figure, one column a variant."""
    lines = [
        "| source, sequence | figure | groups | " + " | ".join(measured) + " |",
        "|---" * (3 + len(measured)) + "|",
    ]
    first = next(iter(measured.values()))
    for part in first.parts:
        key = ", ".join(part.by.values()) or "all"
        if part.by and part.groups < FEW_GROUPS:
            continue  # too few to tell variants apart
        for figure in FIGURES:
            cells = [_word(_find(one, part), figure) for one in measured.values()]
            if any(cells):
                lines.append(f"| {key} | {figure} | {part.groups} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _find(evaluation: Evaluation, part: Subset) -> Subset:
    return next(one for one in evaluation.parts if (one.by, one.seen) == (part.by, part.seen))


def _word(part: Subset, figure: str) -> str:
    for one in part.differences:
        if one.name == figure:
            span = "" if one.low is None else f" ({one.low:+.3f} to {one.high:+.3f})"
            return f"{one.difference:+.3f}{span}"
    try:
        found = part.find(figure)
    except KeyError:
        return ""
    if found.value is None:
        return ""
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.low:.3f}–{found.high:.3f})"


if __name__ == "__main__":
    main()
