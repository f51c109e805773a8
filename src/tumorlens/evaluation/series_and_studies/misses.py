"""Bounds the share of missed tumor studies, by an exact order statistic of a site's own studies.

Take n tumor studies of n patients, scored by numbers that none of them has set, and call from the
(k + 1)-th lowest score on. With confidence 1 - P(Binomial(n, m) <= k) at most the share m of future
tumor studies lies below it: more would only if at most k of the n fell below the m-quantile
(Wilks, Determination of sample sizes for setting tolerance limits, 1941). No distribution is
assumed, only that future patients are like these. With k = 0, 14, 29, 59 and 149 patients promise
20, 10, 5 and 2 % with 95 % confidence. Studies of one patient are alike, and slices of one head
are more so: each patient counts with one study.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, log1p

import numpy as np
import numpy.typing as npt

from tumorlens.digits import say_share
from tumorlens.errors import DataError, UsageError
from tumorlens.evaluation.figures.intervals import bound_exactly
from tumorlens.evaluation.scores import Scores
from tumorlens.model.card import OperatingPoint
from tumorlens.optional import load

__all__ = ["CONFIDENCE", "MissBound", "bound_misses", "count_allowed", "count_needed"]

CONFIDENCE = 0.95
ANSWERED = ("tumor", "no_tumor", "uncertain")
LOWEST = 1e-9
"""A threshold of 0 would call everything, unfamiliar studies with it."""


@dataclass(frozen=True)
class MissBound:
    """A threshold of studies, the bound on missed tumors that it keeps, and its alarms.

    Attributes:
        misses: largest share of tumor studies that is missed.
        confidence: confidence of this bound.
        threshold: on the tumor probability of a study; from it on the verdict is ``tumor``.
        patients: patients with a tumor whose studies chose it, one study each.
        missed: how many of them are missed: below it, or without an answer.
        unanswered: how many of these are unfamiliar or not judged; no threshold finds them.
        alarms: (at or over it, in all) tumor-free studies.
        alarm_low, alarm_high: exact 95 % interval of the share of alarms, on patients; None
            without tumor-free studies.
    """

    misses: float
    confidence: float
    threshold: float
    patients: int
    missed: int
    unanswered: int
    alarms: tuple[int, int]
    alarm_low: float | None = None
    alarm_high: float | None = None

    @property
    def point(self) -> OperatingPoint:
        """One threshold: a study is called or cleared, and never uncertain."""
        return OperatingPoint(
            low=self.threshold, middle=self.threshold, high=self.threshold, meaning=self.meaning
        )

    @property
    def meaning(self) -> str:
        """The promise in a sentence."""
        return (
            f"at most {self.misses:.3g} of tumor studies missed, with {say_share(self.confidence)} "
            f"confidence: {self.missed} of {self.patients} missed here, one study a patient"
        )


def count_allowed(patients: int, misses: float, confidence: float = CONFIDENCE) -> int | None:
    """How many of the patients may be missed; None if even with none missed nothing is promised."""
    binomial = load("scipy.stats", "a bound on misses").binom
    allowed = np.flatnonzero(binomial.cdf(np.arange(patients), patients, misses) <= 1 - confidence)
    return int(allowed[-1]) if len(allowed) else None


def count_needed(misses: float, missed: int = 0) -> int:
    """The smallest number of patients that promises a share with so many of them missed."""
    needed = max(missed + 1, ceil(log(1 - CONFIDENCE) / log1p(-misses) - 1e-9))
    while (allowed := count_allowed(needed, misses)) is None or allowed < missed:
        needed += 1
    return needed


def bound_misses(
    studies: Scores,
    misses: float,
    *,
    unjudged: int = 0,
) -> MissBound:
    """Choose the highest threshold that keeps the promise.

    Args:
        studies: one row a study, as `labelled_series.score_studies` gives them; judged by numbers
            that were not fitted on them.
        misses: share of tumor studies that may be missed, e.g. 0.1.
        unjudged: further patients with a tumor, of whom no slice shows brain.

    Raises:
        DataError: too few tumor studies; says how many are needed.
        UsageError: a share outside (0, 1).
    """
    if not 0 < misses < 1:
        raise UsageError(f"misses: expected a share between 0 and 1, such as 0.1, got {misses:g}")
    positives = _pick_one_a_patient(studies, np.asarray(studies.tumor, bool))
    answered = np.isin(studies.verdict[positives].astype(str), ANSWERED)
    # What gets no answer is missed at any threshold.
    score = np.where(answered, studies.tumor_probability[positives], -1.0)
    score = np.append(score, np.full(unjudged, -1.0))
    allowed = count_allowed(len(score), misses)
    silent = int((score < 0).sum())
    if allowed is None or allowed < silent:
        raise DataError(_say_needed(studies.name, len(score), silent, misses))
    threshold = max(LOWEST, float(np.sort(score)[allowed]))
    alarms, total, low, high = _count_alarms(studies, threshold)
    return MissBound(
        misses=misses,
        confidence=CONFIDENCE,
        threshold=threshold,
        patients=len(score),
        missed=int((score < threshold).sum()),
        unanswered=silent,
        alarms=(alarms, total),
        alarm_low=low,
        alarm_high=high,
    )


def _say_needed(name: str, patients: int, silent: int, misses: float) -> str:
    needed = count_needed(misses, silent)
    because = f", of which {silent} get no answer (unfamiliar or not judged)" if silent else ""
    return (
        f"{name}: too few tumor studies to promise that at most {misses:.3g} are missed with "
        f"{say_share(CONFIDENCE)} confidence: {patients} patients have a tumor and a series of "
        f"five slices or more{because}; expected at least {needed}: add {needed - patients} more, "
        "or allow more misses"
    )


def _pick_one_a_patient(studies: Scores, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Index of one row of each patient, chosen at random and not by its score."""
    index = np.random.default_rng(0).permutation(np.flatnonzero(rows))
    _, first = np.unique(studies.group[index].astype(str), return_index=True)
    return np.sort(index[first])


def _count_alarms(studies: Scores, threshold: float) -> tuple[int, int, float | None, float | None]:
    """Alarms among all tumor-free studies; the interval on one of each patient."""
    negatives = np.asarray(studies.labelled & ~studies.tumor, bool)
    answered = np.isin(studies.verdict.astype(str), ANSWERED)
    alarm = answered & (studies.tumor_probability >= threshold)
    if not negatives.any():
        return 0, 0, None, None
    one = _pick_one_a_patient(studies, negatives)
    low, high = bound_exactly(int(alarm[one].sum()), len(one))
    return int((alarm & negatives).sum()), int(negatives.sum()), low, high
