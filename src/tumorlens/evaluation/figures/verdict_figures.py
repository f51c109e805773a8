"""Figures of verdicts at the operating point: two-way and by class.

scikit-learn computes the values; under bootstrap weights the same formulas run on sums over
groups, which tests compare with scikit-learn's ``sample_weight``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from tumorlens.evaluation.figures.grouped_scores import (
    ONE_LABEL,
    GroupedScores,
    Ratio,
    ratio_family,
)
from tumorlens.evaluation.figures.intervals import Family, Statistic
from tumorlens.evaluation.scores import Scores
from tumorlens.finding import VERDICTS
from tumorlens.optional import load

__all__ = [
    "class_families",
    "count_classes",
    "predict_classes",
    "predict_types",
    "predictive_values",
    "true_classes",
    "two_way_families",
    "verdict_family",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
TextArray = npt.NDArray[np.object_]


def two_way_families(grouped: GroupedScores, prevalence: float | None = None) -> list[Family]:
    """Tumor or not at the middle threshold, over all labelled slices.

    Args:
        grouped: rows without a label are not counted.
        prevalence: share of tumor slices to state PPV and NPV at; they are left out if None.
    """
    return [_rates(grouped), _confusion_family(grouped, prevalence)]


def verdict_family(grouped: GroupedScores) -> Family:
    """Shares of each verdict by label, and the effect of abstention."""
    s = grouped.scores
    normal = s.labelled & ~s.tumor
    says = {word: np.asarray(s.verdict == word, bool) for word in VERDICTS}
    answered = says["tumor"] | says["no_tumor"]
    wrong = answered & ((s.tumor & says["no_tumor"]) | (normal & says["tumor"]))
    ratios = [
        Ratio("found", s.tumor & says["tumor"], s.tumor),
        Ratio("uncertain_among_tumor", s.tumor & says["uncertain"], s.tumor),
        Ratio("unfamiliar_among_tumor", s.tumor & says["unfamiliar"], s.tumor),
        Ratio("not_judged_among_tumor", s.tumor & says["not_judged"], s.tumor),
        Ratio("alarm", normal & says["tumor"], normal),
        Ratio("cleared", normal & ~says["tumor"], normal),
        Ratio("uncertain_among_no_tumor", normal & says["uncertain"], normal),
        Ratio("unfamiliar_among_no_tumor", normal & says["unfamiliar"], normal),
        Ratio("not_judged_among_no_tumor", normal & says["not_judged"], normal),
        Ratio("unfamiliar", s.labelled & says["unfamiliar"], s.labelled),
        Ratio("coverage", s.labelled & answered, s.labelled),
        Ratio("error_among_answered", s.labelled & wrong, s.labelled & answered),
        _clear_by_group(grouped, normal & ~says["tumor"], normal),
    ]
    kind = s.column("tumor_class")
    for word in sorted(set(kind[s.tumor]) - {""}):
        is_it = s.tumor & (kind == word)
        ratios.append(Ratio(f"found_{word}", is_it & says["tumor"], is_it))
    if not s.labelled.all():
        ratios += [Ratio(f"{w}_among_unlabelled", ~s.labelled & says[w], ~s.labelled) for w in says]
    return ratio_family(grouped, ratios)


def _clear_by_group(grouped: GroupedScores, cleared: BoolArray, normal: BoolArray) -> Ratio:
    """Each group's share of cleared slices, then the mean: a person with many slices is one."""
    parts, wholes = grouped.total(cleared), grouped.total(normal)
    share = parts / np.maximum(wholes, 1)
    return Ratio("cleared_mean_of_groups", share, wholes > 0, by_group=True)


def predictive_values(
    sensitivity: FloatArray, specificity: FloatArray, prevalence: float
) -> tuple[FloatArray, FloatArray]:
    """PPV and NPV at ``prevalence`` by Bayes' rule; NaN where nothing was called or cleared."""
    with_tumor, without_tumor = prevalence, 1 - prevalence
    found, alarm = with_tumor * sensitivity, without_tumor * (1 - specificity)
    missed, cleared = with_tumor * (1 - sensitivity), without_tumor * specificity
    with np.errstate(invalid="ignore"):
        return found / (found + alarm), cleared / (cleared + missed)


def true_classes(scores: Scores) -> TextArray:
    """(n,) the class of each slice among the model's; empty where the model has no such class."""
    named = np.where(scores.column("tumor_class") != "", scores.column("tumor_class"), scores.label)
    named[np.asarray([word not in scores.classes for word in named], bool)] = ""
    return np.asarray(named, object)


def predict_classes(scores: Scores) -> TextArray:
    """(n,) no_tumor below the middle threshold, else the most probable tumor class."""
    return np.asarray(np.where(scores.called, predict_types(scores), "no_tumor"), object)


