"""`Audit` and `AuditFinding`: the result of an audit, for tables, pages and CI."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import msgspec

from tumorlens.data.rows import Manifest, Row
from tumorlens.evaluation.figures.intervals import Estimate

__all__ = [
    "KINDS",
    "LEAVE_OUT",
    "SEVERITIES",
    "Audit",
    "AuditFinding",
    "Clue",
    "Example",
    "rate_severity",
]

KINDS: dict[str, str] = {
    "leakage": "a patient or a picture is on two sides of a split, or in both sets",
    "conflicts": "one picture has two labels, or a slice has another label than its neighbours",
    "shortcuts": "the label or the source can be predicted without looking at the brain",
    "groups": "copies of one picture are in different groups",
    "twins": "copies of one picture inside the set",
    "unreadable": "files that cannot be read",
    "suspicious": "pictures that look wrong: burnt-in text, size, contrast, no brain MRI",
    "annotations": "masks and boxes that do not match their picture",
    "balance": "labels and sources of very different size, or labels that depend on the source",
}
"""Kind of finding -> what it means; the words of ``--fail-on``."""

SEVERITIES: dict[str, float] = {"critical": 0.3, "serious": 0.1, "notable": 0.02, "minor": 0.0}
"""Severity -> the smallest impact that has it; the worst comes first."""

LEAVE_OUT = "audit: leave out"
"""Words in the note of rows that should be used in no training and counted in no figure."""

AUDIT_COLUMN = "audit"


def rate_severity(impact: float) -> str:
    """The severity of an impact from 0 to 1."""
    return next(name for name, least in SEVERITIES.items() if impact >= least)


@dataclass(frozen=True, slots=True)
class Example:
    """Pictures to look at, side by side.

    Attributes:
        rows: indices into `Audit.rows`: one picture, or two that should be compared.
        words: why, in a phrase.
    """

    rows: tuple[int, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Clue:
    """How well one property of a picture, without its anatomy, predicts the label.

    Attributes:
        place: what it was measured on: ``file`` or ``prepared``.
        trait: its name, as in `traits.FILE_FEATURES`.
        auc: from 0.5 (predicts nothing) to 1 (predicts every label).
        larger: True if the property is larger where there is a tumor.
    """

    place: str
    trait: str
    auc: float
    larger: bool


@dataclass(frozen=True)
class AuditFinding:
    """One fault, with all rows that it concerns.

    Attributes:
        kind: one of `KINDS`.
        check: name of the check, e.g. ``"copies across splits"``; unique in an audit.
        title: what was found, in a sentence.
        advice: what to do.
        impact: how much it may change a result, 0 to 1: the share of the slices that it concerns,
            times a weight for how directly it acts.
        rows: indices into `Audit.rows`, sorted; empty if it concerns the set as a whole.
        leave_out: those of ``rows`` that should be left out.
        examples: pictures to look at, the clearest first.
        instances: how many pictures, or pairs of pictures, the examples were taken from.
        estimate: the figure behind it, if there is one, with its interval.

    Raises:
        ValueError: an unknown kind, an impact outside [0, 1], or rows to leave out or to show
            that are not among those concerned.
    """

    kind: str
    check: str
    title: str
    advice: str
    impact: float
    rows: tuple[int, ...] = ()
    leave_out: tuple[int, ...] = ()
    examples: tuple[Example, ...] = ()
    instances: int = 0
    estimate: Estimate | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        if not 0 <= self.impact <= 1:
            raise ValueError(f"impact: expected 0 to 1, got {self.impact}")
        concerned = set(self.rows)
        shown = {row for example in self.examples for row in example.rows}
        if not (concerned.issuperset(self.leave_out) and concerned.issuperset(shown)):
            raise ValueError(f"{self.check}: rows to leave out, or to show, are not among its rows")

    @property
    def severity(self) -> str:
        """One of `SEVERITIES`."""
        return rate_severity(self.impact)


@dataclass(frozen=True)
class Audit:
    """The result of an audit of a set; the worst finding comes first.

    Attributes:
        name: of the set.
        rows: all rows that were checked: those of the set, then those of ``against``.
        findings: sorted by impact; they may be given in any order.
        own: number of ``rows`` that belong to the set.
        against: name of the other set; empty if there was none.
        distinct: how many different pictures the set holds; copies count once.
        counts: label -> slices of the set.
        estimates: what can be predicted without the anatomy: ``label_from_file`` and
            ``label_from_prepared`` (AUC), ``source_from_file`` and ``source_from_prepared``
            (share of correct answers); only those that could be measured.
        clues: properties that predict the label, the strongest first.
        notes: what was not checked, and why.

    Raises:
        ValueError: a finding names a row that is not there, or two findings one check.
    """

    name: str
    rows: tuple[Row, ...]
    findings: tuple[AuditFinding, ...]
    own: int
    against: str = ""
    distinct: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    estimates: tuple[Estimate, ...] = ()
    clues: tuple[Clue, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ranked = tuple(sorted(self.findings, key=lambda one: (-one.impact, one.check)))
        object.__setattr__(self, "findings", ranked)
        object.__setattr__(self, "counts", MappingProxyType(dict(self.counts)))
        if len({one.check for one in ranked}) < len(ranked):
            raise ValueError("two findings have the same check")
        if any(not 0 <= row < len(self.rows) for one in ranked for row in one.rows):
            raise ValueError(f"a finding names a row outside 0 to {len(self.rows) - 1}")

    def of_kinds(self, kinds: Iterable[str]) -> tuple[AuditFinding, ...]:
        """The findings of some kinds, the worst first."""
        wanted = set(kinds)
        return tuple(one for one in self.findings if one.kind in wanted)

    def name_row(self, number: int) -> str:
        """Path and frame of a row, as a person would say it."""
        row = self.rows[number]
        return str(row.path) + ("" if row.frame is None else f" [{row.frame}]")

    def mark(self, manifest: Manifest) -> Manifest:
        """The set with its faulty rows flagged.

        The column ``audit`` lists the checks that concern a row. The note of a row that should be
        left out holds the words `LEAVE_OUT`. An evaluation leaves such rows out; a training does so
        if its recipe excludes notes with ``audit: leave out``.

        Args:
            manifest: the one that was audited; its rows are the first of ``rows``.
        """
        checks: dict[int, list[str]] = {}
        for finding in self.findings:
            for row in finding.rows:
                checks.setdefault(row, []).append(finding.check)
        out = {row for finding in self.findings for row in finding.leave_out}
        return manifest.with_rows(
            _mark_row(row, checks.get(number, []), number in out)
            for number, row in enumerate(self.rows[: self.own])
        )

    def to_json(self) -> str:
        """Everything but the pictures, as JSON. Keys are stable under ``schema`` 1."""
        record = {
            "schema": 1,
            "name": self.name,
            "against": self.against,
            "slices": self.own,
            "distinct": self.distinct,
            "counts": dict(self.counts),
            "findings": [self._record(one) for one in self.findings],
            "estimates": msgspec.to_builtins(self.estimates),
            "clues": msgspec.to_builtins(self.clues),
            "notes": list(self.notes),
        }
        return json.dumps(record, indent=1, ensure_ascii=False) + "\n"

    def _record(self, finding: AuditFinding) -> dict[str, Any]:
        estimate = finding.estimate
        return {
            "kind": finding.kind,
            "check": finding.check,
            "severity": finding.severity,
            "impact": round(finding.impact, 4),
            "title": finding.title,
            "advice": finding.advice,
            "estimate": None if estimate is None else msgspec.to_builtins(estimate),
            "rows": [self.name_row(row) for row in finding.rows],
            "leave_out": [self.name_row(row) for row in finding.leave_out],
            "examples": [
                {"rows": [self.name_row(row) for row in one.rows], "words": one.words}
                for one in finding.examples
            ],
        }


def _mark_row(row: Row, checks: list[str], out: bool) -> Row:
    extra = tuple((name, value) for name, value in row.extra if name != AUDIT_COLUMN)
    note = "; ".join(part for part in row.note.split("; ") if part and part != LEAVE_OUT)
    if out:
        note = "; ".join(filter(None, (note, LEAVE_OUT)))
    return replace(row, note=note, extra=(*extra, (AUDIT_COLUMN, "; ".join(checks))))
