"""A study of several series in the viewer: the series that carries the evidence is shown first."""

from __future__ import annotations

import re

import numpy as np
import pytest

from builders import write_series
from heads import paint_slice
from study_tables import write_study_model
from viewing.browsing import BROWSER, visit
from viewing.viewers import open_viewer

pytest.importorskip("starlette")
pytest.importorskip("playwright")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")

LPS = np.eye(4)[:, [2, 1, 0, 3]] @ np.diag([3.0, 1.0, 1.0, 1.0])
SERIES = {"a_small": range(9, 12), "b_large": range(6, 14)}


def test_a_study_shows_the_run_of_its_leading_series(tmp_path):
    model = write_study_model(tmp_path, brain=3.0)
    for number, (name, spots) in enumerate(SERIES.items(), 1):
        slices = [paint_slice((30, 30) if k in spots else None) for k in range(20)]
        volume = np.stack(slices).astype(np.uint16)
        folder = tmp_path / "study" / name
        write_series(folder, volume, LPS, SeriesInstanceUID=f"1.2.3.{number}")
    with (
        open_viewer(str(tmp_path / "study"), "--model", str(model)) as viewer,
        visit(viewer.url) as found,
    ):
        page = found.page
        page.wait_for_selector("body[data-shown]", timeout=60_000)
        assert "Study study, 2 series" in page.inner_text("#verdict .of")
        assert page.inner_text("#verdict .word") == "tumor"
        where = page.inner_text("#verdict .where")
        first, last = map(int, re.search(r"Slices (\d+) to (\d+) of 20", where).groups())
        assert 7 <= first < last <= 14
