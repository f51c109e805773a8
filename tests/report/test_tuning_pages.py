"""A search on a page and on a terminal: the honest gain first, every trial in its rank."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from report_pages import draw_tuning
from tumorlens.report.pages import Table, render_html, render_markdown
from tumorlens.report.tunings.tuning_pages import build_tuning_page
from tumorlens.report.tunings.tuning_tables import print_tuning


@pytest.fixture
def found(tmp_path):
    return draw_tuning(tmp_path)


def test_the_gain_that_counts_comes_first_and_the_other_is_called_too_good(found):
    text = render_markdown(build_tuning_page(found, command="tumorlens tune"))
    honest, claimed = text.index("took no part"), text.index("it was chosen by")
    assert honest < claimed
    assert "+0.0077" in text
    assert "-0.0121 to +0.0275" in text.replace("\\", "")
    html = render_html(build_tuning_page(found))
    assert "too good: these rows chose the recipe" in html


def test_trials_stand_in_their_rank_and_those_without_a_figure_last(found):
    page = build_tuning_page(found)
    (board,) = (
        block for section in page.sections for block in section.blocks
        if isinstance(block, Table) and block.caption == "Leaderboard"
    )  # fmt: skip
    assert len(board.rows) == len(found.trials)
    assert board.rows[0][0] == f"{found.best_number + 1}"
    assert [row[1] for row in board.rows[-3:]] == ["pruned", "pruned", "failed"]
    assert ("1", "0.9312", "recipe seed") in board.rows


def test_less_loss_ranks_first_and_no_nested_folds_leave_one_gain(found):
    losses = replace(found, figure="loss", nested_gains=[], importances={}, warning="")
    assert losses.ranked[0].value == min(one.value for one in found.trials if one.value)
    text = render_markdown(build_tuning_page(losses))
    assert "took no part" not in text
    assert "Too few complete trials" in text


def test_the_terminal_shows_gains_and_the_warning(found, capsys):
    print_tuning(Console(width=140), found)
    told = capsys.readouterr().out
    assert "rows that took no part" in told
    assert "Warning: 253 slices of 199 groups are few." in told
