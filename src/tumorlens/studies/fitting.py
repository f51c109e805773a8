"""Fitting the numbers of a `StudyModel` on labelled series and studies.

Two small logistic regressions with priors. Series are few and come from few sites, so that each
sequence borrows from all others: its weights are drawn to common ones, the more the fewer series of
its rarer label there are. Weights are never negative: more evidence of a tumor in a place must not
speak against one. Labels are balanced inside each sequence, so that a probability means: among as
many heads with as without a tumor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorlens.optional import load
from tumorlens.studies.profile import FEATURES
from tumorlens.studies.study_model import OTHER, SeriesTerms, StudyTerms

__all__ = ["SeriesToFit", "StudyToFit", "fit_series_terms", "fit_shift", "fit_study_terms"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

PRIOR = {"top_10mm": 0.4, "most_30mm": 0.4, "quiet": 0.3}
"""Weights before any case is seen. Features are logits of calibrated slices, so that weights near
these say what the slices say. Series come from few sites: numbers that follow them freely tell
these sites apart, and do worse on the next."""
WEIGHT_SPREAD, OFFSET_SPREAD = 0.3, 2.0
"""Prior standard deviations of a common weight around `PRIOR`, and of the offset around 0."""
SEQUENCE_SPREAD, SEQUENCE_OFFSET_SPREAD = 0.2, 0.5
"""Prior standard deviations of the weight and offset of a sequence around the common ones."""
STUDY_SPREAD = 0.3
"""Prior standard deviations: a sequence's weight in a study around 1, ``alike`` around `ALIKE`."""
ALIKE = 0.5
SHIFT_SPREAD = (0.7, 2.0)
"""Prior standard deviations of log(scale) and offset around 0, for the shift to a site."""


@dataclass(frozen=True)
class SeriesToFit:
    """A labelled series.

    Attributes:
        group: the patient.
        sequence: FLAIR, T1, T1c, T2, other.
        tumor: the label.
        features: as `profile.measure_features` gives them.
    """

    group: str
    sequence: str
    tumor: bool
    features: Mapping[str, float]


@dataclass(frozen=True)
class StudyToFit:
    """A labelled study.

    Attributes:
        group: the patient.
        tumor: the label.
        logits: (sequence, log-odds) of each series.
    """

    group: str
    tumor: bool
    logits: Sequence[tuple[str, float]]


def fit_series_terms(series: Sequence[SeriesToFit]) -> dict[str, SeriesTerms]:
    """Terms of each sequence; ``other`` holds the common ones.

    Args:
        series: of both labels.
    """
    measured = [[1.0, *(one.features[name] for name in FEATURES)] for one in series]
    design = np.array(measured, np.float64)
    tumor = np.array([one.tumor for one in series], bool)
    sequence = np.array([one.sequence for one in series], object)
    weight = _balance(tumor, sequence, _count_as_one(series)) * (sequence != OTHER)
    names = sorted({str(name) for name in sequence[weight > 0]})
    code = np.array([names.index(one) if one in names else 0 for one in sequence], np.intp)
    sign = np.where(tumor, 1.0, -1.0)
    width = design.shape[1]
    prior = np.array([0.0, *(PRIOR[name] for name in FEATURES)])
    wide = np.array([OFFSET_SPREAD, *[WEIGHT_SPREAD] * len(FEATURES)])
    narrow = np.array([SEQUENCE_OFFSET_SPREAD, *[SEQUENCE_SPREAD] * len(FEATURES)])

    def cost(parameters: FloatArray) -> tuple[float, FloatArray]:
        common, own = parameters[:width], parameters[width:].reshape(-1, width)
        margin = sign * (design * own[code]).sum(axis=1)
        slope = -sign * weight / (1 + np.exp(np.clip(margin, -500, 500)))
        gradient = np.zeros_like(own)
        np.add.at(gradient, code, slope[:, None] * design)
        apart, away = (own - common) / narrow, (common - prior) / wide
        loss = weight @ np.logaddexp(0, -margin) + ((apart**2).sum() + (away**2).sum()) / 2
        of_common = away / wide - (apart / narrow).sum(axis=0)
        return float(loss), np.concatenate([of_common, (gradient + apart / narrow).ravel()])

    if not names:  # no sequence has both labels: nothing can be learned
        return {OTHER: _name_terms(prior)}
    bounds = [(None, None), *[(0.0, None)] * len(FEATURES)] * (1 + len(names))
    found = _minimize(cost, np.tile(prior, 1 + len(names)), bounds).reshape(-1, width)
    return {name: _name_terms(terms) for name, terms in zip([OTHER, *names], found, strict=True)}


