"""Which evidence of a series works best, and how good are verdicts of studies? On held-out scores.

Takes score files of sources left out (one a fold, as `evaluate --scores`) and prints, with 95 %
intervals over patients, without series and studies in which a model recognises a copy:

1. rules that need no fit (largest slice, two neighbours, top three, mean, best 10 mm), and the
   fitted sum of features, whose numbers come from the other folds: AUC, and tumors found at 10
   alarms per 100 tumor-free series; as a whole and by sequence, with the paired difference of the
   AUC from that of the largest slice. A sequence with fewer than 20 tumor-free series is set
   against those of all sequences (marked with *);
2. alarms of "any slice" at the same share of tumors found, beside those of the fitted sum;
3. all studies, and those with two or more sequences against their best single sequence, paired;
4. the peak of a series with a tumor: whether it lies at the lesion, as in the pointing game, if
   the scores hold that;
5. the tumor-free series that are called a tumor, and where their evidence lies.

With --brain, slices whose mask of the brain is empty in a manifest (as release/label_data.py writes
it) are not judged. This shows what a perfect map of the brain would gain. With --half, all figures
use half of the patients, so that the other half can check a choice. With --other-patients, the
numbers of the fitted sum come from other patients of all folds: those fitted without one fold lie
on a scale of their own, and a ranking over all folds mixes the scales.

    python benchmarks/study_evidence.py y0.csv y1.csv y2.csv y3.csv [--whole-heads] [--half 0]
        [--brain labelled.csv] [--other-patients]
"""

from __future__ import annotations

import argparse
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from tumorlens.data.manifest import read_data
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import (
    bound_exactly,
    bound_replicates,
    draw_weights,
    replicate_family,
)
from tumorlens.evaluation.figures.ranking import ranking_family
from tumorlens.evaluation.score_files import pool_scores
from tumorlens.evaluation.scores import Scores
from tumorlens.evaluation.series_and_studies.labelled_series import LabelledSeries
from tumorlens.evaluation.series_and_studies.study_fitting import judge_crosswise, list_fit_series
from tumorlens.logits import to_logit
from tumorlens.studies.profile import HEAD_MM, Profile

FEW = 20
SHOWN = ("auc", "sensitivity_at_specificity_90")


def rules_of(series: LabelledSeries) -> dict[str, float]:
    """Scores of a series that no fit has seen."""
    z, profile = series.logits, series.profile
    return {
        "largest slice": float(z.max()),
        "two neighbours": float(np.minimum(z[1:], z[:-1]).max()) if len(z) > 1 else float(z[0]),
        "top three": float(np.sort(z)[-3:].mean()),
        "mean of slices": float(z.mean()),
        "mean in mm": profile.mean,
        "best 10 mm": profile.top(10),
        "best 30 mm": profile.top(30),
        "best 10 mm, ends less": discount_ends(profile).top(10),
    }


def discount_ends(profile: Profile, length_mm: float = 30, most: float = 4) -> Profile:
    """With less evidence towards both ends of a whole head, where necks and caps lie."""
    place = profile.at_mm
    if profile.length_mm < 120:
        return profile
    end = np.minimum(place - place[0], place[-1] - place)
    return replace(profile, logit=profile.logit - most * np.clip(1 - end / length_mm, 0, 1))


def rank(scores: Scores, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, int]:
    """The figures of `SHOWN`, their replicates, and the groups that carry them."""
    grouped = GroupedScores.of(scores)
    family = ranking_family(grouped, (0.9,))
    place = [[one.name for one in family.statistics].index(name) for name in SHOWN]
    weights = draw_weights(len(grouped.names)) if weights is None else weights
    values = np.array([family.statistics[i].value for i in place])
    return values, replicate_family(family, weights)[:, place], grouped.groups_of_both


def word(values: np.ndarray, drawn: np.ndarray, groups: int) -> str:
    cells = []
    for k, value in enumerate(values.tolist()):
        low, high = bound_replicates(drawn[:, k], groups, value=value, share=True)
        if value == 1:
            low, high = bound_exactly(groups, groups)
        cells.append(f"{value:.3f} ({low:.3f} to {high:.3f})" if groups >= FEW else f"{value:.3f}")
    return "   ".join(f"{cell:24}" for cell in cells)


