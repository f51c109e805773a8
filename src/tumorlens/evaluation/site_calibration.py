"""`SiteCalibration`: a model calibrated on labelled slices of a site, and how its figures change.

The figures before and after come from crosswise fits: each group is judged with numbers fitted on
the other groups, so no group is judged with numbers that were fitted on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from tumorlens.digits import say_share
from tumorlens.errors import UsageError
from tumorlens.evaluation.calibration import (
    COVERAGE,
    ChosenPoint,
    apply_calibration,
    apply_point,
    carry_point,
    check_enough,
    choose_thresholds,
    fit_familiarity,
    fit_logit,
)
from tumorlens.evaluation.figures.families import build_families, compare_figures
from tumorlens.evaluation.figures.grouped_scores import GroupedScores
from tumorlens.evaluation.figures.intervals import Difference, Estimate, measure
from tumorlens.evaluation.scores import Judged, Scores, drop_unfit, join_scores
from tumorlens.evaluation.series_and_studies.study_calibration import (
    carry_numbers,
    compare_heads,
    enter_calibration,
    refit_numbers,
)
from tumorlens.evaluation.series_and_studies.study_fitting import (
    FOLDS,
    deal_groups,
    list_fit_series,
)
from tumorlens.model.card import Card, Figure, HistoryEntry, OperatingPoint
from tumorlens.model.contract import Calibration
from tumorlens.model.graph import read_calibration, write_model
from tumorlens.studies.study_model import StudyModel

__all__ = [
    "Change",
    "SiteCalibration",
    "Wishes",
    "calibrate_crosswise",
    "calibrate_model",
    "set_seen_aside",
]

SHOWN = (
    "found",
    "alarm",
    "coverage",
    "error_among_answered",
    "sensitivity",
    "specificity",
    "auc",
    "ece",
    "brier",
    "loss",
)
RANK_FIGURES = ("auc", "average", "pointing")
"""Figures of a card that a new calibration does not change: those of ranking and of location."""
CROSSWISE = "cross-validated: each group is judged with numbers fitted on other groups"
LEAST_COVERAGE = 0.8
"""With a lower coverage than this, the user is warned."""
LEAST_RATE = 0.7
"""With a lower sensitivity or specificity at the middle threshold, the user is warned, too."""
SEEN_SHARE = 0.1
"""A group goes with its seen slices if at least so many of its slices were seen: about 2 in 1,000
pictures are taken for seen that were not, and one of them must not cost a patient of 100 slices."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The goals of a calibration.

    Attributes:
        sensitivity, specificity: wanted at the middle threshold of slices.
        coverage: smallest share of familiar slices that get an answer (tumor or no tumor).
        misses: share of tumor studies that may be missed. With it, only the threshold of studies
            is set.
        operating_point: the point to set; the others keep their decisions.
        with_seen: also fit on slices that the model has seen in training.

    Raises:
        UsageError: wishes that contradict each other, a rate outside of 0 to 1, or a point
            without a name.
    """

    sensitivity: float | None = None
    specificity: float | None = None
    coverage: float = COVERAGE
    misses: float | None = None
    operating_point: str = "balanced"
    with_seen: bool = False

    def __post_init__(self) -> None:
        if not self.operating_point.strip():
            raise UsageError("`operating_point=`: an operating point needs a name")
        for name in ("sensitivity", "specificity", "coverage", "misses"):
            rate = getattr(self, name)
            if rate is not None and not 0 < rate < 1:
                raise UsageError(f"`{name}=` must lie between 0 and 1, got {rate}")
        if self.misses is None:
            return
        for wish in ("sensitivity", "specificity"):
            if getattr(self, wish) is not None:
                raise UsageError(
                    f"give `misses=` or `{wish}=`, not both: `misses=` sets the threshold of "
                    f"studies and leaves the slices as they are, `{wish}=` is wanted of slices"
                )
        if self.coverage != COVERAGE:
            raise UsageError(
                "`misses=` sets the threshold of studies and leaves the slices as they are, so "
                "`coverage=` has no effect: leave it out"
            )


@dataclass(frozen=True)
class Change:
    """One figure of the same slices, before and after a calibration.

    Attributes:
        before: of the model as it was.
        after: of new numbers, each group judged with those fitted on other groups.
        difference: after minus before, paired.
    """

    before: Estimate
    after: Estimate
    difference: Difference


@dataclass(frozen=True)
class SiteCalibration:
    """The result of a calibration.

    Attributes:
        card: the new card.
        fitted: calibration that is applied after the one that the model has.
        chosen: the thresholds.
        changes: changes of the figures.
        warnings: reasons against using the result, one sentence each.
        notes: what was done about slices that the model has seen in training, and with studies.
        numbers: for series and studies, refitted or carried along; None if there are none.
        heads: series and studies before (None without numbers) and after; None if they could not
            be judged.
    """

    card: Card
    fitted: Calibration
    chosen: ChosenPoint
    changes: list[Change]
    warnings: list[str]
    notes: list[str]
    numbers: StudyModel | None = None
    heads: tuple[Judged | None, Judged] | None = None

    def write(self, source: Path, output: Path, *, overwrite: bool = False) -> None:
        """Write the new model file: numbers and card; the network stays as it is.

        Raises:
            ModelFileError: ``source`` cannot be calibrated.
            UsageError: ``output`` cannot be written.
        """
        write_model(
            source,
            output,
            card=self.card,
            calibration=read_calibration(source).then(self.fitted),
            studies=None if self.numbers is None else self.numbers.to_json(),
            overwrite=overwrite,
        )


def calibrate_model(
    card: Card,
    scores: Scores,
    wishes: Wishes | None = None,
    numbers: StudyModel | None = None,
) -> SiteCalibration:
    """Fit calibration, thresholds, familiarity limit and numbers for studies on labelled scores.

    Args:
        card: of the model that gave the scores.
        scores: of a site's own slices; rows without a label or noted as unfit are ignored.
        wishes: the goals for slices; by default those of `Wishes`.
        numbers: of the model, for series and studies; where there are too few studies to refit
            them, they are carried along.

    Raises:
        DataError: too few patients that the model has not seen; says how many are needed.
        UsageError: goals that contradict each other.
    """
    wishes = wishes or Wishes()
    point = wishes.operating_point
    sensitivity, specificity = wishes.sensitivity, wishes.specificity
    whole, notes = set_seen_aside(scores.take(scores.labelled), wishes.with_seen)
    labelled = drop_unfit(whole)[0]
    check_enough(labelled, sensitivity=sensitivity, specificity=specificity, notes=notes)
    choose = partial(
        choose_thresholds,
        sensitivity=sensitivity,
        specificity=specificity,
        coverage=wishes.coverage,
    )
    fitted = _fit(labelled)
    chosen = choose(apply_calibration(labelled, fitted))
    # A point of a new name is compared with the balanced one, which the model has for certain.
    now = card.operating_points.get(point, card.operating_points["balanced"])
    changes = _compare(calibrate_crosswise(labelled, choose), apply_point(labelled, now))
    warnings = list(_warn({one.after.name: one for one in changes}, chosen.wish))
    # The order of slices stays; that of slices judged with five sets of numbers says nothing of it.
    changes = [one for one in changes if not one.after.name.startswith(RANK_FIGURES)]
    refit, heads = _refit_heads(numbers, whole, fitted, chosen.point.middle, point)
    if isinstance(heads, str):
        notes += [f"numbers for series and studies were not refitted: {heads}"] if heads else []
    entry = msgspec.structs.replace(
        enter_calibration(
            labelled,
            f"scale x {fitted.scale:.4g}, offset {fitted.offset:+.4g}, unfamiliarity x "
            f"{fitted.unfamiliarity:.4g}; operating point {point}: {chosen.point.meaning}",
            [*notes, *warnings],
        ),
        before=_state([one.before for one in changes], labelled.name, "as it was"),
        after=_state([one.after for one in changes], labelled.name, CROSSWISE),
    )
    new = _renew(card, fitted, {point: chosen.point}, entry)
    return SiteCalibration(
        new,
        fitted,
        chosen,
        changes,
        warnings,
        notes,
        numbers=refit,
        heads=None if isinstance(heads, str) else heads,
    )


def calibrate_crosswise(
    scores: Scores, choose: Callable[[Scores], ChosenPoint] = choose_thresholds
) -> Scores:
    """The scores, each group calibrated and judged by a fit on the groups of other folds.

    Args:
        scores: labelled, with enough groups of both labels (see `check_enough`).
        choose: gives the thresholds for calibrated scores.

    Returns:
        The same rows in the same order, with new probabilities, thresholds and verdicts.
    """
    fold = deal_groups(scores.group)
    judged, places = [], []
    for one in range(FOLDS):
        held = fold == one
        if held.any():
            rest = scores.take(~held)
            fitted = _fit(rest)
            point = choose(apply_calibration(rest, fitted)).point
            judged.append(apply_point(apply_calibration(scores.take(held), fitted), point))
            places.append(np.flatnonzero(held))
    return join_scores(judged).take(np.argsort(np.concatenate(places)))


def _refit_heads(
    numbers: StudyModel | None, scores: Scores, fitted: Calibration, middle: float, point: str
) -> tuple[StudyModel | None, tuple[Judged | None, Judged] | str]:
    """The numbers for series and studies, and what that does; or why they were not refitted."""
    carried = None if numbers is None else carry_numbers(numbers, fitted)
    if not list_fit_series(scores):
        return carried, ""
    heads = compare_heads(numbers, scores, _fit, middle=middle, point=point)
    if isinstance(heads, str):
        return carried, heads
    renewed = apply_calibration(scores, fitted)
    return refit_numbers(carried, renewed, slice_middle=middle, point=point), heads


def set_seen_aside(scores: Scores, with_seen: bool) -> tuple[Scores, list[str]]:
    """The slices to fit on, and what was done about those that were seen in training.

    Args:
        scores: of a site's slices.
        with_seen: keep them; a note says so.
    """
    seen = np.asarray(scores.seen == 1, bool)
    notes = []
    if len(scores) and np.isnan(scores.seen).all():
        notes.append(
            "the model does not say which pictures it was trained on (exports do not): that these "
            "slices were not among them could not be checked"
        )
    if not seen.any():
        return scores, notes
    grouped = GroupedScores.of(scores)
    if with_seen:
        return scores, [
            f"{seen.sum()} slices of {grouped.count_groups(seen)} groups that the model has seen "
            "in training are counted: every figure here is too high"
        ]
    share = grouped.total(seen) / grouped.total(np.ones(len(scores)))
    gone = seen | (share >= SEEN_SHARE)[grouped.codes]
    return scores.take(~gone), [
        f"{gone.sum()} slices of {grouped.count_groups(gone)} groups were left out, because the "
        "model has seen pictures of them in training"
    ]


def _compare(after: Scores, before: Scores) -> list[Change]:
    new, old = GroupedScores.of(after), GroupedScores.of(before)
    estimates = [
        {one.name: one for one in measure(build_families(grouped), grouped.names)}
        for grouped in (old, new)
    ]
    differences = {one.name: one for one in compare_figures(new, old)}
    return [
        Change(estimates[0][name], estimates[1][name], differences[name])
        for name in SHOWN
        if name in differences
    ]


def _warn(changes: Mapping[str, Change], wish: str) -> Iterator[str]:
    coverage, auc = (changes[name] for name in ("coverage", "auc"))
    if coverage.difference.value < LEAST_COVERAGE:
        yield (
            f"only {say_share(coverage.difference.value)} of the slices would get an answer "
            f"(verdict tumor or no tumor), less than {say_share(LEAST_COVERAGE)}: ask for less, or "
            "use another model"
        )
    for name in ("sensitivity", "specificity"):
        rate = changes[name].difference.value
        if rate < LEAST_RATE:
            yield (
                f"with {wish} the {name} is only {rate:.2f} there: with this model (AUC "
                f"{auc.difference.other:.2f} on these slices) no threshold gives more of both"
            )


def _fit(scores: Scores) -> Calibration:
    logit = fit_logit(scores.tumor_probability, scores.tumor, scores.group)
    return Calibration(
        scale=logit.scale,
        offset=logit.offset,
        unfamiliarity=fit_familiarity(scores.unfamiliarity, scores.group),
    )


def _renew(
    card: Card, fitted: Calibration, chosen: dict[str, OperatingPoint], entry: HistoryEntry
) -> Card:
    points = {name: carry_point(one, fitted) for name, one in card.operating_points.items()}
    kept = [one for one in card.figures if one.name.lower().startswith(RANK_FIGURES)]
    return msgspec.structs.replace(
        card.calibrated(entry), operating_points=points | chosen, figures=[*kept, *entry.after]
    )


def _state(estimates: Iterable[Estimate], data: str, split: str) -> list[Figure]:
    return [
        Figure(
            name=one.name,
            data=data,
            split=split,
            value=one.value,
            low=one.low,
            high=one.high,
            slices=one.n,
            groups=one.groups,
            command="tumorlens calibrate",
        )
        for one in estimates
        if one.value is not None
    ]
