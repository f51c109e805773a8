"""What a set is made of, and what gives its labels away, as plots."""

from __future__ import annotations

import re
from pathlib import Path

from tumorlens.auditing.findings import Clue
from tumorlens.data.rows import Row
from tumorlens.report.audits.audit_plots import MOST_BARS, plot_clues, plot_composition


def make_rows(counts):
    return [
        Row(Path(f"/{source}{label}{n}.png"), source=source, label=label)
        for (source, label), count in counts.items()
        for n in range(count)
    ]


def test_classes_by_source():
    plot = plot_composition(
        make_rows({("a", "tumor"): 3, ("a", "no_tumor"): 1, ("b", ""): 1200}), "source"
    )
    assert "1 of 2 hold only one class" in plot.alt
    for word in ("no tumor", "no label", "1,200"):
        assert f">{word}<" in plot.svg
    assert re.search(r"#0[0-9a-f]0", plot.svg) is None  # every stand-in has its variable


def test_only_the_largest_sources_get_a_bar():
    plot = plot_composition(make_rows({(f"s{n:02}", "tumor"): 40 - n for n in range(30)}), "source")
    assert f"the largest {MOST_BARS} of 30" in plot.caption
    assert "s00" in plot.svg
    assert "s29" not in plot.svg


def test_a_column_that_holds_nothing_is_not_drawn():
    assert plot_composition(make_rows({("a", "tumor"): 3}), "sequence") is None
    assert plot_composition((), "source") is None


def test_clues_of_one_place_the_most_telling_first():
    clues = [Clue("file", "width", 0.9, True), Clue("prepared", "sharpness", 0.7, False)]
    plot = plot_clues(clues, "file")
    assert "width, larger with tumor, 0.90" in plot.alt
    assert "sharpness" not in plot.svg
    assert plot_clues([], "file") is None
