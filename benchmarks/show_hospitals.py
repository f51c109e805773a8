"""What does a model find in hospitals that it never saw? One table from scores of hospital folds.

    python benchmarks/show_hospitals.py > table.md

The score files hold the slices of one fold each, scored by a model that was trained without the
hospitals of that fold. Beside each figure stands that of another program on the same slices (the
yardstick), with the paired difference, for the folds that it was run on. Without arguments, the
files are those of the repository. With --small, a second table compares a smaller model with the
large one on the fold of its file.

All figures come from `tumorlens.evaluation`: 95 % intervals by bootstrap over groups, without the
rows that `evaluate` leaves out (CT, doubtful, tiny lesions), without pictures known from the
training, and without the groups of release/wrong_labels.csv.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from hospital_rows import QUESTIONS, SMALL, Build, Choice, Question, is_free

from tumorlens.errors import DataError
from tumorlens.evaluation.assessment import align_scores
from tumorlens.evaluation.calibration import apply_point
from tumorlens.evaluation.figures.clearing import judge_chance
from tumorlens.evaluation.figures.families import compare_figures
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import Difference, Estimate, measure
from tumorlens.evaluation.scores import Scores, drop_unfit, join_scores
from tumorlens.evaluation.scoring import read_scored

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "release"))

from bundle_model import drop_wrong_labels  # noqa: E402
from operating_points import choose_points  # noqa: E402

LOTS = 5
Measured = tuple[dict[str, Estimate], int]


# The same slices, judged in three ways.


@dataclass(frozen=True)
class Judged:
    """Scores as given, ranked fold by fold, and at a `balanced` that was fitted on others."""

    views: Mapping[str, Scores]
    how: str = ""


def judge_all(scores: Scores, *, by_fold: bool) -> Judged:
    views = {"given": scores, "ranked": rank_folds(scores)}
    lots = scores.fold if by_fold else deal_groups(scores)
    try:
        balanced, told = judge_on_others(scores, lots)
    except DataError as error:
        return Judged(views, f"none, for {error}")
    return Judged({**views, "balanced": balanced}, told)


def rank_folds(scores: Scores) -> Scores:
    """Each probability as the share of the slices of its fold's tumor-free people below it.

    So one threshold over all folds is that of each fold by itself.
    """
    p = judge_chance(scores)
    free, share = is_free(scores), np.zeros(len(scores))
    for fold in set(scores.fold):
        rows = scores.fold == fold
        base = np.sort(p[rows & free])
        share[rows] = np.searchsorted(base, p[rows]) / max(len(base), 1)
    return replace(scores, tumor_probability=share)


def judge_on_others(scores: Scores, lots: npt.NDArray[np.object_]) -> tuple[Scores, str]:
    """Verdicts at the point `balanced` that was chosen on the other lots."""
    order, parts, told = [], [], []
    for lot in sorted(set(lots)):
        held = lots == lot
        rest = scores.take(~held & ~np.isin(scores.group.astype(str), list(scores.group[held])))
        point = choose_points(rest)["balanced"]
        parts.append(apply_point(scores.take(held), point))
        order.append(np.flatnonzero(held))
        told.append(f"{lot}: {point.low:.3f}, {point.high:.3f}")
    return join_scores(parts).take(np.argsort(np.concatenate(order))), "; ".join(told)


def deal_groups(scores: Scores) -> npt.NDArray[np.object_]:
    names, code = np.unique(scores.group.astype(str), return_inverse=True)
    lot = np.random.default_rng(0).permutation(len(names)) % LOTS
    return lot[code].astype(str).astype(object)


@dataclass(frozen=True)
class Table:
    """A model, and another one beside it on the rows that both have."""

    model: Judged
    same: Judged | None = None
    other: Judged | None = None

    def answer(self, question: Question) -> list[str]:
        """The cells of a row."""
        mine, size = self.measure("model", question)
        theirs, common = self.measure("other", question)
        difference = self.compare(question)
        title = question.what + (f"; aim {question.aim}" if question.aim else "")
        one, two = mine.get(question.figure), theirs.get(question.figure)
        if one is None or one.value is None:
            return [title, "no slices" if not size else "–", "", "", "", ""]
        return [
            title,
            spell(one, question),
            count(one, question, size),
            "" if two is None else spell(two, question),
            "" if difference is None else spell_difference(difference, question),
            "" if two is None else "all" if common == size else count(two, question, common),
        ]

    def measure(self, side: str, question: Question) -> Measured:
        """Figures of the row's slices, and how many slices these are."""
        judged: Judged | None = getattr(self, side)
        if judged is None or question.view not in judged.views:
            return {}, 0
        return measure_rows(judged.views[question.view], question.rows, question.build)

    def compare(self, question: Question) -> Difference | None:
        pair = [one.views.get(question.view) for one in (self.same, self.other) if one]
        if len(pair) < 2 or None in pair:
            return None
        return compare_rows(*pair, question.rows, question.build).get(question.figure)


@cache
def measure_rows(scores: Scores, rows: Choice, build: Build) -> Measured:
    part = scores.take(rows(scores))
    if not len(part):
        return {}, 0
    grouped = GroupedScores.of(part)
    return {one.name: one for one in measure(build(grouped), grouped.names)}, len(part)


