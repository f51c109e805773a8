"""Prints what a calibration changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tumorlens.evaluation.figures.intervals import Difference, Estimate
from tumorlens.evaluation.scores import Judged, Scores
from tumorlens.evaluation.series_and_studies.misses import MissBound
from tumorlens.evaluation.series_and_studies.series_figures import measure_heads
from tumorlens.evaluation.series_and_studies.study_calibration import StudyCalibration
from tumorlens.evaluation.site_calibration import Change, SiteCalibration
from tumorlens.finding import RESEARCH_USE
from tumorlens.report.evaluations.evaluation_tables import (
    brief_estimate,
    name_figure,
    print_estimates,
)
from tumorlens.report.evaluations.head_tables import HEAD_WORDS
from tumorlens.report.tables import make_table

__all__ = ["print_calibration", "print_study_calibration"]

SHOWN = ("auc", "found", "alarms_per_100", "coverage")
KINDS = ("series", "studies")


def print_calibration(console: Console, calibrated: SiteCalibration, point: str) -> None:
    """Print what a calibration changed and what its number of patients allows to say."""
    fitted, chosen = calibrated.fitted, calibrated.chosen.point
    console.print(
        Text(
            f"{calibrated.card.full_name}: scale x {fitted.scale:.3f}, "
            f"offset {fitted.offset:+.3f}, unfamiliarity x {fitted.unfamiliarity:.3f}\n"
            f"{point}: low {chosen.low:.3f}, middle {chosen.middle:.3f}, high {chosen.high:.3f} "
            f"({chosen.meaning})"
        )
    )
    console.print(_tabulate_changes(calibrated.changes))
    if calibrated.heads is not None:
        console.print(_tabulate_heads(*calibrated.heads))
    for note in calibrated.notes:
        console.print(Text(f"Note: {note}"))
    for warning in calibrated.warnings:
        console.print(Text(f"Warning: {warning}"))
    console.print(Text(RESEARCH_USE))


def _tabulate_changes(changes: Sequence[Change]) -> Table:
    rows = [
        (
            name_figure(one.after.name).split(" (")[0],
            brief_estimate(one.before, digits=3),
            brief_estimate(one.after, digits=3),
            _write_difference(one.difference),
        )
        for one in changes
    ]
    columns = ("figure", "before", "after", "difference")
    return make_table(
        "On these slices. Each group is judged with numbers fitted on the others", columns, rows
    )


def _write_difference(one: Difference) -> str:
    if one.low is None or one.high is None:
        return f"{one.difference:+.3f}"
    return f"{one.difference:+.3f}\n{one.low:+.3f} to {one.high:+.3f}"


def print_study_calibration(console: Console, calibrated: StudyCalibration) -> None:
    """Print what was fitted or promised for studies, and what it costs."""
    console.print(Text(f"{calibrated.card.full_name}: the slices keep their numbers"))
    if calibrated.bound is not None:
        for words in _say_bound(calibrated.bound):
            console.print(Text(words))
    if calibrated.heads is not None:
        console.print(Text(f"Numbers fitted on {calibrated.numbers.fitted_on}"))
        for kind in KINDS:
            title = f"Whole {kind}, {calibrated.heads.how}"
            print_estimates(
                console, title, measure_heads(getattr(calibrated.heads, kind)), HEAD_WORDS
            )
    for note in calibrated.notes:
        console.print(Text(f"Note: {note}"))
    console.print(Text(RESEARCH_USE))


def _say_bound(bound: MissBound) -> Iterator[str]:
    yield f"Threshold of studies {bound.threshold:.3f}: {bound.meaning}"
    if bound.unanswered:
        yield (
            f"{bound.unanswered} of these get no answer (unfamiliar or not judged) and count as "
            "missed"
        )
    alarms, total = bound.alarms
    if not total or bound.alarm_low is None or bound.alarm_high is None:
        yield "Without labelled tumor-free studies, the false alarms of the threshold are unknown"
        return
    yield (
        f"It costs {alarms} false alarms in {total} tumor-free studies: {100 * alarms / total:.1f} "
        f"per 100 (95 % interval {100 * bound.alarm_low:.1f} to {100 * bound.alarm_high:.1f}, "
        "exact, on patients)"
    )


def _tabulate_heads(before: Judged | None, after: Judged) -> Table:
    """Figures of series and studies before and after."""
    rows = []
    for kind in KINDS:
        old = {} if before is None else _measure(getattr(before, kind))
        new = _measure(getattr(after, kind))
        for name in SHOWN:
            if name in new:
                label = f"{kind}: {HEAD_WORDS.get(name, name).split(' (')[0]}"
                cells = (brief_estimate(one.get(name), digits=3) for one in (old, new))
                rows.append((label, *cells))
    columns = ("figure", "before", "after")
    return make_table(
        "Whole series and studies. Each is judged with numbers fitted on the others", columns, rows
    )


def _measure(heads: Scores) -> dict[str, Estimate]:
    return {one.name: one for one in measure_heads(heads)}
