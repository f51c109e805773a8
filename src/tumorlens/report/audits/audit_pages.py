"""An audit as a page: what to act on first, copies side by side, what predicts the label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from tumorlens.auditing.findings import SEVERITIES, Audit
from tumorlens.auditing.shortcuts import PLACES
from tumorlens.digits import say_count
from tumorlens.evaluation.figures.intervals import find_estimate
from tumorlens.report.audits.audit_galleries import MOST_TILES, show_examples
from tumorlens.report.audits.audit_plots import plot_clues, plot_composition
from tumorlens.report.evaluations.evaluation_tables import write_span
from tumorlens.report.evaluations.plots import Interval, plot_forest
from tumorlens.report.pages import (
    Block,
    Fact,
    Facts,
    Notice,
    Notices,
    Page,
    Section,
    Table,
    Text,
)

__all__ = ["MOST_TILES", "build_audit_page"]

_GALLERIES = {
    "Pictures side by side": ("leakage", "conflicts", "groups", "twins"),
    "Odd pictures": ("suspicious", "unreadable"),
    "Masks and boxes": ("annotations",),
}
_PREDICTED = {"label": "label (AUC)", "source": "source (share of correct answers)"}


def build_audit_page(
    audit: Audit, *, command: str = "", versions: Mapping[str, str] | None = None
) -> Page:
    """The page of ``tumorlens audit``.

    Pictures are read again from their paths: at most `MOST_TILES` examples for each finding, so
    that the page stays small for a large set.

    Args:
        audit: what is shown.
        command, versions: for the end of the page.
    """
    counts = ", ".join(
        f"{count:,} {label.replace('_', ' ')}" for label, count in sorted(audit.counts.items())
    )
    against = f" Compared with {audit.against}." if audit.against else ""
    lead = (
        f"{say_count(audit.own, 'slice')} ({counts or 'none'}), "
        f"{say_count(audit.distinct, 'different picture')}."
        f"{against} Findings are ranked by how much they may change a result."
    )
    pictures = [
        Section(heading, tuple(show_examples(audit, kinds)))
        for heading, kinds in _GALLERIES.items()
    ]
    sections = (
        Section("At a glance", tuple(_show_first(audit))),
        Section("What to do, the worst finding first", tuple(_list_findings(audit))),
        *pictures,
        Section("Shortcuts: what predicts the label", tuple(_show_shortcuts(audit))),
        Section("Composition of the set", tuple(_show_composition(audit))),
        Section("Not checked", (Text(audit.notes, listed=True),) if audit.notes else ()),
    )
    return Page(f"Audit of {audit.name}", lead, sections, command, dict(versions or {}))


def _show_first(audit: Audit) -> Iterator[Block]:
    severities = Counter(one.severity for one in audit.findings)
    worst = tuple(f"{severities[name]} {name}" for name in SEVERITIES if severities[name])
    copies = audit.own - audit.distinct
    facts = [
        Fact("findings", f"{len(audit.findings)}", worst or ("none",)),
        Fact(
            "different pictures",
            f"{audit.distinct:,}",
            (f"of {say_count(audit.own, 'slice')}", f"{copies:,} are copies or cannot be read"),
        ),
    ]
    out = {row for one in audit.findings for row in one.leave_out if row < audit.own}
    facts.append(Fact("rows to leave out", f"{len(out):,}", ("the marked manifest flags them",)))
    facts += [
        Fact(
            f"label predicted from {PLACES[place]}",
            f"{one.value:.2f}",
            ("AUC without the brain", write_span(one.low, one.high, digits=2) or "no interval"),
        )
        for place in PLACES
        if (one := find_estimate(audit.estimates, f"label_from_{place}")) is not None
        and one.value is not None
    ]
    yield Facts(tuple(facts))


def _list_findings(audit: Audit) -> Iterator[Block]:
    if not audit.findings:
        yield Text(("Nothing was found.",))
        return
    yield Notices(
        tuple(
            Notice(one.severity, one.check, one.kind, one.title, one.advice, one.impact)
            for one in audit.findings
        )
    )


def _show_shortcuts(audit: Audit) -> Iterator[Block]:
    if not audit.estimates:
        return
    yield Text(
        (
            "A classifier gets the border, the histogram and the sharpness of each picture. Of a "
            "file it also gets the size, the margins and the compression. It gets nothing of the "
            "brain. Its figures are cross-validated over groups. What it can predict, a network "
            "may learn instead of the tumor. The disease explains a part: a large bright tumor "
            "changes the histogram.",
        )
    )
    panels: dict[str, list[Interval]] = {}
    for what, title in _PREDICTED.items():
        for place, name in PLACES.items():
            one = find_estimate(audit.estimates, f"{what}_from_{place}")
            if one is not None and one.value is not None:
                line = Interval(name, one.value, one.low, one.high)
                panels.setdefault(title, []).append(line)
    forest = plot_forest(panels)
    if forest is not None:
        yield forest
    for place in PLACES:
        drawn = plot_clues(audit.clues, place)
        if drawn is not None:
            yield drawn


def _show_composition(audit: Audit) -> Iterator[Block]:
    rows = audit.rows[: audit.own]
    for column in ("source", "sequence", "split"):
        drawn = plot_composition(rows, column)
        if drawn is not None:
            yield drawn
    counts = Counter((row.source or "(none)", row.class_name or "unlabelled") for row in rows)
    table = tuple((source, kind, f"{n:,}") for (source, kind), n in sorted(counts.items()))
    if table:
        yield Table("Slices by source and class", ("source", "class", "slices"), table[:200])
