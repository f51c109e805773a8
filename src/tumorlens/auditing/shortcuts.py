"""Shortcuts: can label and source be predicted without looking at the brain?

A gradient-boosted classifier gets size, border, histogram and compression of each picture, and
nothing of its anatomy. Its predictions are cross-validated over groups. A network may reach the
same figure without looking at the brain. The disease itself explains a part: a large bright tumor
changes the histogram. So an AUC of 0.6 on prepared images proves no shortcut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tumorlens.auditing.evidence import Evidence
from tumorlens.auditing.findings import AuditFinding, Clue
from tumorlens.auditing.traits import FILE_FEATURES, PREPARED_FEATURES
from tumorlens.data.rows import Row
from tumorlens.digits import say_share
from tumorlens.evaluation.figures.grouped_scores import GroupedScores, Ratio, ratio_family
from tumorlens.evaluation.figures.intervals import FEW_GROUPS, Estimate, measure
from tumorlens.evaluation.figures.ranking import ranking_family
from tumorlens.evaluation.scores import UNKNOWN, Scores, as_text
from tumorlens.optional import load

__all__ = [
    "PLACES",
    "find_shortcuts",
    "measure_label_shortcut",
    "measure_shortcuts",
    "tell_label",
]

FloatArray = npt.NDArray[np.float64]
Array = npt.NDArray[np.float32]

LEAST_GROUPS = 10
"""Fewest groups of each label or source for which a classifier is fitted."""

MOST_ROWS = 20_000
"""Most rows that are used; of a larger set, a random sample is."""

PLACES = {"file": "the files", "prepared": "the prepared images"}
"""What the properties of a picture were measured on."""

_FOLDS = 5
_WARNED = 0.55  # a finding if the lower end of the AUC is above it
_SEEN = {
    "file": "size, border, histogram and compression",
    "prepared": "border, histogram and sharpness",
}
_NAMES = {"file": FILE_FEATURES, "prepared": PREPARED_FEATURES}
_WEIGHTS = {"file": 0.6, "prepared": 0.8}  # a network sees the prepared images


def measure_shortcuts(evidence: Evidence) -> tuple[list[Estimate], list[Clue], list[str]]:
    """How well label and source are predicted, each property alone, and what was not measured."""
    estimates: list[Estimate] = []
    clues: list[Clue] = []
    labelled = _draw([n for n in evidence.readable if evidence.rows[n].label])
    readable = _draw(evidence.readable)
    for place in PLACES:
        if labelled:
            rows, groups, features = _inputs(evidence, labelled, place)
            clues += _find_clues(rows, features, _NAMES[place], place)
            auc = measure_label_shortcut(rows, groups, features)
            if auc is not None:
                estimates.append(msgspec.structs.replace(auc, name=f"label_from_{place}"))
        told = _measure_source_shortcut(*_inputs(evidence, readable, place)) if readable else None
        if told is not None:
            estimates.append(msgspec.structs.replace(told, name=f"source_from_{place}"))
    notes = []
    for what in ("label", "source"):
        if not any(one.name.startswith(what) for one in estimates):
            notes.append(
                f"whether the {what} can be predicted without the brain was not measured: at least "
                f"two {what}s with {LEAST_GROUPS} groups each are required"
            )
    return estimates, sorted(clues, key=lambda clue: -clue.auc), notes


def find_shortcuts(evidence: Evidence, estimates: Sequence[Estimate]) -> Iterator[AuditFinding]:
    """A finding for each estimate that is too good."""
    sources = Counter(evidence.rows[row].source for row in evidence.readable)
    guess = max(sources.values(), default=0) / max(1, len(evidence.readable))
    for one in estimates:
        what, _, place = one.name.partition("_from_")
        if one.value is None:
            continue
        low = _guess_low(one, one.value) if one.low is None else one.low
        if what == "label" and low > _WARNED:
            yield _warn_of_label(one, low, place)
        elif what == "source" and low > guess:
            yield _warn_of_source(one, guess, place)


def measure_label_shortcut(
    rows: Sequence[Row], groups: Sequence[str], features: Array
) -> Estimate | None:
    """AUC of a classifier that predicts the label without the anatomy, with its interval.

    Args:
        rows: n, all with a label.
        groups: (n,) group of each row, copies joined.
        features: (n, F).

    Returns:
        None if there are too few groups of a label.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    chances = tell_label(rows, groups, features)
    if chances is None:
        return None
    scores = _as_scores(rows, groups, chances)
    grouped = GroupedScores.of(scores)
    estimates = measure([ranking_family(grouped)], grouped.names)
    return next(one for one in estimates if one.name == "auc")


def tell_label(rows: Sequence[Row], groups: Sequence[str], features: Array) -> FloatArray | None:
    """(n,) tumor probabilities without the anatomy, each from folds without the row's group.

    Arguments and None as for `measure_label_shortcut`.
    """
    labels = np.array([row.label for row in rows], object)
    chances = _cross_validate(features, labels, groups)
    if chances is None or "tumor" not in chances[1]:
        return None
    predicted, classes = chances
    return np.asarray(predicted[:, classes.index("tumor")], np.float64)