def predict_types(scores: Scores) -> TextArray:
    """(n,) the most probable tumor class, whatever the tumor probability."""
    is_tumor = np.array([name != "no_tumor" for name in scores.classes])
    best = np.where(is_tumor, scores.probabilities, -np.inf).argmax(axis=1)
    return np.asarray(np.array(scores.classes, object)[best], object)


def count_classes(scores: Scores) -> dict[str, dict[str, int]]:
    """The confusion matrix: true class -> called class -> slices, at the middle threshold."""
    truth, guess = _labels_and_calls(scores)
    known = truth != ""
    words = _class_order(scores, truth)
    if not known.any():
        return {}
    metrics = load("sklearn.metrics", "figures")
    matrix = metrics.confusion_matrix(
        truth[known].astype(str), guess[known].astype(str), labels=words
    )
    return {
        row: {column: int(matrix[i, j]) for j, column in enumerate(words)}
        for i, row in enumerate(words)
    }


def class_families(grouped: GroupedScores) -> list[Family]:
    """Accuracy, loss, F1 and MCC over classes, on slices whose class the model has."""
    s = grouped.scores
    truth = true_classes(s)
    if len(s.classes) < 3 or not np.any((truth != "") & (truth != "no_tumor")):
        return []
    guess, known = predict_classes(s), np.asarray(truth != "", bool)
    column = np.array([s.classes.index(word) if word else 0 for word in truth])
    chance = s.probabilities[np.arange(len(s)), column]
    ratios = [
        Ratio("class_accuracy", known & (truth == guess), known),
        Ratio("class_loss", np.where(known, _surprise(chance), 0), known, share=False),
    ]
    ratios += _tell_types(s, truth)
    return [ratio_family(grouped, ratios), _class_family(grouped, truth, guess, known)]


def _tell_types(scores: Scores, truth: TextArray) -> list[Ratio]:
    """How often the most probable type is the true one, on tumor slices alone, and by type."""
    right, typed = predict_types(scores) == truth, (truth != "") & (truth != "no_tumor")
    kinds = [word for word in scores.classes if np.any(typed & (truth == word))]
    return [
        Ratio("type_accuracy", typed & right, typed),
        *(
            Ratio(f"type_accuracy_{word}", typed & right & (truth == word), typed & (truth == word))
            for word in kinds
        ),
    ]


def _rates(grouped: GroupedScores) -> Family:
    s = grouped.scores
    y, p, called, known = s.tumor, s.tumor_probability, s.called, s.labelled
    normal = known & ~y
    metrics = load("sklearn.metrics", "figures")

    def by(function: Callable[..., float], rows: npt.NDArray[np.bool_], **more: object) -> float:
        return float(function(y[rows], called[rows], **more)) if rows.any() else np.nan

    brier = float(np.mean((p[known] - y[known]) ** 2)) if known.any() else np.nan
    loss = (
        float(metrics.log_loss(y[known], p[known], labels=[False, True])) if known.any() else np.nan
    )
    return ratio_family(
        grouped,
        [
            Ratio(
                "accuracy", known & (y == called), known, value=by(metrics.accuracy_score, known)
            ),
            Ratio("sensitivity", y & called, y, value=by(metrics.recall_score, y)),
            Ratio(
                "specificity",
                normal & ~called,
                normal,
                value=by(metrics.recall_score, normal, pos_label=False),
            ),
            Ratio("loss", known * _surprise(np.where(y, p, 1 - p)), known, False, value=loss),
            Ratio("brier", known * (p - y) ** 2, known, False, value=brier),
        ],
    )


def _surprise(chance: FloatArray) -> FloatArray:
    """-log of a probability, clipped as scikit-learn's ``log_loss`` clips it."""
    return np.asarray(-np.log(np.clip(chance, np.finfo(np.float64).eps, 1.0)))


def _confusion_family(grouped: GroupedScores, prevalence: float | None) -> Family:
    s = grouped.scores
    y, called, known = s.tumor, s.called, s.labelled
    cells = [y & called, y & ~called, known & ~y & called, known & ~y & ~called]
    sums = np.stack([grouped.total(cell) for cell in cells], axis=1)
    formulas = _two_way_formulas(prevalence)
    both = grouped.groups_of_both > 0
    values = dict.fromkeys(formulas, np.nan)
    if both:
        whole = sums.sum(axis=0)[:, None]
        values = {name: float(formula(*whole)[0]) for name, formula in formulas.items()}
        values |= _score_two_way(y[known], called[known])
    statistics = tuple(
        Statistic(
            name,
            value,
            n=int(known.sum()),
            groups=grouped.groups_of_both,
            parts=grouped.of_each,
            share=name != "mcc",
            correlation=name == "mcc",
            note="" if both else ONE_LABEL,
        )
        for name, value in values.items()
    )

    def replicate(weights: FloatArray) -> FloatArray:
        drawn = (weights @ sums).T
        return np.stack([formula(*drawn) for formula in formulas.values()], axis=1)

    return Family(statistics, replicate, width=4)


