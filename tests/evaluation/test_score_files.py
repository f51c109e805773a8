"""scores.csv: what is written is read, and what is wrong is named with its place."""

from dataclasses import replace

import numpy as np
import pytest

from score_tables import CLASSES, draw_scores
from tumorlens.errors import DataError, UsageError
from tumorlens.evaluation.score_files import pool_scores, read_scores, write_scores

HEADER = "path,label,group,tumor_probability,low,middle,high"


def write_table(tmp_path, *lines, header=HEADER):
    path = tmp_path / "scores.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    n = 300
    scores = draw_scores(
        classes=CLASSES,
        seen=rng.integers(0, 2, n).astype(float),
        hits=np.where(rng.random((n, 3)) < 0.5, np.nan, 1.0),
        peak_xy=np.round(rng.random((n, 2)) * 100, 1),
        unfamiliarity=np.round(rng.gamma(2, 0.3, n), 4),
    )
    write_scores(tmp_path / "scores.csv", scores)
    again = read_scores(tmp_path / "scores.csv")
    assert [(r.path, r.group, r.label) for r in again.rows] == [
        (r.path, r.group, r.label) for r in scores.rows
    ]
    for name in ("tumor_probability", "thresholds", "seen", "hits", "peak_xy", "unfamiliarity"):
        np.testing.assert_array_equal(getattr(again, name), getattr(scores, name), err_msg=name)
    np.testing.assert_allclose(again.probabilities, scores.probabilities, atol=1e-6)
    assert again.verdict.tolist() == scores.verdict.tolist()
    assert (again.classes, again.model) == (scores.classes, scores.model)


def test_a_manifest_that_holds_scores_of_before_gives_each_column_once(tmp_path):
    before = (("tumor_probability", "0.1"), ("probability_cyst", "0.9"), ("scanner", "3T"))
    scores = draw_scores()
    scores = replace(scores, rows=tuple(replace(row, extra=before) for row in scores.rows))
    write_scores(tmp_path / "scores.csv", scores)
    header = (tmp_path / "scores.csv").read_text().split("\n")[0].split(",")
    assert len(header) == len(set(header))
    assert "scanner" in header
    assert "probability_cyst" not in header
    again = read_scores(tmp_path / "scores.csv")
    np.testing.assert_allclose(again.tumor_probability, scores.tumor_probability, atol=1e-6)


def test_scores_of_another_program_need_little(tmp_path):
    scores = read_scores(
        write_table(tmp_path, "a.png,tumor,p1,0.8,0.3,0.5,0.7", "b.png,no_tumor,p2,0.4,0.3,0.5,0.7")
    )
    assert scores.verdict.tolist() == ["tumor", "uncertain"]
    assert scores.classes == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.png,tumor,p,nan,0,0.5,1", "line 3, column tumor_probability: expected a number from 0"),
        ("a.png,tumor,p,,0,0.5,1", "column tumor_probability: .* got 'nothing'"),
        ("a.png,tumor,p,1.2,0,0.5,1", "column tumor_probability: .* got '1.2'"),
        ("a.png,tumor,p,high,0,0.5,1", "column tumor_probability: .* got 'high'"),
        ("a.png,tumor,p,0.5,0.6,0.5,1", "column low, middle, high: expected low <= middle"),
        ("a.png,tumor,p,0.5,0.5,0.5,50", "column high: expected a number from 0 to 1"),
        ("a.png,cyst,p,0.5,0,0.5,1", "line 3, column label: expected tumor, no_tumor"),
    ],
)
def test_a_bad_cell_is_named(tmp_path, line, message):
    path = write_table(tmp_path, "ok.png,tumor,p,0.5,0,0.5,1", line)
    with pytest.raises(DataError, match=message):
        read_scores(path)


def test_a_verdict_that_its_own_numbers_contradict_is_named(tmp_path):
    """Where somebody has changed the thresholds, the verdicts are those of before."""
    header = HEADER + ",verdict"
    lines = ["a.png,tumor,p,0.5,0.2,0.5,0.7,uncertain", "b.png,tumor,p,0.5,0.2,0.5,0.7,not_judged"]
    rounded = "c.png,tumor,p,0.7,0.2,0.5,0.7000001,tumor"
    assert len(read_scores(write_table(tmp_path, *lines, rounded, header=header))) == 3
    path = write_table(tmp_path, *lines, "d.png,tumor,p,0.5,0.1,0.4,0.45,uncertain", header=header)
    with pytest.raises(DataError, match="line 4, column verdict: expected what tumor_probability"):
        read_scores(path)


def test_the_line_counts_line_breaks_in_cells(tmp_path):
    path = write_table(tmp_path, 'ok.png,tumor,"p\n1",0.5,0,0.5,1', "a.png,tumor,p,nan,0,0.5,1")
    with pytest.raises(DataError, match="line 4, column tumor_probability"):
        read_scores(path)


def test_missing_columns_are_named(tmp_path):
    path = write_table(tmp_path, "a.png,tumor", header="path,label")
    with pytest.raises(DataError, match="tumor_probability, low, middle, high not found"):
        read_scores(path)


def test_a_table_without_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match="no rows"):
        read_scores(write_table(tmp_path))


def test_nothing_is_overwritten(tmp_path):
    path = write_table(tmp_path, "a.png,tumor,p1,0.8,0.3,0.5,0.7")
    before = path.read_text()
    with pytest.raises(UsageError, match="exists already"):
        write_scores(path, draw_scores())
    assert path.read_text() == before


def test_pooled_files_are_folds_whatever_their_names(tmp_path):
    for seed, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        write_scores(tmp_path / name / "scores.csv", draw_scores(groups=3, seed=seed))
    pooled = pool_scores([tmp_path / name / "scores.csv" for name in ("one", "two")])
    assert sorted(set(pooled.fold)) == ["1 scores", "2 scores"]
    write_scores(tmp_path / "a.csv", draw_scores(groups=3, seed=2))
    pooled = pool_scores([tmp_path / "a.csv", tmp_path / "one" / "scores.csv"])
    assert sorted(set(pooled.fold)) == ["a", "scores"]


def test_a_row_that_stands_in_two_tables_would_count_twice(tmp_path):
    for name, rows in (("a", range(20)), ("b", range(15, 30))):
        write_scores(tmp_path / f"{name}.csv", draw_scores(groups=3).take(list(rows)))
    with pytest.raises(DataError, match="b: 5 rows stand in a, too, such as that of"):
        pool_scores([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_semicolons_are_named_as_in_a_manifest(tmp_path):
    path = write_table(tmp_path, header=HEADER.replace(",", ";"))
    with pytest.raises(DataError, match="separated by something else than commas"):
        read_scores(path)