def fit_study_terms(studies: Sequence[StudyToFit]) -> StudyTerms:
    """How series add up; from studies of both labels, best those with several sequences.

    With few of them the prior stands: weights of 1, and n series count as the square root of n.
    """
    names = sorted({name for one in studies for name, _ in one.logits} - {OTHER})
    names = [OTHER, *names]
    sums = np.zeros((len(studies), len(names)))
    for row, one in zip(sums, studies, strict=True):
        for name, logit in one.logits:
            row[names.index(name)] += logit
    count = np.array([max(1, len(one.logits)) for one in studies], np.float64)
    tumor = np.array([one.tumor for one in studies], bool)
    sign = np.where(tumor, 1.0, -1.0)
    weight = _balance(tumor, np.full(len(studies), "", object), np.ones(len(studies)))

    def cost(parameters: FloatArray) -> float:
        offset, alike, weights = parameters[0], parameters[1], parameters[2:]
        margin = sign * (offset + sums @ weights / count**alike)
        prior = offset**2 + ((alike - ALIKE) / STUDY_SPREAD) ** 2
        prior += (((weights - 1) / STUDY_SPREAD) ** 2).sum()
        return float(weight @ np.logaddexp(0, -margin) + prior / 2)

    bounds = [(None, None), (0.0, 1.0), *[(0.0, None)] * len(names)]
    start = np.array([0.0, ALIKE, *[1.0] * len(names)])
    found = _minimize(cost, start, bounds, gradient=False)
    weights = dict(zip(names, found[2:].tolist(), strict=True))
    return StudyTerms(offset=float(found[0]), alike=float(found[1]), weights=weights)


def fit_shift(
    logits: FloatArray, tumor: Sequence[bool], groups: Sequence[str]
) -> tuple[float, float]:
    """Scale and offset that fit log-odds to labels, which are balanced (Platt 1999).

    A prior holds scale and offset near the identity where there are few series or studies.

    Args:
        logits: (n,) log-odds as they are.
        tumor: (n,) labels.
        groups: (n,) patients; each counts once.
    """
    label, part = np.array(tumor, bool), np.array(groups, object)
    sizes = {name: int((part == name).sum()) for name in set(groups)}
    once = np.array([1 / sizes[name] for name in groups])
    weight = _balance(label, np.full(len(label), "", object), once)
    sign = np.where(label, 1.0, -1.0)

    def cost(parameters: FloatArray) -> float:
        stretch, offset = parameters
        margin = sign * (np.exp(stretch) * logits + offset)
        prior = (stretch / SHIFT_SPREAD[0]) ** 2 + (offset / SHIFT_SPREAD[1]) ** 2
        return float(weight @ np.logaddexp(0, -margin) + prior / 2)

    stretch, offset = _minimize(cost, np.zeros(2), [(None, None)] * 2, gradient=False)
    return float(np.exp(stretch)), float(offset)


def _count_as_one(series: Sequence[SeriesToFit]) -> FloatArray:
    """A patient counts once in each sequence, however many series there are."""
    keys = [(one.group, one.sequence) for one in series]
    return np.array([1 / keys.count(key) for key in keys])


def _balance(tumor: BoolArray, part: npt.NDArray[np.object_], weight: FloatArray) -> FloatArray:
    """Weights that give both labels of a part the same sum: that of twice the harmonic mean.

    A part with one label gets none: it tells nothing of the difference.
    """
    balanced = np.zeros(len(tumor))
    for name in set(part):
        positives, negatives = (part == name) & tumor, (part == name) & ~tumor
        sizes = weight[positives].sum(), weight[negatives].sum()
        if min(sizes) > 0:
            both = 2 / (1 / sizes[0] + 1 / sizes[1])
            balanced[positives] = weight[positives] * both / sizes[0]
            balanced[negatives] = weight[negatives] * both / sizes[1]
    return balanced


def _minimize(
    cost: Callable[[FloatArray], float | tuple[float, FloatArray]],
    start: FloatArray,
    bounds: Sequence[tuple[float | None, float | None]],
    *,
    gradient: bool = True,
) -> FloatArray:
    optimize = load("scipy.optimize", "fitting the numbers for series and studies")
    # Matrices of a few dozen numbers: threads of the linear algebra would only wait for each other.
    with load("threadpoolctl").threadpool_limits(1):
        found = optimize.minimize(cost, start, jac=gradient, bounds=bounds, method="L-BFGS-B")
    return np.asarray(found.x, np.float64)


def _name_terms(terms: FloatArray) -> SeriesTerms:
    weights = dict(zip(FEATURES, terms[1:].tolist(), strict=True))
    return SeriesTerms(offset=float(terms[0]), weights=weights)
