"""Does `tumorlens calibrate --misses` keep its promise? Simulated sites whose truth is known.

A simulated site draws tumor studies and chooses the threshold with `bound_misses`. The simulated
world tells which share of all future tumor studies lies below it. The promise holds if at most 5 %
of the sites miss more than was promised. Two other ways stand beside it: a percentile of the scores
of the site (the usual way), and all studies of a patient taken as independent patients.

    python benchmarks/miss_bound.py [--sites 4000]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import norm

from tumorlens.data.rows import Row
from tumorlens.errors import DataError
from tumorlens.evaluation.scores import Scores, as_text
from tumorlens.evaluation.series_and_studies.misses import bound_misses, count_allowed

WORLDS = {"even": 0.0, "two kinds of tumor": 3.0}
"""How far the log-odds of the rarer kind of tumor (one in five) lie below those of the others."""
VISIT = 0.3
"""Spread of the log-odds of one patient's studies around their own mean."""


def draw_logits(patients: int, gap: float, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(2, 1.5, patients) - gap * (rng.random(patients) < 0.2)


def share_below(logit: float, gap: float, visits: int) -> float:
    """The share of all tumor studies below a threshold."""
    spread = np.hypot(1.5, VISIT * (visits > 1))
    return float(0.8 * norm.cdf(logit, 2, spread) + 0.2 * norm.cdf(logit, 2 - gap, spread))


def tabulate(logits: np.ndarray, groups: np.ndarray) -> Scores:
    n = len(logits)
    rows = tuple(
        Row(path=Path(f"/{i}"), group=f"p{g}", label="tumor") for i, g in enumerate(groups)
    )
    return Scores(
        rows=rows,
        name="site",
        classes=(),
        tumor_probability=1 / (1 + np.exp(-logits)),
        probabilities=np.empty((n, 0)),
        unfamiliarity=np.zeros(n),
        verdict=as_text(["tumor"] * n),
        thresholds=np.full((n, 3), 0.5),
        peak_xy=np.full((n, 2), np.nan),
        boxes=as_text([""] * n),
        fold=as_text([""] * n),
        seen=np.full(n, np.nan),
        hits=np.full((n, 3), np.nan),
    )


def try_sites(patients: int, misses: float, gap: float, sites: int, visits: int) -> str:
    """One line: how often more than promised is missed, by the bound and by other ways."""
    rng = np.random.default_rng(patients)
    broken = {"bound": 0, "percentile": 0, "visits as cases": 0}
    share = []
    for _ in range(sites):
        patient = draw_logits(patients, gap, rng)
        groups = np.repeat(np.arange(patients), visits)
        logits = patient[groups] + rng.normal(0, VISIT, len(groups)) * (visits > 1)
        lowest = np.sort(logits)
        try:
            bound = bound_misses(tabulate(logits, groups), misses)
        except DataError:
            return f"{patients:5} {misses:5.2f}  refused: too few"
        chosen = np.log(bound.threshold / (1 - bound.threshold))
        true = share_below(chosen, gap, visits)
        share.append(true)
        broken["bound"] += true > misses
        broken["percentile"] += share_below(np.quantile(patient, misses), gap, visits) > misses
        allowed = count_allowed(len(logits), misses) or 0
        broken["visits as cases"] += share_below(lowest[allowed], gap, visits) > misses
    rates = "  ".join(f"{count / sites:9.3f}" for count in broken.values())
    return f"{patients:5} {misses:5.2f}  {rates}  {np.mean(share):10.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=int, default=4000)
    options = parser.parse_args()
    for name, gap in WORLDS.items():
        for visits in (1, 3):
            print(
                f"\n{name}, {visits} studies a patient: share of sites that miss more than promised"
            )
            print("cases  miss      bound  percentile  visits as cases  missed on average")
            for patients, misses in ((13, 0.2), (14, 0.2), (29, 0.1), (59, 0.05), (100, 0.1)):
                print(try_sites(patients, misses, gap, options.sites, visits), flush=True)


if __name__ == "__main__":
    main()