@cache
def compare_rows(
    first: Scores,
    second: Scores,
    rows: Choice,
    build: Build,
) -> dict[str, Difference]:
    chosen = rows(first)
    if not chosen.any():
        return {}
    pair = [GroupedScores.of(one.take(chosen)) for one in (first, second)]
    return {one.name: one for one in compare_figures(*pair, build=build)}


def spell(one: Estimate, question: Question) -> str:
    if one.value is None:
        return "–"
    low, high = one.low, one.high
    if question.turned:
        low, high = (None if end is None else 1 - end for end in (high, low))
    value = 1 - one.value if question.turned else one.value
    return f"{value:.3f}" if low is None else f"{value:.3f} ({low:.3f}–{high:.3f})"


def spell_difference(one: Difference, question: Question) -> str:
    ends = [one.difference, one.low, one.high]
    if question.turned:
        ends = [None if end is None else -end for end in (one.difference, one.high, one.low)]
    told = [f"{end:+.3f}".replace("-", "−") for end in ends if end is not None]
    return told[0] if len(told) == 1 else f"{told[0]} ({told[1]} to {told[2]})"


def count(one: Estimate, question: Question, size: int) -> str:
    slices = f"{size:,}" if question.unit == "of the row" else f"{one.n:,}"
    unit = "" if question.unit in ("slices", "of the row") else f" {question.unit}"
    return f"{slices}{unit}, {one.groups:,}"


# Reading and printing.


def read_folds(files: Sequence[Path]) -> Scores:
    """The rows that count, with the pointing game where the files or the data tell it."""
    scores = drop_wrong_labels(drop_unfit(read_scored(files).scores)[0])
    return scores.take(scores.seen != 1)


def put_beside(scores: Scores, other: Scores) -> tuple[Scores, Scores]:
    """Both models on the rows that the other one was run on."""
    known = {(row.path, row.frame or 0) for row in other.rows}
    same = scores.take(np.array([(row.path, row.frame or 0) in known for row in scores.rows]))
    # Masks, skull and notes are those of our table: the other one may lack them.
    return same, replace(align_scores(same, other), rows=same.rows, fold=same.fold)


def tell_apart(scores: Scores) -> Scores:
    """Unfamiliar is also what is not judged, since either says "no MRI of the brain"."""
    blank = scores.verdict == "not_judged"
    return replace(scores, verdict=np.where(blank, "unfamiliar", scores.verdict).astype(object))


def print_table(table: Table, questions: Sequence[Question], other: str) -> None:
    heads = ["figure", "value (95 % interval)", "slices, groups", other, "difference",
             "slices, groups compared"]  # fmt: skip
    rows = [table.answer(question) for question in questions]
    if {row[-1] for row in rows} <= {"", "all"}:  # both models have every slice
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def describe(table: Table, others: str) -> str:
    folds = ", ".join(sorted(set(table.model.views["given"].fold)))
    lines = [
        f"Folds {folds}, each scored by a model that never saw its hospitals. Probabilities are "
        "those that each model gives, calibrated on validation patients of its own training "
        "hospitals: no label of a fold has put the four models on one scale. So one threshold over "
        "all folds also measures how far their scales differ; the rows of each fold, and the rows "
        "with each fold's own threshold, do not.",
        f"`balanced` (low, high) was chosen on {others}, for each: {table.model.how}.",
    ]
    if table.same and table.other:
        compared = ", ".join(sorted(set(table.same.views["given"].fold)))
        lines.append(
            f"Beside it: folds {compared}, each model with points of its own. In these folds: "
            f"{table.same.how}; of the other model: {table.other.how}. So a difference at "
            "`balanced` is not that of the two values beside it, where other folds took part in "
            "choosing ours."
        )
    return "\n\n".join(lines) + "\n"


def main() -> None:
    kept = ROOT / "release" / "scores"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", nargs="*", type=Path,
                        default=sorted(kept.glob("student-fold-?.csv")))  # fmt: skip
    parser.add_argument("--beside", nargs="*", type=Path,
                        default=sorted(kept.glob("yardstick-fold-?.csv")))  # fmt: skip
    parser.add_argument("--no-brain", type=Path, default=kept / "no-brain-kinds-students.csv",
                        help="images of other things, scored by the same models")  # fmt: skip
    parser.add_argument("--small", type=Path, help="scores of a smaller model on one of the folds")
    parser.add_argument("--other-patients", action="store_true",
                        help="choose `balanced` on other patients, not on other folds")  # fmt: skip
    options = parser.parse_args()
    judge = partial(judge_all, by_fold=not options.other_patients)
    scores = read_folds(options.scores)
    model = judge(scores)
    other_things = tell_apart(read_folds([options.no_brain]))
    table = Table(replace(model, views={**model.views, "other things": other_things}))
    if options.beside:
        table = Table(table.model, *map(judge, put_beside(scores, read_folds(options.beside))))
    lots = f"other patients ({LOTS} lots)" if options.other_patients else "the other folds"
    print(describe(table, lots))
    print_table(table, QUESTIONS, "yardstick")
    if options.small:
        pair = put_beside(scores, read_folds([options.small]))
        large, small = (Judged({"given": one}) for one in pair)
        print()
        print_table(Table(small, small, large), SMALL, "large model")


if __name__ == "__main__":
    main()