def compare_rules(scores: Scores, tables: dict[str, Scores]) -> None:
    """AUC and found at 10 alarms of each rule, and of the fitted sum."""
    sequence = scores.column("sequence")
    for name in ["all", *sorted(set(sequence[scores.tumor]))]:
        well = ~scores.tumor
        mine = well if name == "all" else well & (sequence == name)
        mark = ""
        if mine.sum() < FEW:
            mine, mark = well, "*"
        rows = mine | (scores.tumor & ((sequence == name) | (name == "all")))
        ill = int((rows & scores.tumor).sum())
        print(f"\n{name}{mark}: {ill} series with, {int((rows & well).sum())} without a tumor")
        print(f"  {'':22} {'AUC':24}   found at 10 alarms per 100")
        first, base, _ = rank(tables["largest slice"].take(rows))
        for label, table in tables.items():
            values, drawn, groups = rank(table.take(rows))
            line = f"  {label:22} {word(values, drawn, groups)}"
            if label != "largest slice" and groups >= FEW:
                difference = values[0] - first[0]
                low, high = bound_replicates((drawn - base)[:, 0], groups, value=difference)
                line += f"  AUC {difference:+.3f} ({low:+.3f} to {high:+.3f})"
            print(line)


def compare_alarms(series: Sequence[LabelledSeries], fitted: Scores) -> None:
    """Alarms of "any slice over a threshold" at the share of tumors that the verdict finds."""
    largest = np.array([one.logits.max() for one in series])
    tumor, called = fitted.tumor, fitted.verdict == "tumor"
    found = called[tumor].mean()
    ill = np.sort(largest[tumor])
    level = ill[int(np.floor((1 - found) * len(ill) + 1e-9))]
    alarms, any_slice = called[~tumor].mean(), (largest[~tumor] >= level).mean()
    print(
        f"\nverdict tumor: found {found:.3f}, {100 * alarms:.1f} alarms per 100; any slice at the "
        f"same share found: {100 * any_slice:.1f} alarms per 100 ({alarms / any_slice:.2f} of it)"
    )


def compare_sequences(series: Scores, studies: Scores) -> None:
    """Studies of two or more sequences against the best single one, on the same studies."""
    several = np.array(["+" in text for text in studies.column("sequences")], bool)
    studies = studies.take(several & studies.labelled)
    chance: dict[str, dict[str, float]] = defaultdict(dict)
    for row, p in zip(series.rows, series.tumor_probability.tolist(), strict=True):
        of_group = chance[row.group_key]
        of_group[row.sequence] = max(p, of_group.get(row.sequence, 0.0))
    print(
        f"\nstudies with two or more sequences: {int(studies.tumor.sum())} with, "
        f"{int((~studies.tumor).sum())} without a tumor"
    )
    for name in sorted({sequence for one in chance.values() for sequence in one}):
        has = np.array([name in chance[row.group_key] for row in studies.rows])
        both = studies.take(has)
        if not both.tumor.any() or both.tumor.all():
            continue
        single = [chance[row.group_key][name] for row in both.rows]
        values, drawn, groups = rank(both)
        other, base, _ = rank(replace(both, tumor_probability=np.array(single)))
        low, high = bound_replicates((drawn - base)[:, 0], groups, value=values[0] - other[0])
        print(
            f"  {len(both)} with {name:5}: study AUC {values[0]:.3f}, {name} alone {other[0]:.3f}, "
            f"difference {values[0] - other[0]:+.3f} ({low:+.3f} to {high:+.3f}); found at 10 "
            f"alarms {values[1]:.3f} against {other[1]:.3f}"
        )


def measure_peaks(scores: Scores) -> None:
    """The strongest slice of the run that carries the evidence, and the strongest point on it."""
    level = float(to_logit(np.median(scores.thresholds[:, 1])))
    keys = [(row.source, row.group_key, row.sequence) for row in scores.rows]
    judged: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for key in sorted(set(keys)):
        rows = np.array([index for index, one in enumerate(keys) if one == key])
        row = scores.rows[rows[0]]
        known = np.isfinite(scores.hits[rows, 0])
        if len(rows) < 5 or not known.any() or row.position is None:
            continue
        place = np.array([(scores.rows[index].position or 0) * HEAD_MM for index in rows])
        run = Profile.of(to_logit(scores.tumor_probability[rows]), place.tolist()).find_run(level)
        low, high = run or (place.min(), place.max())
        inside = (place >= low - 0.5) & (place <= high + 0.5)
        peak = rows[np.where(inside, scores.tumor_probability[rows], -1).argmax()]
        judged[key[0], key[2]].append(bool(scores.hits[peak, 0] == 1))
    print("\npeak of the series at the lesion:")
    for (source, sequence), hits in judged.items():
        low, high = bound_exactly(sum(hits), len(hits))
        print(f"  {source} {sequence}: {sum(hits)} of {len(hits)} ({low:.3f} to {high:.3f})")


