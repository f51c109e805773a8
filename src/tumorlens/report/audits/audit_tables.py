"""Prints an audit: its findings, the worst first, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from tumorlens.auditing.findings import Audit, AuditFinding
from tumorlens.digits import say_count
from tumorlens.finding import RESEARCH_USE
from tumorlens.report.tables import make_table

__all__ = ["print_audit"]

_NAMED = 2  # rows or pairs of a finding that are named
_LONGEST = 40  # characters of a name


def print_audit(console: Console, audit: Audit) -> None:
    """Print the findings as a table, and what was not checked."""
    rows = [row for one in audit.findings for row in _describe(audit, one)]
    if rows:
        console.print(
            make_table(_title(audit), ("severity", "kind", "found, and what to do"), rows)
        )
    else:
        console.print(Text(f"{_title(audit)}\nNothing was found."))
    for note in audit.notes:
        console.print(Text(f"Note: {note}"))
    console.print(Text(RESEARCH_USE))


def _title(audit: Audit) -> str:
    labels = ", ".join(
        f"{count:,} {label.replace('_', ' ')}" for label, count in sorted(audit.counts.items())
    )
    against = f", against {audit.against}" if audit.against else ""
    return (
        f"{audit.name}{against}: {say_count(audit.own, 'slice')} ({labels}), "
        f"{say_count(audit.distinct, 'different picture')}"
    )


def _describe(audit: Audit, finding: AuditFinding) -> Iterator[tuple[str, str, str]]:
    yield finding.severity, finding.kind, f"{finding.check}: {finding.title}"
    for example in finding.examples[:_NAMED]:
        names = " = ".join(_shorten(audit.name_row(row)) for row in example.rows)
        yield "", "", names if len(example.rows) == 1 else f"{names} ({example.words})"
    yield "", "", f"→ {finding.advice}"


def _shorten(name: str) -> str:
    """The end of a long name, cut between folders if its file leaves room for that."""
    if len(name) <= _LONGEST:
        return name
    end = name[1 - _LONGEST :]
    return f"…{end[max(end.find('/'), 0) :]}"
