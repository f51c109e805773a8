"""Python refuses what the command refuses by its types: with the parameter, and before any work."""

from __future__ import annotations

import re

import pytest

import tumorlens
from score_tables import draw_scores
from tumorlens.evaluation.assessment import evaluate_scores
from tumorlens.evaluation.site_calibration import Wishes
from tumorlens.predicting.options import RunOptions


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: evaluate_scores(draw_scores(), prevalence=2), "`prevalence=` must lie"),
        (lambda: evaluate_scores(draw_scores(), prevalence=0), "`prevalence=` must lie"),
        (lambda: evaluate_scores(draw_scores(), replicates=0), "`replicates=` must be"),
        (lambda: evaluate_scores(draw_scores(), seed=-1), "`seed=` at least 0"),
        (lambda: Wishes(coverage=3), "`coverage=` must lie between 0 and 1, got 3"),
        (lambda: Wishes(misses=0), "`misses=` must lie"),
        (lambda: RunOptions(series_from="banana"), "`series_from=` is None or 'folder'"),
        (
            lambda: tumorlens.predict_studies("x.png", study_from="x"),
            "`study_from=`: expected 'folder', or None",
        ),
    ],
)
def test_a_senseless_argument_is_refused(call, said):
    with pytest.raises(tumorlens.UsageError, match=re.escape(said)):
        call()


def test_folds_by_something_unknown_are_refused(tmp_path):
    (tmp_path / "m.csv").write_text("path,group,label\na.png,1,tumor\nb.png,2,no_tumor\n")
    with pytest.raises(tumorlens.UsageError, match="`folds_by=`: expected 'group' or 'source'"):
        tumorlens.split(tmp_path / "m.csv", folds=2, folds_by="banana")
