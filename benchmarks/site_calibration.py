"""Does `tumorlens calibrate` help a site? It is fitted on some groups, and measured on the others.

Takes the scores of a source that the model was not trained on (scores.csv of `train --leave-out`,
or `evaluate --save-scores`), draws N groups to calibrate on, and prints ECE, Brier score and loss
of the remaining groups before and after, with the paired difference and its 95 % interval; then
how often the ECE fell over many such draws.

    python benchmarks/site_calibration.py scores.csv --source tcga_lgg --groups 25 50
"""

from __future__ import annotations

import argparse

import numpy as np

from tumorlens.evaluation.calibration import apply_calibration, fit_logit
from tumorlens.evaluation.figures.families import compare_figures
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.reliability import assign_bins, calibration_error
from tumorlens.evaluation.score_files import read_scores
from tumorlens.evaluation.scores import Scores, drop_unfit

SHOWN = ("ece", "brier", "loss")


def part_groups(scores: Scores, groups: int, seed: int) -> tuple[Scores, Scores]:
    """The slices of ``groups`` random groups, and all others."""
    grouped = GroupedScores.of(scores)
    chosen = np.random.default_rng(seed).permutation(len(grouped.names))[:groups]
    inside = np.isin(grouped.codes, chosen)
    return scores.take(inside), scores.take(~inside)


def measure_error(scores: Scores) -> float:
    return calibration_error(scores.tumor_probability, scores.tumor, assign_bins(scores))


def try_groups(scores: Scores, groups: int, draws: int) -> None:
    changes = []
    for seed in range(draws):
        site, rest = part_groups(scores, groups, seed)
        fitted = fit_logit(site.tumor_probability, site.tumor, site.group)
        after = apply_calibration(rest, fitted)
        changes.append(measure_error(after) - measure_error(rest))
        if seed == 0:
            print(
                f"\n{groups} groups ({len(site)} slices) to calibrate on, {len(rest)} slices left; "
                f"scale x {fitted.scale:.2f}, offset {fitted.offset:+.2f}"
            )
            for one in compare_figures(GroupedScores.of(after), GroupedScores.of(rest)):
                if one.name in SHOWN:
                    low, high = (
                        f"{end:+.3f}" if end is not None else "–" for end in (one.low, one.high)
                    )
                    print(f"  {one.name:6} {one.other:.3f} -> {one.value:.3f}: "
                          f"{one.difference:+.3f} ({low} to {high})")  # fmt: skip
    fell = np.mean(np.array(changes) < 0)
    print(f"  over {draws} draws: ECE fell in {fell:.0%}, by {-np.median(changes):.3f} (median)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores")
    parser.add_argument("--source", help="only rows of this source")
    parser.add_argument("--groups", type=int, nargs="+", default=[25, 50])
    parser.add_argument("--draws", type=int, default=100)
    options = parser.parse_args()
    scores = drop_unfit(read_scores(options.scores))[0]
    scores = scores.take(scores.labelled)
    if options.source:
        scores = scores.take(scores.column("source") == options.source)
    for groups in options.groups:
        try_groups(scores, groups, options.draws)


if __name__ == "__main__":
    main()