def _score_two_way(y: npt.NDArray[np.bool_], called: npt.NDArray[np.bool_]) -> dict[str, float]:
    metrics = load("sklearn.metrics", "figures")
    return {
        "balanced_accuracy": float(metrics.balanced_accuracy_score(y, called)),
        "f1_tumor": float(metrics.f1_score(y, called, zero_division=0)),
        "f1_no_tumor": float(metrics.f1_score(y, called, pos_label=False, zero_division=0)),
        "mcc": float(metrics.matthews_corrcoef(y, called)),
    }


Formula = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]


def _two_way_formulas(prevalence: float | None) -> dict[str, Formula]:
    """Name -> formula of (true positives, false negatives, false positives, true negatives)."""
    formulas: dict[str, Formula] = {
        "balanced_accuracy": lambda tp, fn, fp, tn: (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "f1_tumor": lambda tp, fn, fp, tn: 2 * tp / (2 * tp + fn + fp),
        "f1_no_tumor": lambda tp, fn, fp, tn: 2 * tn / (2 * tn + fn + fp),
        "mcc": correlate,
    }
    if prevalence is not None:
        formulas["ppv"] = partial(_predict, prevalence, 0)
        formulas["npv"] = partial(_predict, prevalence, 1)
    return formulas


def _predict(prevalence: float, which: int, *cells: FloatArray) -> FloatArray:
    tp, fn, fp, tn = cells
    return predictive_values(tp / (tp + fn), tn / (tn + fp), prevalence)[which]


def correlate(tp: FloatArray, fn: FloatArray, fp: FloatArray, tn: FloatArray) -> FloatArray:
    """Matthews correlation (1975); 0 where a row or column of the table is empty."""
    spread = np.sqrt((tp + fn) * (tn + fp) * (tp + fp) * (tn + fn))
    return np.where(spread > 0, (tp * tn - fp * fn) / np.where(spread > 0, spread, 1), 0.0)


def _class_order(scores: Scores, truth: TextArray) -> list[str]:
    """The model's classes where the truth names types of tumor, else no_tumor and tumor."""
    typed = any(word not in ("", "tumor", "no_tumor") for word in truth)
    return list(scores.classes) if typed else ["no_tumor", "tumor"]


def _labels_and_calls(scores: Scores) -> tuple[TextArray, TextArray]:
    """By class where the classes are known, else tumor and no_tumor."""
    truth = true_classes(scores)
    if len(scores.classes) > 2 and np.any((truth != "") & (truth != "no_tumor")):
        return truth, predict_classes(scores)
    return scores.label, np.asarray(np.where(scores.called, "tumor", "no_tumor"), object)


def _class_family(
    grouped: GroupedScores, truth: TextArray, guess: TextArray, known: npt.NDArray[np.bool_]
) -> Family:
    """F1 and MCC of each tumor class that stands in the data, one against the rest."""
    words = [word for word in grouped.scores.classes[1:] if np.any(truth[known] == word)]
    columns: list[FloatArray] = []
    statistics: list[Statistic] = []
    for word in words:
        is_it, called = known & (truth == word), known & (guess == word)
        cells = [is_it & called, is_it & ~called, known & ~is_it & called, known & ~is_it & ~called]
        columns += [grouped.total(cell) for cell in cells]
        statistics += _describe_class(grouped, word, is_it, called, known)
    sums = np.stack(columns, axis=1)

    def replicate(weights: FloatArray) -> FloatArray:
        drawn = (weights @ sums).T.reshape(len(words), 4, len(weights))
        pairs = [
            (2 * tp / (2 * tp + fn + fp), correlate(tp, fn, fp, tn)) for tp, fn, fp, tn in drawn
        ]
        return np.stack([value for pair in pairs for value in pair], axis=1)

    return Family(tuple(statistics), replicate, width=sums.shape[1])


def _describe_class(
    grouped: GroupedScores,
    word: str,
    is_it: npt.NDArray[np.bool_],
    called: npt.NDArray[np.bool_],
    known: npt.NDArray[np.bool_],
) -> Sequence[Statistic]:
    metrics = load("sklearn.metrics", "figures")
    truth, guess = is_it[known], called[known]
    others = bool((~truth).any())
    parts = np.stack([grouped.total(is_it & called), grouped.total(is_it)], axis=1)
    groups = min(grouped.count_groups(is_it), grouped.count_groups(known & ~is_it))
    note = "" if others else "needs slices of another class"
    values = {f"f1_{word}": np.nan, f"mcc_{word}": np.nan}
    if others:
        values[f"f1_{word}"] = float(metrics.f1_score(truth, guess, zero_division=0))
        values[f"mcc_{word}"] = float(metrics.matthews_corrcoef(truth, guess))
    return [
        Statistic(
            name,
            value,
            n=int(truth.sum()),
            groups=groups,
            parts=parts,
            share=name.startswith("f1"),
            correlation=name.startswith("mcc"),
            note=note,
        )
        for name, value in values.items()
    ]