def list_alarms(series: Sequence[LabelledSeries], fitted: Scores) -> None:
    print("\nalarms:")
    for index in np.argsort(-fitted.tumor_probability):
        if fitted.tumor[index] or fitted.verdict[index] != "tumor":
            continue
        one = series[index]
        top = int(one.logits.argmax())
        place = one.positions[top]
        where = "unknown" if place is None else f"{place / HEAD_MM:.2f} of the head"
        print(
            f"  {one.row.source} {one.row.group_key} {one.row.sequence}: "
            f"{fitted.tumor_probability[index]:.2f}, largest logit {one.logits[top]:.1f} at {where}"
        )


def leave_out_empty(scores: Scores, manifest: Path) -> Scores:
    """Scores whose slices without brain, by their masks, are not judged."""
    empty: dict[Path, bool] = {}
    beyond = set()
    for row in read_data(manifest).rows:
        if row.brain is None:
            continue
        if row.brain not in empty:
            with Image.open(row.brain) as mask:
                empty[row.brain] = mask.getbbox() is None
        if empty[row.brain]:
            beyond.add(name_slice(row.path))
    verdict = scores.verdict.copy()
    verdict[[name_slice(row.path) in beyond for row in scores.rows]] = "not_judged"
    print(f"{(verdict != scores.verdict).sum()} slices show no brain")
    return replace(scores, verdict=verdict)


def tell_studies(studies: Scores) -> None:
    """AUC and found at 10 alarms of all studies, one sequence or more."""
    tumor = int(studies.tumor.sum())
    print(f"\nstudies: {tumor} with, {len(studies) - tumor} without a tumor")
    print(f"  {'fitted sum':22} {word(*rank(studies))}")


def name_slice(path: Path) -> tuple[str, ...]:
    """The end of a path: set, sequence, patient and slice; DATA may have moved."""
    return path.parts[path.parts.index("data") + 1 :] if "data" in path.parts else path.parts


def is_whole(series: LabelledSeries) -> bool:
    """From neck to cap: slices over nearly all of the head."""
    places = [one for one in series.positions if one is not None]
    return bool(places) and max(places) - min(places) >= 0.95 * HEAD_MM


def deal_half(group: str) -> int:
    return int(hashlib.md5(group.encode()).hexdigest(), 16) % 2


def tabulate(fitted: Scores, values: Iterable[float]) -> Scores:
    logit = np.array(list(values))
    return replace(fitted, tumor_probability=1 / (1 + np.exp(-logit)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", nargs="+", type=Path)
    parser.add_argument(
        "--whole-heads", action="store_true", help="tumor-free heads from neck to cap"
    )
    parser.add_argument("--half", type=int, choices=(0, 1), help="of the patients")
    parser.add_argument("--brain", type=Path, help="manifest with masks of the brain")
    parser.add_argument(
        "--other-patients", action="store_true", help="fit on other patients, not on other folds"
    )
    options = parser.parse_args()
    scores = pool_scores(options.scores)
    if options.brain:
        scores = leave_out_empty(scores, options.brain)
    judged = judge_crosswise(scores, by_fold=not options.other_patients)
    print(f"{scores.name}: {judged.how}")
    series = {one.row.path: one for one in list_fit_series(scores)}
    judged_series, studies = (
        one.take(one.seen != 1) for one in (judged.series, judged.studies)
    )  # those with a copy that a model recognises are no test
    fitted = judged_series.take([row.path in series for row in judged_series.rows])
    kept = [series[row.path] for row in fitted.rows]
    if options.whole_heads or options.half is not None:
        rows = [
            (one.row.label == "tumor" or is_whole(one) or not options.whole_heads)
            and options.half in (None, deal_half(one.row.group_key))
            for one in kept
        ]
        fitted = fitted.take(rows)
        kept = [one for one, mine in zip(kept, rows, strict=True) if mine]
    rules = [rules_of(one) for one in kept]
    tables = {name: tabulate(fitted, (one[name] for one in rules)) for name in rules[0]}
    compare_rules(fitted, {**tables, "fitted sum": fitted})
    tell_studies(studies)
    compare_alarms(kept, fitted)
    list_alarms(kept, fitted)
    compare_sequences(judged_series, studies)
    measure_peaks(scores)


if __name__ == "__main__":
    main()
