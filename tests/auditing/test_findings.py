"""An audit checks itself, ranks, marks and writes itself down."""

import json
from pathlib import Path

import pytest

from tumorlens.auditing.findings import Audit, AuditFinding, Example, rate_severity
from tumorlens.data.rows import Manifest, Row


def make_finding(**changes):
    fields = {"kind": "twins", "check": "c", "title": "t", "advice": "a", "impact": 0.2}
    return AuditFinding(**{**fields, **changes})


ROWS = (Row(Path("/a.png"), note="seen; audit: leave out"), Row(Path("/b.png")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "nope"}, "kind: expected one of leakage"),
        ({"impact": 1.5}, "impact: expected 0 to 1"),
        ({"rows": (0,), "leave_out": (1,)}, "not among its rows"),
        ({"rows": (0,), "examples": (Example((0, 1), "x"),)}, "not among its rows"),
    ],
)
def test_a_finding_refuses(changes, words):
    with pytest.raises(ValueError, match=words):
        make_finding(**changes)


@pytest.mark.parametrize("findings", [(make_finding(), make_finding()), (make_finding(rows=(2,)),)])
def test_an_audit_refuses(findings):
    with pytest.raises(ValueError, match=r"same check|outside 0 to 1"):
        Audit("set", ROWS, findings, own=2)


def test_findings_are_ranked_and_rated():
    mild, bad = make_finding(impact=0.01), make_finding(impact=0.9, check="d", kind="leakage")
    audit = Audit("set", ROWS, (mild, bad), own=2)
    assert audit.findings == (bad, mild)
    assert [one.severity for one in audit.findings] == ["critical", "minor"]
    assert audit.of_kinds(["twins"]) == (mild,)
    assert [rate_severity(x) for x in (0.3, 0.29, 0.1, 0.02, 0)] == [
        "critical",
        "serious",
        "serious",
        "notable",
        "minor",
    ]


def test_marks_are_set_anew():
    finding = make_finding(rows=(0, 1), leave_out=(1,))
    marked = Audit("set", ROWS, (finding,), own=2).mark(Manifest(ROWS, "set", Path("/")))
    assert [row.note for row in marked.rows] == ["seen", "audit: leave out"]
    assert [row.extra for row in marked.rows] == [(("audit", "c"),)] * 2


def test_json_names_rows():
    finding = make_finding(rows=(0, 1), examples=(Example((0, 1), "alike"),))
    record = json.loads(Audit("set", ROWS, (finding,), own=1, against="o").to_json())
    assert (record["schema"], record["slices"], record["against"]) == (1, 1, "o")
    assert record["findings"][0]["rows"] == ["/a.png", "/b.png"]
    assert record["findings"][0]["examples"][0]["words"] == "alike"