def _measure_source_shortcut(
    rows: Sequence[Row], groups: Sequence[str], features: Array
) -> Estimate | None:
    """Share of pictures whose source is predicted without the anatomy, with its interval.

    Returns:
        None if there are too few groups of a source.
    """
    sources = np.array([row.source for row in rows], object)
    chances = _cross_validate(features, sources, groups)
    if chances is None:
        return None
    predicted, classes = chances
    right = np.array(classes, object)[predicted.argmax(1)] == sources
    grouped = GroupedScores.of(_as_scores(rows, groups, predicted[:, 0]))
    family = ratio_family(grouped, [Ratio("source_accuracy", right, np.ones(len(rows)))])
    return measure([family], grouped.names)[0]


def _find_clues(
    rows: Sequence[Row], features: Array, names: Sequence[str], place: str
) -> list[Clue]:
    """Measure how well each property alone predicts the label; the strongest comes first.

    Args:
        rows: n, all with a label.
        features: (n, F).
        names: F, of the traits.
        place: what they were measured on, as in `Clue`.
    """
    tumor = np.array([row.label == "tumor" for row in rows], bool)
    if not tumor.any() or tumor.all():
        return []
    rank = load("sklearn.metrics", "shortcuts").roc_auc_score
    areas = [float(rank(tumor, column)) for column in features.T]
    clues = [
        Clue(place, name, max(area, 1 - area), area > 0.5)
        for name, area in zip(names, areas, strict=True)
    ]
    return sorted(clues, key=lambda clue: -clue.auc)


def _draw(rows: Sequence[int]) -> list[int]:
    if len(rows) <= MOST_ROWS:
        return list(rows)
    drawn = np.random.default_rng(0).choice(len(rows), MOST_ROWS, replace=False)
    return [rows[number] for number in sorted(drawn.tolist())]


def _inputs(
    evidence: Evidence, rows: Sequence[int], place: str
) -> tuple[list[Row], list[str], Array]:
    features = np.stack([getattr(evidence.traits[row], f"on_{place}") for row in rows])
    return (
        [evidence.rows[row] for row in rows],
        [evidence.units[row] for row in rows],
        features,
    )


def _guess_low(one: Estimate, value: float) -> float:
    """The value less two standard errors of a share, for want of an interval."""
    return value - 2 * float(np.sqrt(value * (1 - value) / max(1, one.groups)))


def _warn_of_label(one: Estimate, low: float, place: str) -> AuditFinding:
    return AuditFinding(
        "shortcuts",
        f"label predicted without the brain, {PLACES[place]}",
        f"{_SEEN[place]} of {PLACES[place]} predict the label with AUC {one.value:.2f}"
        f"{_span(one)}, without a look at the brain",
        "a good figure on this set proves little: test on other sources, within patients and at "
        "matched levels; collect both labels from every source",
        impact=_WEIGHTS[place] * 2 * (low - 0.5),
        estimate=one,
    )


def _warn_of_source(one: Estimate, guess: float, place: str) -> AuditFinding:
    return AuditFinding(
        "shortcuts",
        f"source predicted without the brain, {PLACES[place]}",
        f"{_SEEN[place]} of {PLACES[place]} predict the source of "
        f"{say_share(one.value or 0)} of them{_span(one)}; guessing reaches {say_share(guess)}",
        "harmless if every source has the same share of tumors; else a network learns the source",
        impact=0.1 * _WEIGHTS[place],
        estimate=one,
    )


def _span(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return f" (no interval under {FEW_GROUPS} groups)"
    return f" (95 % interval {one.low:.2f}–{one.high:.2f})"


def _cross_validate(
    features: Array, targets: npt.NDArray[Any], groups: Sequence[str]
) -> tuple[FloatArray, list[str]] | None:
    """(n, C) probabilities of each class, each from folds without the row's group."""
    keys = np.array(groups, object)
    classes = sorted(set(targets.tolist()))
    fewest = min(len(set(keys[targets == name])) for name in classes)
    if len(classes) < 2 or fewest < LEAST_GROUPS:
        return None
    selection = load("sklearn.model_selection", "shortcuts")
    ensemble = load("sklearn.ensemble", "shortcuts")
    splitter = selection.StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    chances = np.zeros((len(targets), len(classes)))
    codes = np.searchsorted(classes, targets.tolist())
    # One thread: waiting threads spin, and on a busy machine two took ten times as long as one.
    with load("threadpoolctl").threadpool_limits(1):
        for kept, held in splitter.split(features, codes, keys):
            model = ensemble.HistGradientBoostingClassifier(
                max_iter=80, min_samples_leaf=10, early_stopping=False, random_state=0
            ).fit(features[kept], codes[kept])
            chances[np.ix_(held, model.classes_)] = model.predict_proba(features[held])
    return chances, classes


def _as_scores(rows: Sequence[Row], groups: Sequence[str], chances: FloatArray) -> Scores:
    """The classifier's predictions as scores of a model, so that the usual figures apply."""
    n = len(rows)
    return Scores(
        rows=tuple(replace(row, group=group) for row, group in zip(rows, groups, strict=True)),
        name="shortcuts",
        classes=(),
        tumor_probability=np.clip(chances, 0, 1),
        probabilities=np.empty((n, 0)),
        unfamiliarity=np.full(n, UNKNOWN),
        verdict=as_text([""] * n),
        thresholds=np.tile([0.5, 0.5, 0.5], (n, 1)),
        peak_xy=np.full((n, 2), np.nan),
        boxes=as_text([""] * n),
        fold=as_text([""] * n),
        seen=np.full(n, UNKNOWN),
        hits=np.full((n, 3), UNKNOWN),
    )
