"""An evaluation as a page: main figures, curves, each source, the worst mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tumorlens.digits import say_share
from tumorlens.evaluation.figures.intervals import Estimate, find_estimate
from tumorlens.evaluation.results import Evaluation, Subset
from tumorlens.evaluation.scores import Scores
from tumorlens.report.evaluations.evaluation_tables import (
    COUNTS,
    DIFFERENCE_COLUMNS,
    IN_PARTS,
    label_part,
    list_counts,
    list_differences,
    list_notes,
    name_figure,
    remark_on,
    word_seen,
    write_span,
)
from tumorlens.report.evaluations.head_tables import (
    HEAD_WORDS,
    PART_COLUMNS,
    list_head_parts,
    list_head_tables,
)
from tumorlens.report.evaluations.plots import (
    Interval,
    plot_confusion,
    plot_forests,
    plot_histogram,
    plot_precision_recall,
    plot_reliability,
    plot_roc,
)
from tumorlens.report.pages import Block, Fact, Facts, Page, Section, Table, Text, limit_rows
from tumorlens.training.familiarity import MOST_UNFAMILIAR

__all__ = ["build_evaluation_page", "build_evaluation_sections"]

FIRST = ("auc", "sensitivity", "specificity", "found", "alarm", "unfamiliar", "ece")
IN_FOREST = ("auc", "sensitivity", "specificity")
ELSEWHERE = "the JSON of the evaluation has all of them"
SEEN = "SEEN in training: too optimistic"
NOT_SEEN = "not seen in training"


def build_evaluation_page(
    evaluation: Evaluation,
    scores: Scores,
    *,
    mistakes: Sequence[Block] = (),
    command: str = "",
    versions: Mapping[str, str] | None = None,
) -> Page:
    """The page of ``tumorlens evaluate``.

    Args:
        evaluation: what is shown.
        scores: the rows that its figures count (without those that `drop_unfit` drops).
        mistakes: galleries, of `galleries.show_mistakes`.
        command, versions: for the end of the page.
    """
    whole = next(part for part in evaluation.parts if not part.by and part.seen == "as_is")
    point = f" at the operating point {evaluation.operating_point}"
    lead = (
        f"{evaluation.model or 'Scores'}{point if evaluation.operating_point else ''}: "
        f"{whole.slices:,} slices ({whole.tumor:,} tumor, {whole.no_tumor:,} no tumor) of "
        f"{whole.groups:,} groups. Intervals are 95 %, by bootstrap over groups (patients, or "
        "sets of copies)."
    )
    sections = build_evaluation_sections(evaluation, scores, mistakes=mistakes)
    title = f"Evaluation on {evaluation.data}"
    return Page(title, lead, tuple(sections), command, dict(versions or {}))


def build_evaluation_sections(
    evaluation: Evaluation,
    scores: Scores,
    *,
    mistakes: Sequence[Block] = (),
) -> list[Section]:
    """The sections of an evaluation, for its own page and for that of a training."""
    whole = evaluation.leading
    if whole.seen == "without_seen":
        scores = scores.take(scores.seen != 1)
    parts = [part for part in evaluation.parts if part.by]
    warning = _warn(whole)
    rankings = (plot_roc(scores), plot_precision_recall(scores), plot_histogram(scores))
    calls = (plot_reliability(whole.reliability), plot_confusion(whole.confusion))
    ranked, called = (
        tuple(replace(plot, warning=warning) for plot in plots if plot is not None)
        for plots in (rankings, calls)
    )
    return [
        Section("At a glance", tuple(_list_first(evaluation))),
        Section(f"Against {evaluation.other}", tuple(_compare(evaluation))),
        Section("Tumor against no tumor", (*_say_which(whole), *ranked)),
        Section("Probabilities and classes", called),
        Section("Subset by subset", tuple(_show_parts(parts))),
        Section("Worst mistakes", tuple(mistakes)),
        Section("All figures", tuple(_tabulate_all(evaluation))),
    ]


def _list_first(evaluation: Evaluation) -> Iterator[Block]:
    for part in evaluation.parts:
        if part.by:
            continue
        seen = word_seen(part)
        if seen:
            size = f": {part.slices:,} slices" if part.seen == "without_seen" else ""
            yield Text((f"{seen[0].upper()}{seen[1:]}{size}.",))
        facts = [
            _state(one, _warn(part))
            for name in FIRST
            if (one := find_estimate(part.estimates, name)) is not None
        ]
        if facts:
            yield Facts(tuple(facts))
        elif part.note:
            yield Text((part.note,))
        strange = find_estimate(part.estimates, "unfamiliar")
        if strange is not None and (strange.value or 0) > MOST_UNFAMILIAR:
            words = (
                f"{say_share(strange.value or 0)} of the slices are flagged as unfamiliar. "
                "They get no answer, so they count neither as found nor as false alarms. "
                "Sensitivity and specificity count all slices, at the middle threshold."
            )
            yield Text((words,))
    notes = tuple(list_notes(evaluation))
    if notes:
        yield Text(notes, listed=True)


def _compare(evaluation: Evaluation) -> Iterator[Block]:
    """The paired differences to another model; nothing if none was named."""
    for part in evaluation.parts:
        if part.differences and not part.by:
            words = word_seen(part) or "all slices"
            rows = tuple(list_differences(part.differences))
            yield Table(f"{words[0].upper()}{words[1:]}", DIFFERENCE_COLUMNS, rows)


def _warn(part: Subset) -> str:
    """What must stand beside each figure of a part that holds pictures seen in training."""
    return SEEN if part.slices_seen and part.seen != "without_seen" else ""


def _say_which(whole: Subset) -> Iterator[Block]:
    if whole.seen == "without_seen":
        words = f"Curves and bins use the {whole.slices:,} slices that were not seen in training."
        yield Text((words,))


def _state(one: Estimate, warning: str) -> Fact:
    value = "–" if one.value is None else f"{one.value:.3f}"
    span = write_span(one.low, one.high) or "no interval"
    return Fact(
        name_figure(one.name).split(" (")[0],
        value,
        (span, f"{one.n:,} slices", f"{one.groups:,} groups"),
        warning,
    )


def _show_parts(parts: Sequence[Subset]) -> Iterator[Block]:
    if not parts:
        return
    panels = {
        name_figure(name).split(" (")[0]: lines
        for name in IN_FOREST
        if (lines := [line for part in parts if (line := _draw_line(part, name)) is not None])
    }
    yield from plot_forests(panels)
    names = [
        name for name in IN_PARTS if any(find_estimate(part.estimates, name) for part in parts)
    ]
    columns = ("subset", "slices", "groups", *(name_figure(name).split(" (")[0] for name in names))
    rows = [_list_part(part, names) for part in parts]
    yield Table("Subset by subset", columns, limit_rows(rows, more=ELSEWHERE))
    of_series = list_head_parts(parts)
    if of_series:
        yield Table("Whole series", PART_COLUMNS, limit_rows(of_series, more=ELSEWHERE))


def _list_part(part: Subset, names: Sequence[str]) -> tuple[str, ...]:
    cells = [_show(find_estimate(part.estimates, name)) for name in names]
    if not part.estimates and cells:
        cells[0] = part.note
    return (label_part(part), f"{part.slices:,}", f"{part.groups:,}", *cells)


def _draw_line(part: Subset, name: str) -> Interval | None:
    one = find_estimate(part.estimates, name)
    if one is None or one.value is None:
        return None
    known = part.seen == "without_seen" or part.slices_seen
    kind = _warn(part) or (NOT_SEEN if known else "")
    return Interval(label_part(part), one.value, one.low, one.high, kind)


def _tabulate_all(evaluation: Evaluation) -> Iterator[Block]:
    for part in evaluation.parts:
        if part.by or not part.estimates:
            continue
        seen = word_seen(part)
        caption = f"{seen[0].upper()}{seen[1:]}" if seen else "All slices"
        warning = _warn(part)
        rows = tuple(_list_estimate(one, warning) for one in part.estimates)
        yield Table(caption, _COLUMNS, rows)
        for title, estimates in list_head_tables(part):
            rows = tuple(_list_estimate(one, warning, HEAD_WORDS) for one in estimates)
            yield Table(_join(title, warning), _COLUMNS, rows)
        if part.confusion:
            names = tuple(next(iter(part.confusion.values())))
            counts = [
                (truth, *(f"{called[name]:,}" for name in names))
                for truth, called in part.confusion.items()
            ]
            title = _join("True class (rows) and predicted class (columns)", warning)
            yield Table(title, ("true", *names), tuple(counts))
        few = list_counts(part)
        if few is not None:
            yield Table(_join(COUNTS, warning), few[0], limit_rows(few[1], more=ELSEWHERE))


_COLUMNS = ("figure", "value", "95 % interval", "n", "groups", "remark")


def _join(*words: str) -> str:
    return "; ".join(filter(None, words))


def _list_estimate(one: Estimate, warning: str, words: Mapping[str, str] = {}) -> tuple[str, ...]:
    value = "–" if one.value is None else f"{one.value:.3f}"
    span = write_span(one.low, one.high)
    name = words.get(one.name, name_figure(one.name))
    return name, value, span, f"{one.n:,}", f"{one.groups:,}", _join(warning, remark_on(one))


def _show(one: Estimate | None) -> str:
    if one is None or one.value is None:
        return "–"
    span = write_span(one.low, one.high, digits=2)
    return f"{one.value:.3f} ({span})" if span else f"{one.value:.3f}"
